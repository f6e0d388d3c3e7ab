/**
 * One element added to another in place, for each dtype as PyTorch adds: integers wrap, halves are rounded after each
 * addition, complex numbers part by part, booleans by "or".
 */
import type { DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from '../core/half.ts';

/** Adds the element at `from` of `source` to the one at `to` of `target`; both little-endian. */
export type Add = (target: DataView, to: number, source: DataView, from: number) => void;

const float32: Add = (target, to, source, from) =>
  target.setFloat32(to, target.getFloat32(to, true) + source.getFloat32(from, true), true);
const float64: Add = (target, to, source, from) =>
  target.setFloat64(to, target.getFloat64(to, true) + source.getFloat64(from, true), true);
const int8: Add = (target, to, source, from) => target.setInt8(to, target.getInt8(to) + source.getInt8(from));
const int16: Add = (target, to, source, from) =>
  target.setInt16(to, target.getInt16(to, true) + source.getInt16(from, true), true);
const int32: Add = (target, to, source, from) =>
  target.setInt32(to, target.getInt32(to, true) + source.getInt32(from, true), true);
const int64: Add = (target, to, source, from) =>
  target.setBigInt64(to, target.getBigInt64(to, true) + source.getBigInt64(from, true), true);
const half =
  (decode: (bits: number) => number, encode: (value: number) => number): Add =>
  (target, to, source, from) => {
    const sum = decode(target.getUint16(to, true)) + decode(source.getUint16(from, true));
    target.setUint16(to, encode(Math.fround(sum)), true);
  };
const both =
  (part: Add, width: number): Add =>
  (target, to, source, from) => {
    part(target, to, source, from);
    part(target, to + width, source, from + width);
  };

// Unsigned integers wrap to the same bits as signed ones.
const ADDERS: Partial<Record<DType, Add>> = {
  float32,
  float64,
  float16: half(float16ToNumber, numberToFloat16),
  bfloat16: half(bfloat16ToNumber, numberToBfloat16),
  int8,
  uint8: int8,
  int16,
  uint16: int16,
  int32,
  uint32: int32,
  int64,
  uint64: int64,
  complex64: both(float32, 4),
  complex128: both(float64, 8),
  bool: (target, to, source, from) =>
    target.setUint8(to, target.getUint8(to) === 0 && source.getUint8(from) === 0 ? 0 : 1),
};

/** @throws OrthoError dtype/unsupported for types that PyTorch cannot add either (8-bit floats) */
export const adderOf = (dtype: DType): Add => {
  const add = ADDERS[dtype];
  if (add !== undefined) return add;
  throw new OrthoError('dtype/unsupported', `sparse tensors of ${dtype} cannot be made dense`, {
    hint: 'store it dense (tensor.to_dense()) in Python',
  });
};
