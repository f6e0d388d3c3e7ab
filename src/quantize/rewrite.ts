/** From a float model's file to the quantised model in memory. */
import { allNodes } from '../ir/graph.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import { inferShapes } from '../ops/infer/index.ts';
import { passes } from '../passes/index.ts';
import { runPipeline } from '../passes/pipeline.ts';
import type { Range } from './affine.ts';
import { raiseOpset } from './raise-opset.ts';
import type { Excluded, Scheme, SchemeContext } from './scheme.ts';
import { isWeighted } from './static-plan.ts';

/** Loads a model at an opset whose QuantizeLinear knows an axis, shapes inferred. @throws op/unsupported */
export const loadFloat = (path: string): Model => {
  const model = loadModel(path);
  inferShapes(model);
  raiseOpset(model);
  inferShapes(model);
  return model;
};

export interface Rewritten {
  readonly model: Model;
  /** What stays float, with the reasons. */
  readonly excluded: readonly Excluded[];
  /** False when the scheme found nothing to do. */
  readonly isQuantized: boolean;
}

/** Nodes that compute with integers, or come from them; a model may have some before it is quantised. */
const countInteger = ({ graph }: Model): number =>
  graph.nodes.filter(({ op }) => op === 'DequantizeLinear' || op.endsWith('Integer')).length;

/** Names of the tensors whose ranges the scheme needs; none for a scheme that does not calibrate. */
export const calibratedTensors = (path: string, scheme: Scheme, context: SchemeContext): Set<string> =>
  new Set(scheme.needsCalibration ? scheme.tensors(loadFloat(path), context).map(({ name }) => name) : []);

/** Layers inside If, Loop and Scan: no scheme reaches them. */
const nestedLayers = ({ graph }: Model): Excluded[] =>
  [...allNodes(graph)]
    .filter((node) => node.graph !== graph && isWeighted(node))
    .map(({ name }) => ({ node: name, reason: 'it is in a subgraph' }));

/** Applies a scheme to the model at `path` and removes what it no longer needs. */
export const rewrite = (
  path: string,
  scheme: Scheme,
  context: SchemeContext,
  ranges: ReadonlyMap<string, Range>,
): Rewritten => {
  const model = loadFloat(path);
  const before = countInteger(model);
  const excluded = scheme.needsCalibration
    ? scheme.apply(model, context, ranges)
    : scheme.apply(model, context);
  runPipeline(model, [passes['eliminate-dead-nodes']]);
  return {
    model,
    excluded: [...excluded, ...nestedLayers(model)],
    isQuantized: countInteger(model) > before,
  };
};
