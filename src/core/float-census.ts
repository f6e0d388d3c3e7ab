/**
 * Counts what is special in stored floats, by bit tests on chunks: no element becomes a JS number it need not be.
 *
 * IEEE 754 binary formats: exponent all zeros and fraction not zero = subnormal; exponent all ones = infinity
 * (fraction zero) or NaN. The 8-bit formats follow the OCP / ONNX definitions: e4m3fn has one NaN pattern a sign,
 * the fnuz types have NaN at 0x80 only, e5m2 is IEEE-like, e8m0 has NaN at 0xff. The 4- and 6-bit types have neither.
 */
import type { DType } from './dtype.ts';
import { type ByteSource, chunksOf } from './source.ts';

export interface FloatCensus {
  /** Subnormal elements; always 0 for 8-bit formats, where they cost nothing. */
  readonly subnormals: number;
  readonly nans: number;
  readonly infinities: number;
}

const NONE: FloatCensus = { subnormals: 0, nans: 0, infinities: 0 };

/** Bits of one lane of 16 or 32 bits: where its exponent is; a complex number is two lanes. */
interface Lane {
  readonly bits: 16 | 32 | 64;
  readonly exponent: number;
  readonly fraction: number;
}

/** For 64 bits the masks are those of the upper half. */
const LANES: Partial<Record<DType, Lane>> = {
  float16: { bits: 16, exponent: 0x7c00, fraction: 0x03ff },
  bfloat16: { bits: 16, exponent: 0x7f80, fraction: 0x007f },
  float32: { bits: 32, exponent: 0x7f800000, fraction: 0x007fffff },
  complex64: { bits: 32, exponent: 0x7f800000, fraction: 0x007fffff },
  float64: { bits: 64, exponent: 0x7ff00000, fraction: 0x000fffff },
  complex128: { bits: 64, exponent: 0x7ff00000, fraction: 0x000fffff },
};

/** NaN and infinity patterns of the 8-bit formats. */
const BYTES: Partial<
  Record<DType, { readonly nans: readonly number[]; readonly infinities: readonly number[] }>
> = {
  float8e4m3fn: { nans: [0x7f, 0xff], infinities: [] },
  float8e4m3fnuz: { nans: [0x80], infinities: [] },
  float8e5m2: { nans: [0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff], infinities: [0x7c, 0xfc] },
  float8e5m2fnuz: { nans: [0x80], infinities: [] },
  float8e8m0: { nans: [0xff], infinities: [] },
};

/** Bytes that are looked at together: they stay in the processor's cache. */
const CHUNK = 1 << 17;

/** Aligned memory for chunks that are not. */
let aligned: Uint8Array | undefined;

/** The chunk where its words are aligned, or a copy that is (valid until the next one). */
const align = (chunk: Uint8Array): Uint8Array => {
  if (chunk.byteOffset % 4 === 0) return chunk;
  aligned ??= new Uint8Array(CHUNK);
  aligned.set(chunk);
  return aligned.subarray(0, chunk.length);
};

const countBytes = (
  data: ByteSource,
  patterns: { readonly nans: readonly number[]; readonly infinities: readonly number[] },
): FloatCensus => {
  const seen = new Float64Array(256);
  for (const chunk of chunksOf(data, CHUNK)) for (const byte of chunk) seen[byte] = seen[byte]! + 1;
  const total = (bytes: readonly number[]): number => bytes.reduce((sum, byte) => sum + seen[byte]!, 0);
  return { subnormals: 0, nans: total(patterns.nans), infinities: total(patterns.infinities) };
};

/**
 * Lanes whose exponent is all zeros or all ones: with 1 added to it, all of its upper bits are zero. Words are signed so
 * that they stay small integers.
 */
const countLanes = (data: ByteSource, { bits, exponent, fraction }: Lane): FloatCensus => {
  let subnormals = 0;
  let nans = 0;
  let infinities = 0;
  const step = bits === 64 ? 2 : 1;
  const unit = (exponent & -exponent) | 0;
  const upper = exponent & ~unit;
  for (const chunk of chunksOf(data, CHUNK)) {
    const { buffer, byteOffset, length } = align(chunk);
    const lanes: Int16Array | Int32Array =
      bits === 16
        ? new Int16Array(buffer, byteOffset, length >> 1)
        : new Int32Array(buffer, byteOffset, length >> 2);
    const { length: count } = lanes;
    for (let i = step - 1; i < count; i += step) {
      const lane = lanes[i]!;
      if (((lane + unit) & upper) !== 0) continue;
      const hasFraction = (lane & fraction) !== 0 || (step === 2 && lanes[i - 1] !== 0);
      if ((lane & exponent) === 0) subnormals += hasFraction ? 1 : 0;
      else if (hasFraction) nans++;
      else infinities++;
    }
  }
  return { subnormals, nans, infinities };
};

/** Whether elements of this type can be subnormal, NaN or infinite at all. */
export const hasFloatCensus = (dtype: DType): boolean => dtype in LANES || dtype in BYTES;

/**
 * Subnormal, NaN and infinite elements in the little-endian storage of a tensor (real and imaginary parts count
 * apart). Zero for types that have none. Reads the source once, chunk by chunk.
 */
export const countFloats = (dtype: DType, data: ByteSource): FloatCensus => {
  const lane = LANES[dtype];
  if (lane !== undefined) return countLanes(data, lane);
  const patterns = BYTES[dtype];
  return patterns === undefined ? NONE : countBytes(data, patterns);
};
