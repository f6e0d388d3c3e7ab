import { describe, expect, it } from 'vitest';
import { DTYPES, type DType } from '../../src/core/dtype.ts';
import { numberToBfloat16, numberToFloat16 } from '../../src/core/half.ts';
import { createRng } from '../../src/core/rng.ts';
import { BytesSource } from '../../src/core/source.ts';
import { hasStatistics, histogram, tensorStatistics } from '../../src/core/tensor-statistics.ts';

const bytesOf = (array: { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const source = (array: { buffer: ArrayBufferLike; byteOffset: number; byteLength: number }) =>
  new BytesSource(bytesOf(array));

/** Two passes over plain numbers. */
const plainStatistics = (values: readonly number[]) => {
  const finite = values.filter(Number.isFinite);
  const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
  return {
    count: values.length,
    min: finite.reduce((least, value) => Math.min(least, value), Infinity),
    max: finite.reduce((most, value) => Math.max(most, value), -Infinity),
    mean,
    std: Math.sqrt(finite.reduce((sum, value) => sum + (value - mean) ** 2, 0) / finite.length),
    norm: Math.sqrt(finite.reduce((sum, value) => sum + value ** 2, 0)),
    zeros: finite.filter((value) => value === 0).length,
    nans: values.filter(Number.isNaN).length,
    infinities: values.filter((value) => Math.abs(value) === Infinity).length,
  };
};

const expectSame = (found: ReturnType<typeof tensorStatistics>, values: readonly number[]): void => {
  const expected = plainStatistics(values);
  for (const key of ['count', 'min', 'max', 'zeros', 'nans', 'infinities'] as const) {
    expect(found[key], key).toBe(expected[key]);
  }
  for (const key of ['mean', 'std', 'norm'] as const) {
    expect(Math.abs((found[key] ?? NaN) - expected[key]), key).toBeLessThanOrEqual(
      1e-12 * Math.max(1, expected.norm),
    );
  }
};

/** More elements than are read at once; some of everything that is special. */
const mixed = (count: number): number[] => {
  const rng = createRng(count);
  return Array.from({ length: count }, (_, i) => {
    if (i % 997 === 5) return NaN;
    if (i % 1999 === 7) return i % 2 === 0 ? Infinity : -Infinity;
    return i % 13 === 0 ? 0 : 3 + rng.normal();
  });
};

describe('tensorStatistics', () => {
  it('agrees with two passes over float64 and float32', () => {
    const values = mixed(50_001);
    expectSame(tensorStatistics('float64', source(Float64Array.from(values))), values);
    const singles = Float32Array.from(values);
    expectSame(tensorStatistics('float32', source(singles)), [...singles]);
  });

  it.each([
    ['float16', numberToFloat16],
    ['bfloat16', numberToBfloat16],
  ] as const)('gives the same for few and for many %s', (dtype, encode) => {
    for (const count of [100, 70_001]) {
      const halves = Uint16Array.from(mixed(count), encode);
      const decoded = Array.from(halves, (bits) =>
        dtype === 'bfloat16'
          ? new Float32Array(Uint32Array.of(bits << 16).buffer)[0]!
          : (bits >> 15 === 1 ? -1 : 1) *
            ((bits & 0x7c00) === 0x7c00
              ? (bits & 0x3ff) === 0
                ? Infinity
                : NaN
              : (bits & 0x7c00) === 0
                ? (bits & 0x3ff) * 2 ** -24
                : (1024 + (bits & 0x3ff)) * 2 ** (((bits >> 10) & 31) - 25)),
      );
      expectSame(tensorStatistics(dtype, source(halves)), decoded);
    }
  });

  it('knows integers of all widths, also beyond 2^53', () => {
    expectSame(tensorStatistics('int8', source(Int8Array.of(-128, 0, 127, 5))), [-128, 0, 127, 5]);
    expectSame(tensorStatistics('uint8', source(Uint8Array.of(255, 0, 1))), [255, 0, 1]);
    expectSame(tensorStatistics('bool', source(Uint8Array.of(1, 0, 1))), [1, 0, 1]);
    expectSame(tensorStatistics('int16', source(Int16Array.of(-32768, 32767))), [-32768, 32767]);
    expectSame(tensorStatistics('uint16', source(Uint16Array.of(65535, 0))), [65535, 0]);
    expectSame(tensorStatistics('int32', source(Int32Array.of(-(2 ** 31), 7))), [-(2 ** 31), 7]);
    expectSame(tensorStatistics('uint32', source(Uint32Array.of(2 ** 32 - 1, 0))), [2 ** 32 - 1, 0]);
    const wide = tensorStatistics('int64', source(BigInt64Array.of(-(2n ** 63n), -1n, 0n, 2n ** 40n + 1n)));
    expect([wide.min, wide.max, wide.zeros]).toEqual([-(2 ** 63), 2 ** 40 + 1, 1]);
    const unsigned = tensorStatistics('uint64', source(BigUint64Array.of(2n ** 64n - 1n, 1n)));
    expect([unsigned.min, unsigned.max]).toEqual([1, 2 ** 64]);
  });

  it('unpacks types of less than a byte and leaves the padding out', () => {
    // 1, -8, 7 and padding.
    expectSame(tensorStatistics('int4', source(Uint8Array.of(0x81, 0xf7)), 3), [1, -8, 7]);
    expectSame(tensorStatistics('uint2', source(Uint8Array.of(0b11100100))), [0, 1, 2, 3]);
    expectSame(tensorStatistics('float4e2m1', source(Uint8Array.of(0xf7, 0x10))), [6, -6, 0, 0.5]);
    // Four elements in three bytes: patterns 1, 2, 31, 32.
    const bits = 1 | (2 << 6) | (31 << 12) | (32 << 18);
    const six = Uint8Array.of(bits & 255, (bits >> 8) & 255, (bits >> 16) & 255);
    expectSame(tensorStatistics('float6e2m3', source(six)), [0.125, 0.25, 7.5, -0]);
    expectSame(tensorStatistics('float8e4m3fn', source(Uint8Array.of(0x7e, 0x7f, 0, 1))), [
      448,
      NaN,
      0,
      2 ** -9,
    ]);
  });

  it('counts zeros and subnormal numbers apart', () => {
    const words = Uint32Array.of(0, 0x80000000, 1, 0x807fffff, 0x00800000, 0x80800000, 0x3f800000);
    const singles = tensorStatistics('float32', source(words));
    expect([singles.zeros, singles.subnormals]).toEqual([2, 2]);
    const doubles = Float64Array.of(0, -0, 5e-324, -2.2e-308, 2.3e-308, 1);
    const found = tensorStatistics('float64', source(doubles));
    expect([found.zeros, found.subnormals, found.min]).toEqual([2, 2, -2.2e-308]);
    const halves = Uint16Array.of(0, 0x8000, 1, 0x83ff, 0x0400);
    for (const repeat of [1, 20_000]) {
      const many = new Uint16Array(halves.length * repeat);
      for (let i = 0; i < repeat; i++) many.set(halves, i * halves.length);
      const { zeros, subnormals } = tensorStatistics('float16', source(many));
      expect([zeros, subnormals]).toEqual([2 * repeat, 2 * repeat]);
    }
  });

  it('does not lose a small spread beside a large mean', () => {
    const values = Float64Array.from({ length: 100_000 }, (_, i) => 1e9 + (i % 2));
    const { mean, std } = tensorStatistics('float64', source(values));
    expect(mean).toBe(1e9 + 0.5);
    expect(std).toBeCloseTo(0.5, 9);
  });

  it('has no values where there are none, and no squares where they overflow', () => {
    const empty = tensorStatistics('float32', new BytesSource(new Uint8Array(0)));
    expect(empty).toMatchObject({ count: 0, min: null, max: null, mean: null, std: null, norm: 0 });
    const nothing = tensorStatistics('float32', source(Float32Array.of(NaN, Infinity)));
    expect(nothing).toMatchObject({ count: 2, min: null, norm: 0, nans: 1, infinities: 1 });
    const large = tensorStatistics('float64', source(Float64Array.of(1e200, -1e200, NaN)));
    expect(large).toMatchObject({ min: -1e200, max: 1e200, std: null, norm: null, nans: 1 });
  });

  it('gives complex tensors a norm, and no order', () => {
    const parts = Float32Array.of(3, 4, 0, 0, NaN, 1, 0, 1e-40);
    expect(tensorStatistics('complex64', source(parts))).toEqual({
      count: 4,
      min: null,
      max: null,
      mean: null,
      std: null,
      norm: Math.sqrt(26 + Math.fround(1e-40) ** 2),
      zeros: 1,
      subnormals: 1,
      nans: 1,
      infinities: 0,
    });
  });

  it('reads every numeric type, and says so', () => {
    for (const dtype of Object.keys(DTYPES) as DType[]) {
      expect(hasStatistics(dtype)).toBe(dtype !== 'string');
      if (dtype !== 'string')
        expect(tensorStatistics(dtype, new BytesSource(new Uint8Array(48))).zeros > 0).toBe(
          dtype !== 'float8e8m0',
        );
    }
    expect(() => tensorStatistics('string', new BytesSource(new Uint8Array(0)))).toThrowError(
      expect.objectContaining({ code: 'dtype/unsupported' }),
    );
  });
});

describe('histogram', () => {
  it('counts the borders, what lies outside and what is no number', () => {
    const values = Float32Array.of(-1, 0, 0.5, 1, 1.5, 2, 3, NaN, Infinity, -Infinity);
    expect(histogram('float32', source(values), 4, 0, 2)).toEqual({
      counts: [1, 1, 1, 2],
      below: 1,
      above: 1,
      nonFinite: 3,
    });
  });

  it('gives the same for many halves as for few', () => {
    const halves = Uint16Array.from({ length: 70_000 }, (_, i) => numberToFloat16((i % 7) / 8));
    const { counts } = histogram('float16', source(halves), 7, 0, 7 / 8);
    expect(counts).toEqual(new Array(7).fill(10_000));
  });

  it('works over the whole range of doubles, and over none', () => {
    const { MAX_VALUE } = Number;
    const ends = source(Float64Array.of(-MAX_VALUE, 0, MAX_VALUE));
    expect(histogram('float64', ends, 2, -MAX_VALUE, MAX_VALUE).counts).toEqual([1, 2]);
    expect(histogram('int8', source(Int8Array.of(5, 5)), 3, 5, 5).counts).toEqual([2, 0, 0]);
  });

  it('refuses complex numbers', () => {
    expect(() => histogram('complex64', new BytesSource(new Uint8Array(8)), 4, 0, 1)).toThrowError(
      expect.objectContaining({ code: 'dtype/unsupported' }),
    );
  });
});
