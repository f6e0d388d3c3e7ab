/**
 * Initializers with equal dtype, dims and bytes become one.
 *
 * A nested graph sees what is outside of it, but not what is inside another one: equal initializers of two branches
 * become one of the innermost graph around both, where they are large enough to be worth it.
 * Hazards: what a caller may override is not constant; what fills an output slot or is named by an annotation keeps
 * its name. Contents are compared by SHA-256, and only where dtype, dims and size agree.
 */
import { createHash } from 'node:crypto';
import { chunksOf } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { allGraphs, type Graph } from '../ir/graph.ts';
import type { Value } from '../ir/value.ts';
import { commonGraph, isGraphOutput } from './graph-tools.ts';
import type { Pass, PassContext } from './pass.ts';

const hashOf = (tensor: Tensor): string => {
  const hash = createHash('sha256');
  for (const text of tensor.strings ?? []) hash.update(`${text.length}:`).update(text);
  for (const chunk of chunksOf(tensor.data)) hash.update(chunk);
  return hash.digest('base64');
};

interface Candidate {
  readonly value: Value;
  readonly graph: Graph;
  readonly tensor: Tensor;
}

/** Splits candidates into lists of the same key; lists of one are left out. */
const groupBy = (candidates: readonly Candidate[], keyOf: (tensor: Tensor) => string): Candidate[][] => {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const key = keyOf(candidate.tensor);
    const group = groups.get(key);
    if (group) group.push(candidate);
    else groups.set(key, [candidate]);
  }
  return [...groups.values()].filter(({ length }) => length > 1);
};

export const deduplicateInitializers: Pass = {
  name: 'deduplicate-initializers',
  summary: 'store equal initializers once',
  worksInFunctions: false,
  run(graph, context) {
    // Outer graphs come first, so the first of a group that encloses a graph is the one to keep.
    const candidates: Candidate[] = [...allGraphs(graph)].flatMap((holder) =>
      holder.initializers.flatMap((value) => {
        const tensor = value.constant;
        return tensor === undefined ? [] : [{ value, graph: holder, tensor }];
      }),
    );
    const shapeKey = ({ dtype, dims, data }: Tensor): string => `${dtype}[${dims.join()}]${data.size}`;
    const groups = groupBy(candidates, shapeKey).flatMap((group) => groupBy(group, hashOf));
    let changes = 0;
    for (const group of groups) {
      const free = group.filter(({ value }) => {
        if (isGraphOutput(value)) context.decline('the initializer is a graph output');
        else if (context.isPinned(value)) context.decline('an annotation refers to the initializer');
        else return true;
        return false;
      });
      changes += merge(free, context);
    }
    return changes;
  },
};

/** Below this, a copy costs less than a branch that depends on what is outside of it. */
const LEAST_HOISTED = 1024;

/** Makes one of equal initializers, or one for each set of graphs that can share. Returns how many went. */
const merge = (group: readonly Candidate[], context: PassContext): number => {
  const kept: Candidate[] = [];
  let changes = 0;
  for (const candidate of group) {
    const index = kept.findIndex((one) => canShare(one, candidate, context));
    const one = kept[index];
    if (one === undefined) {
      kept.push(candidate);
      continue;
    }
    const graph = commonGraph(one.graph, candidate.graph) ?? one.graph;
    if (graph !== one.graph) {
      const value = graph.addInitializer(one.value.name, one.tensor);
      replace(one, value);
      kept[index] = { ...one, value, graph };
    }
    replace(candidate, kept[index]!.value);
    changes++;
  }
  return changes;
};

const replace = ({ value, graph }: Candidate, by: Value): void => {
  value.replaceAllUsesWith(by);
  graph.removeInitializer(value);
};

const canShare = (a: Candidate, b: Candidate, { model }: PassContext): boolean => {
  const graph = commonGraph(a.graph, b.graph);
  if (graph === a.graph || graph === b.graph) return true;
  // Below IR 4 an initializer of the main graph must be an input as well.
  return (
    graph !== undefined &&
    a.tensor.data.size >= LEAST_HOISTED &&
    (model.irVersion >= 4 || graph !== model.graph)
  );
};
