/**
 * NumPy's type strings (`<f4`, `|b1`, `>i8`) and ortho's dtypes.
 *
 * The types of the ml_dtypes package have no strings of their own. What NumPy writes for them, and what is made of it:
 *  - bfloat16 becomes `<V2`. Plain voids are `|V2`, and no other type of that package has two bytes: read as bfloat16.
 *  - float8_e5m2 becomes `<f1`, which no other type does (and NumPy itself cannot read): read as that.
 *  - every other one becomes `<V1`, whichever it was: refused, for its bytes could mean a dozen things.
 *  - types by name (`bfloat16`), as some writers give them, are read where an element has whole bytes.
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

/** By name or by the string that NumPy writes for them; all little-endian. */
const EXTENSION_TYPES: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['<V2', 'bfloat16'],
  ['<f1', 'float8e5m2'],
  ['bfloat16', 'bfloat16'],
  ['float8_e4m3fn', 'float8e4m3fn'],
  ['float8_e4m3fnuz', 'float8e4m3fnuz'],
  ['float8_e5m2', 'float8e5m2'],
  ['float8_e5m2fnuz', 'float8e5m2fnuz'],
  ['float8_e8m0fnu', 'float8e8m0'],
]);

/** What an array's elements are, or why they cannot be read. */
export type NumpyType =
  | { readonly dtype: DType; readonly isBigEndian: boolean }
  | { readonly refused: string; readonly hint: string };

/** Types without a counterpart, by what their strings begin with. */
const REFUSED: readonly (readonly [RegExp, string, string])[] = [
  [/^\[/, 'a structured type (records with fields)', 'save each field as an array of its own'],
  [
    /^[<>|=]?O/,
    'Python objects, pickled',
    'they are never loaded; save plain numbers (numpy.stack, or one array each)',
  ],
  [/^[<>|=]?[USa]\d*$/, 'text', 'text is no weight; leave it out'],
  [/^[<>|=]?[mM]8/, 'dates or durations', "save them as .astype('int64')"],
  [
    /^[<>|=]?(f16|f12|c32|c24)$/,
    'extended precision, which differs from machine to machine',
    'save it as .astype(numpy.float64) or complex128',
  ],
  [
    /^<V1$/,
    'a one-byte type of ml_dtypes whose name NumPy does not store',
    'save it as .astype(numpy.float32), or as .safetensors',
  ],
  [
    /^[<>|=]?V\d*$/,
    'raw bytes',
    'bfloat16 that NumPy loaded and saved again? then save it as .view(ml_dtypes.bfloat16).astype(numpy.float32)',
  ],
];

/** The meaning of a header's `descr`: a type string, or the text of a list of fields. */
export const numpyTypeOf = (descr: string): NumpyType => {
  const extension = EXTENSION_TYPES.get(descr);
  if (extension !== undefined) return { dtype: extension, isBigEndian: false };
  const plain = /^([<>|=]?)([a-z]\d+)$/.exec(descr);
  const dtype = plain === null ? undefined : CODES.get(plain[2]!);
  if (plain !== null && dtype !== undefined) return { dtype, isBigEndian: plain[1] === '>' };
  const [, refused, hint] = REFUSED.find(([pattern]) => pattern.test(descr)) ?? [];
  return {
    refused: refused ?? 'a type that ONNX has no counterpart of',
    hint: hint ?? 'convert the array with .astype(numpy.float32) or another plain type before saving',
  };
};
