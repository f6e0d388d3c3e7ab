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
import { bfloat16ToNumber, float16ToNumber, numberToFloat16 } from './half.ts';
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

const float32 = new Float32Array(1);
const bits32 = new Uint32Array(float32.buffer);

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

const words = (bytes: Uint8Array): Uint16Array =>
  new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);

type Reader = (bytes: Uint8Array) => ArrayLike<number>;
const READERS: Record<FloatDType, Reader> = {
  float16: (bytes) => Float32Array.from(words(bytes), float16ToNumber),
  bfloat16: (bytes) => Float32Array.from(words(bytes), bfloat16ToNumber),
  float32: (bytes) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4),
  float64: (bytes) => new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8),
};

const viaFloat32 = (value: number, encode: (bits: number) => number): number => {
  float32[0] = value;
  return encode(bits32[0]!);
};

type Writer = (values: ArrayLike<number>, output: Uint8Array, isDouble: boolean) => void;
const WRITERS: Record<FloatDType, Writer> = {
  float16: (values, output, isDouble) => {
    const target = words(output);
    for (let i = 0; i < values.length; i++) {
      // A double is rounded once, straight to half.
      target[i] = isDouble ? numberToFloat16(values[i]!) : viaFloat32(values[i]!, float16FromFloat32Bits);
    }
  },
  bfloat16: (values, output) => {
    const target = words(output);
    for (let i = 0; i < values.length; i++) target[i] = viaFloat32(values[i]!, bfloat16FromFloat32Bits);
  },
  float32: (values, output) => {
    new Float32Array(output.buffer, output.byteOffset, output.length / 4).set(values);
  },
  float64: (values, output) => {
    new Float64Array(output.buffer, output.byteOffset, output.length / 8).set(values);
  },
};

/** Finite values whose cast is infinite. */
const countOverflows = (values: ArrayLike<number>, output: Uint8Array, to: FloatDType): number => {
  const cast = READERS[to](output);
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    if (Math.abs(cast[i]!) === Infinity && Math.abs(values[i]!) !== Infinity) count++;
  }
  return count;
};

/** Orders the types by exponent range. */
const RANGE: Record<FloatDType, number> = { float16: 0, bfloat16: 1, float32: 1, float64: 2 };

/**
 * The tensor with its elements cast to another float type when they are read.
 * @param tally is kept up to date while the result is read in order.
 * @throws OrthoError dtype/unsupported when the tensor has no float type of 16 to 64 bits
 */
export const castTensor = (tensor: Tensor, to: FloatDType, tally?: CastTally): Tensor => {
  const { dtype, dims } = tensor;
  if (dtype === to) return tensor;
  if (!isFloatDType(dtype)) throw new OrthoError('dtype/unsupported', `${dtype} cannot be cast to ${to}`);
  const mayOverflow = tally !== undefined && RANGE[to] < RANGE[dtype];
  const mayRoundOver = tally !== undefined && dtype === 'float32' && to === 'bfloat16';
  const convert = (input: Uint8Array, output: Uint8Array): void => {
    const values = READERS[dtype](input);
    WRITERS[to](values, output, dtype === 'float64');
    if (tally !== undefined && (mayOverflow || mayRoundOver)) {
      tally.overflowed += countOverflows(values, output, to);
    }
  };
  const data = new ConvertedSource(tensor.data, byteLengthOf(dtype, 1), byteLengthOf(to, 1), convert);
  return { dtype: to, dims, data };
};
