/** Small tensors whose elements say where they come from, and what rules make of them. */
import type { Rule } from '../../src/convert/mapping/rule.ts';
import { type RemapOptions, type RemapResult, remap } from '../../src/convert/remap.ts';
import { float32Tensor, tensorBytes, toFloat32 } from '../../src/core/tensor.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';

/** A tensor of 0, 1, 2…, or of `first`, `first` + 1… */
export const counting = (dims: readonly number[], first = 0): WeightTensor => {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return float32Tensor(
    dims,
    Array.from({ length: count }, (_, i) => first + i),
  );
};

export type Dict = Readonly<Record<string, WeightTensor>>;

export const mapped = (dict: Dict, rules: readonly Rule[], more: RemapOptions = {}): RemapResult =>
  remap({ path: '', tensors: new Map(Object.entries(dict)) }, { rules, ...more });

/** Shape and values of each tensor. */
export const valuesOf = ({ tensors }: RemapResult): Record<string, [readonly number[], number[]]> =>
  Object.fromEntries([...tensors].map(([key, tensor]) => [key, [tensor.dims, [...toFloat32(tensor)]]]));

/** Everything that is in a state dict, in order; equal only where every byte is. */
export const contentOf = (tensors: ReadonlyMap<string, WeightTensor>): unknown[] =>
  [...tensors].map(([key, tensor]) => [
    key,
    tensor.dtype,
    tensor.dims,
    tensor.sharedWith,
    Buffer.from(tensorBytes(tensor)).toString('hex'),
  ]);
