/** Small questions that several passes ask of a graph. */
import type { Tensor } from '../core/tensor.ts';
import { Graph } from '../ir/graph.ts';
import type { Value } from '../ir/value.ts';

/** The tensor of a value that is certain to hold it: an initializer, or a Constant node with a dense tensor. */
export const constantTensor = (value: Value | undefined): Tensor | undefined => {
  if (value?.constant !== undefined) return value.constant;
  if (!value?.producer?.is('Constant')) return undefined;
  const attribute = value.producer.attributes.get('value');
  return attribute?.kind === 'tensor' ? attribute.value : undefined;
};

/** True when the value fills an output slot of some graph. */
export const isGraphOutput = (value: Value): boolean => value.uses.some(({ user }) => user instanceof Graph);

/**
 * True when `value` can stand in every output slot that `old` fills without an Identity being written for it: a
 * node of that same graph must produce it, it must not fill another of its slots already, and its own name must be free
 * to go.
 */
export const canTakeOutputSlots = (value: Value, old: Value): boolean => {
  const slots = old.uses.filter(({ user }) => user instanceof Graph);
  if (slots.length === 0) return true;
  const graph = value.producer?.graph;
  return (
    slots.length === 1 &&
    !value.isPinned &&
    graph !== undefined &&
    slots[0]!.user === graph &&
    !value.uses.some(({ user }) => user === graph)
  );
};

/** The innermost graph that is or holds both; undefined when they have none in common. */
export const commonGraph = (a: Graph, b: Graph): Graph | undefined => {
  const around = new Set<Graph>();
  for (let graph: Graph | undefined = a; graph !== undefined; graph = graph.owner?.graph) around.add(graph);
  let graph: Graph | undefined = b;
  while (graph !== undefined && !around.has(graph)) graph = graph.owner?.graph;
  return graph;
};
