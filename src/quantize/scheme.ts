/** What a quantisation scheme is: a rewrite of a float graph, with or without calibrated ranges. */

import type { Model } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';
import type { Range } from './affine.ts';

/** A node that stays float, and why. */
export interface Excluded {
  readonly node: string;
  readonly reason: string;
}

export interface SchemeContext {
  /** True for nodes the user wants to keep in float. */
  isExcluded(node: Node): boolean;
  /** Also quantise convolutions where the scheme leaves them alone because they get slower. */
  readonly convolutions: boolean;
}

interface SchemeInfo {
  readonly name: string;
  readonly summary: string;
  /** Suffix of the file name that transformers.js expects: `model_quantized.onnx`. */
  readonly suffix: string;
}

export type Scheme =
  | (SchemeInfo & {
      readonly needsCalibration: false;
      /** Rewrites the model in place. */
      apply(model: Model, context: SchemeContext): Excluded[];
    })
  | (SchemeInfo & {
      readonly needsCalibration: true;
      /** The float tensors whose ranges `apply` will ask for. */
      tensors(model: Model, context: SchemeContext): Value[];
      apply(model: Model, context: SchemeContext, ranges: ReadonlyMap<string, Range>): Excluded[];
    });
