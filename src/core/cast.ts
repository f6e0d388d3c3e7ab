/**
 * Floats from one width to another, lazily and in chunks: to nearest, ties to even; NaN stays NaN, what is too large
 * becomes infinite (and is counted).
 *
 * float32 to float16 works on the bits: a normal result is (bits − 112·2²³ + half of the dropped 13 bits) >> 13, with
 * the last kept bit breaking ties; a subnormal one is the shifted significand, rounded the same way.
 */
import { ConvertedSource } from './derived-source.ts';
import { byteLengthOf, type DType } from './dtype.ts';
import { OrthoError } from './errors.ts';
import { float16Values, numberToFloat16 } from './half.ts';
import type { Tensor } from './tensor.ts';

export const FLOAT_DTYPES = ['float16', 'bfloat16', 'float32', 'float64'] as const;
export type FloatDType = (typeof FLOAT_DTYPES)[number];

export const isFloatDType = (dtype: DType): dtype is FloatDType =>
  (FLOAT_DTYPES as readonly DType[]).includes(dtype);

/** What a cast did to the values, once its tensor has been read from the start to the end. */
export interface CastTally {
  /** Finite values that became infinite. */
  overflowed: number;
}

/** The float16 bits nearest to the float32 with these bits. */
export const float16FromFloat32Bits = (bits: number): number => {
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  if (size >= 0x47800000) return sign | 0x7c00;
  if (size >= 0x38800000) return sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
  const shift = 126 - (size >>> 23);
  if (shift > 24) return sign;
  const significand = (size & 0x7fffff) | 0x800000;
  const dropped = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const kept = significand >>> shift;
  return sign | (dropped > half || (dropped === half && (kept & 1) === 1) ? kept + 1 : kept);
};

const bfloat16FromFloat32Bits = (bits: number): number =>
  (bits & 0x7fffffff) > 0x7f800000
    ? ((bits >>> 16) & 0x8000) | 0x7fc0
    : ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;

const halves = (bytes: Uint8Array): Uint16Array =>
  new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
const singles = (bytes: Uint8Array): Float32Array =>
  new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const doubles = (bytes: Uint8Array): Float64Array =>
  new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);

const fromFloat16 = (bytes: Uint8Array): Float32Array => {
  const bits = halves(bytes);
  const table = float16Values();
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]!]!;
  return values;
};

/** The upper halves of float32. */
const fromBfloat16 = (bytes: Uint8Array): Float32Array => {
  const bits = halves(bytes);
  const words = new Int32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
};

const DECODE: Record<FloatDType, (bytes: Uint8Array) => Float32Array | Float64Array> = {
  float16: fromFloat16,
  bfloat16: fromBfloat16,
  float32: singles,
  float64: doubles,
};

const wordsOf = ({ buffer, byteOffset, length }: Float32Array): Int32Array =>
  new Int32Array(buffer, byteOffset, length);

/** Normal float16 numbers without a look at each case; gives how many finite values became infinite. */
const toFloat16 = (values: Float32Array, output: Uint8Array): number => {
  const target = halves(output);
  const bits = wordsOf(values);
  let overflowed = 0;
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const size = word & 0x7fffffff;
    // From the least normal number up to what is rounded to infinity.
    if (size >= 0x38800000 && size < 0x477ff000) {
      target[i] = ((word >>> 16) & 0x8000) | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
      continue;
    }
    const half = float16FromFloat32Bits(word);
    target[i] = half;
    if ((half & 0x7fff) === 0x7c00 && size !== 0x7f800000) overflowed++;
  }
  return overflowed;
};

const toBfloat16 = (values: Float32Array, output: Uint8Array): number => {
  const target = halves(output);
  const bits = wordsOf(values);
  let overflowed = 0;
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const half = bfloat16FromFloat32Bits(word);
    target[i] = half;
    if ((half & 0x7fff) === 0x7f80 && (word & 0x7fffffff) !== 0x7f800000) overflowed++;
  }
  return overflowed;
};

/** Doubles are rounded once, straight to float16. */
const doublesToFloat16 = (values: Float64Array, output: Uint8Array): number => {
  const target = halves(output);
  let overflowed = 0;
  for (let i = 0; i < values.length; i++) {
    const half = numberToFloat16(values[i]!);
    target[i] = half;
    if ((half & 0x7fff) === 0x7c00 && Math.abs(values[i]!) !== Infinity) overflowed++;
  }
  return overflowed;
};

const toFloat32 = (values: Float32Array | Float64Array, target: Float32Array): number => {
  target.set(values);
  if (values instanceof Float32Array) return 0;
  let overflowed = 0;
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(target[i]!) === Infinity && Math.abs(values[i]!) !== Infinity) overflowed++;
  }
  return overflowed;
};

/** Writes values as a float type; gives how many finite ones became infinite. */
const ENCODE: Record<FloatDType, (values: Float32Array | Float64Array, output: Uint8Array) => number> = {
  float16: (values, output) =>
    values instanceof Float64Array ? doublesToFloat16(values, output) : toFloat16(values, output),
  // A double goes through float32, as in PyTorch.
  bfloat16: (values, output) => {
    const narrow = values instanceof Float64Array ? new Float32Array(values.length) : values;
    const lost = narrow === values ? 0 : toFloat32(values, narrow);
    return lost + toBfloat16(narrow, output);
  },
  float32: (values, output) => toFloat32(values, singles(output)),
  float64: (values, output) => {
    doubles(output).set(values);
    return 0;
  },
};

/** Float elements as numbers: exact (halves as float32). The bytes are aligned to their type; may be a view of them. */
export const decodeFloats = (dtype: FloatDType, bytes: Uint8Array): Float32Array | Float64Array =>
  DECODE[dtype](bytes);

/** Writes numbers as elements of a float type; gives how many finite ones became infinite. */
export const encodeFloats = (
  dtype: FloatDType,
  values: Float32Array | Float64Array,
  output: Uint8Array,
): number => ENCODE[dtype](values, output);

/**
 * The tensor with its elements cast to another float type when they are read.
 * @param tally is kept up to date while the result is read in order.
 * @throws OrthoError dtype/unsupported when the tensor has no float type of 16 to 64 bits
 */
export const castTensor = (tensor: Tensor, to: FloatDType, tally?: CastTally): Tensor => {
  const { dtype, dims } = tensor;
  if (dtype === to) return tensor;
  if (!isFloatDType(dtype)) throw new OrthoError('dtype/unsupported', `${dtype} cannot be cast to ${to}`);
  const convert = (input: Uint8Array, output: Uint8Array): void => {
    const overflowed = ENCODE[to](DECODE[dtype](input), output);
    if (tally !== undefined) tally.overflowed += overflowed;
  };
  const data = new ConvertedSource(tensor.data, byteLengthOf(dtype, 1), byteLengthOf(to, 1), convert);
  return { dtype: to, dims, data };
};
