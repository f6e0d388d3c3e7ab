/** How large a model is: what every report says before and after. */
import { allNodes } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import { modelMacs } from '../ops/cost.ts';
import type { ModelSizeData } from '../report/schemas/common.ts';

/** Nodes by operator (`Conv`, `com.microsoft.Gelu`), subgraphs and function bodies included, most frequent first. */
const countOps = (model: Model): Record<string, number> => {
  const counts = new Map<string, number>();
  for (const graph of [model.graph, ...model.functions.map(({ body }) => body)]) {
    for (const { qualifiedOp } of allNodes(graph))
      counts.set(qualifiedOp, (counts.get(qualifiedOp) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1));
  return Object.fromEntries(sorted);
};

/** Size of a model whose shapes are inferred and whose file (with its external data) has `bytes` bytes. */
export const modelSizeOf = (model: Model, bytes: number): ModelSizeData => {
  const ops = countOps(model);
  const nodes = Object.values(ops).reduce((total, count) => total + count, 0);
  return { nodes, bytes, macs: modelMacs(model), ops };
};
