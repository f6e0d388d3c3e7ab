/**
 * NumPy's type strings (`<f4`, `|b1`, `>i8`) and ortho's dtypes.
 */
import type { DType } from '../core/dtype.ts';

const CODES: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
  ['i1', 'int8'],
  ['i2', 'int16'],
  ['i4', 'int32'],
  ['i8', 'int64'],
  ['u1', 'uint8'],
  ['u2', 'uint16'],
  ['u4', 'uint32'],
  ['u8', 'uint64'],
  ['b1', 'bool'],
  ['c8', 'complex64'],
  ['c16', 'complex128'],
]);
const names = new Map([...CODES].map(([code, dtype]) => [dtype, code]));

/** The dtype of a code without byte order (`f4`), or undefined. */
export const dtypeFromNumpyCode = (code: string): DType | undefined => CODES.get(code);

/** The little-endian type string of a dtype, or undefined where NumPy has no such type (bfloat16, float8, int4…). */
export const numpyTypeString = (dtype: DType): string | undefined => {
  const code = names.get(dtype);
  if (code === undefined) return undefined;
  return `${code === 'b1' || code === 'i1' || code === 'u1' ? '|' : '<'}${code}`;
};
