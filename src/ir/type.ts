/** Types of ONNX values. */
import type { DType } from '../core/dtype.ts';

/** A dimension: known, symbolic (dim_param), or unknown. */
export type Dim = number | string | null;
/** Dimensions of a tensor; undefined where even the rank is unknown. */
export type Shape = readonly Dim[];

export interface TensorType {
  readonly kind: 'tensor';
  readonly dtype: DType | undefined;
  readonly shape: Shape | undefined;
}

export type ValueType =
  | TensorType
  | { readonly kind: 'sparse-tensor'; readonly dtype: DType | undefined; readonly shape: Shape | undefined }
  | { readonly kind: 'sequence'; readonly element: ValueType | undefined }
  | { readonly kind: 'optional'; readonly element: ValueType | undefined }
  | { readonly kind: 'map'; readonly key: DType | undefined; readonly value: ValueType | undefined }
  | { readonly kind: 'opaque'; readonly domain: string; readonly name: string };

export const tensorType = (dtype: DType | undefined, shape?: Shape): TensorType => ({
  kind: 'tensor',
  dtype,
  shape,
});
