/** Topological order of a graph's nodes, captures of subgraphs included. */
import { OrthoError } from '../core/errors.ts';
import { quoted } from '../proto/quote.ts';
import { allGraphs, type Graph } from './graph.ts';
import type { Node } from './node.ts';

/** The nodes of the same graph whose outputs a node, or a graph inside it, reads. */
const dependenciesOf = (node: Node): Set<Node> => {
  const found = new Set<Node>();
  const note = (producer: Node | undefined): void => {
    if (producer !== undefined && producer.graph === node.graph) found.add(producer);
  };
  for (const value of node.inputs) note(value?.producer);
  for (const subgraph of node.subgraphs) {
    for (const graph of allGraphs(subgraph)) {
      for (const inner of graph.nodes) for (const value of inner.inputs) note(value?.producer);
      for (const value of graph.outputs) note(value?.producer);
    }
  }
  return found;
};

const cycleError = (path: readonly Node[], start: Node): OrthoError => {
  const cycle = path.slice(path.indexOf(start));
  const names = [...cycle, start].map(
    (node) => node.outputs.find((output) => output.name)?.name ?? node.name,
  );
  const shown = names.length > 12 ? [...names.slice(0, 12), '…'] : names;
  return new OrthoError('model/invalid', `cycle: ${shown.map((name) => quoted(name)).join(' -> ')}`, {
    hint: 'a graph must be acyclic: export the model again',
    at: { node: start.name },
  });
};

/**
 * Brings the nodes of one graph into topological order, moving as few as a depth-first walk in file order must.
 * A sorted graph is left alone. Returns whether anything moved.
 * @throws OrthoError model/invalid naming the cycle.
 */
export const sortTopologically = (graph: Graph): boolean => {
  const { nodes } = graph;
  const position = new Map(nodes.map((node, index) => [node, index]));
  const dependencies = new Map(nodes.map((node) => [node, dependenciesOf(node)]));
  const isSorted = nodes.every((node, index) =>
    [...(dependencies.get(node) ?? [])].every((other) => (position.get(other) ?? 0) < index),
  );
  if (isSorted) return false;

  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  for (const root of nodes) {
    const path: Node[] = [];
    const pending: Node[] = [root];
    for (let node = pending.at(-1); node !== undefined; node = pending.at(-1)) {
      if (state.get(node) === 'done') {
        pending.pop();
        continue;
      }
      if (state.get(node) === 'open') {
        pending.pop();
        path.pop();
        state.set(node, 'done');
        order.push(node);
        continue;
      }
      state.set(node, 'open');
      path.push(node);
      for (const other of dependencies.get(node) ?? []) {
        if (state.get(other) === 'open') throw cycleError(path, other);
        if (state.get(other) === undefined) pending.push(other);
      }
    }
  }
  let cursor = graph.nodes[0];
  for (const node of order) {
    if (node === cursor) cursor = node.next;
    else if (cursor !== undefined) graph.moveBefore(node, cursor);
  }
  return true;
};
