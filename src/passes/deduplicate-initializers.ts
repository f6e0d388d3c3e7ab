/**
 * Initializers with equal dtype, dims and bytes become one.
 *
 * Only those of one graph or of a graph and one around it are merged: a nested graph sees what is outside of it, but
 * not what is inside another one. Hazards: what a caller may override is not constant; what fills an output slot or is
 * named by an annotation keeps its name. Contents are compared by SHA-256, and only where dtype, dims and size agree.
 */
import { createHash } from 'node:crypto';
import { chunksOf } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { allGraphs, type Graph } from '../ir/graph.ts';
import type { Value } from '../ir/value.ts';
import { encloses, isGraphOutput } from './graph-tools.ts';
import type { Pass } from './pass.ts';

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
      const kept: Candidate[] = [];
      for (const candidate of group) {
        const { value, graph: holder } = candidate;
        const same = kept.find((one) => encloses(one.graph, holder));
        if (same === undefined) {
          kept.push(candidate);
        } else if (isGraphOutput(value)) {
          context.decline('the initializer is a graph output');
        } else if (context.isPinned(value)) {
          context.decline('an annotation refers to the initializer');
        } else {
          value.replaceAllUsesWith(same.value);
          holder.removeInitializer(value);
          changes++;
        }
      }
    }
    return changes;
  },
};
