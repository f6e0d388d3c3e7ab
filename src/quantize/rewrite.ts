/** From a float model's file to the quantised model in memory. */
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import { inferShapes } from '../ops/infer/index.ts';
import { passes } from '../passes/index.ts';
import { runPipeline } from '../passes/pipeline.ts';
import type { Range } from './affine.ts';
import { raiseOpset } from './raise-opset.ts';
import type { Excluded, Scheme, SchemeContext } from './scheme.ts';

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
}

/** Names of the tensors whose ranges the scheme needs; none for a scheme that does not calibrate. */
export const calibratedTensors = (path: string, scheme: Scheme, context: SchemeContext): Set<string> =>
  new Set(scheme.needsCalibration ? scheme.tensors(loadFloat(path), context).map(({ name }) => name) : []);

/** Applies a scheme to the model at `path` and removes what it no longer needs. */
export const rewrite = (
  path: string,
  scheme: Scheme,
  context: SchemeContext,
  ranges: ReadonlyMap<string, Range>,
): Rewritten => {
  const model = loadFloat(path);
  const excluded = scheme.needsCalibration
    ? scheme.apply(model, context, ranges)
    : scheme.apply(model, context);
  runPipeline(model, [passes['eliminate-dead-nodes']]);
  return { model, excluded };
};
