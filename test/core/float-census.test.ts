import { describe, expect, it } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { countFloats, hasFloatCensus } from '../../src/core/float-census.ts';
import { bfloat16ToNumber, float16ToNumber } from '../../src/core/half.ts';
import { BytesSource } from '../../src/core/source.ts';

const bytesOf = (array: { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** The same bytes at an odd offset of their buffer. */
const misaligned = (bytes: Uint8Array): Uint8Array => {
  const padded = new Uint8Array(bytes.length + 3);
  padded.set(bytes, 3);
  return padded.subarray(3);
};

const count = (dtype: DType, bytes: Uint8Array) => countFloats(dtype, new BytesSource(bytes));

describe('countFloats', () => {
  it.each([
    ['float16', float16ToNumber, 2 ** -14],
    ['bfloat16', bfloat16ToNumber, 2 ** -126],
  ] as const)('judges every %s pattern as its value says', (dtype, decode, smallestNormal) => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = Array.from(patterns, decode);
    expect(count(dtype, bytesOf(patterns))).toEqual({
      subnormals: values.filter((value) => value !== 0 && Math.abs(value) < smallestNormal).length,
      nans: values.filter(Number.isNaN).length,
      infinities: values.filter((value) => Math.abs(value) === Number.POSITIVE_INFINITY).length,
    });
  });

  it('finds the borders of float32', () => {
    const words = Uint32Array.of(
      0x00000000,
      0x80000000,
      0x00000001,
      0x807fffff,
      0x00800000,
      0x7f7fffff,
      0x7f800000,
      0xff800000,
      0x7f800001,
      0xffc00001,
      0x3f800000,
    );
    const expected = { subnormals: 2, nans: 2, infinities: 2 };
    expect(count('float32', bytesOf(words))).toEqual(expected);
    expect(count('float32', misaligned(bytesOf(words)))).toEqual(expected);
  });

  it('looks at both halves of float64', () => {
    const values = Float64Array.of(0, -0, 5e-324, -2.2e-308, 2.3e-308, 1, Infinity, -Infinity, NaN);
    const bytes = bytesOf(values);
    expect(count('float64', bytes)).toEqual({ subnormals: 2, nans: 1, infinities: 2 });
    const lowOnly = bytesOf(Uint32Array.of(1, 0x7ff00000, 1, 0, 1, 0x80000000));
    expect(count('float64', misaligned(lowOnly))).toEqual({ subnormals: 2, nans: 1, infinities: 0 });
  });

  it('counts real and imaginary parts apart', () => {
    expect(count('complex64', bytesOf(Float32Array.of(NaN, 1, 1e-40, Infinity)))).toEqual({
      subnormals: 1,
      nans: 1,
      infinities: 1,
    });
    expect(count('complex128', bytesOf(Float64Array.of(NaN, 1e-310)))).toEqual({
      subnormals: 1,
      nans: 1,
      infinities: 0,
    });
  });

  it.each([
    ['float8e4m3fn', 2, 0],
    ['float8e4m3fnuz', 1, 0],
    ['float8e5m2', 6, 2],
    ['float8e5m2fnuz', 1, 0],
    ['float8e8m0', 1, 0],
  ] as const)('knows the patterns of %s', (dtype, nans, infinities) => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(count(dtype, all)).toEqual({ subnormals: 0, nans, infinities });
  });

  it('crosses chunks', () => {
    const values = new Float32Array(200_000).fill(1);
    for (const index of [0, 32_767, 32_768, 199_999]) values[index] = 1e-42;
    values[100_000] = NaN;
    const expected = { subnormals: 4, nans: 1, infinities: 0 };
    expect(count('float32', bytesOf(values))).toEqual(expected);
    expect(count('float32', misaligned(bytesOf(values)))).toEqual(expected);
  });

  it('has nothing to count in integers and small floats', () => {
    for (const dtype of ['int64', 'uint8', 'bool', 'float4e2m1', 'float6e2m3', 'string'] as const) {
      expect(hasFloatCensus(dtype)).toBe(false);
      expect(count(dtype, new Uint8Array(16).fill(255))).toEqual({ subnormals: 0, nans: 0, infinities: 0 });
    }
  });
});
