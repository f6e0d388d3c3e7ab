import { describe, expect, it } from 'vitest';
import { DTYPES, type DType } from '../../src/core/dtype.ts';
import { smallFloatValues } from '../../src/core/small-float.ts';

const valuesOf = (dtype: DType): number[] => [...(smallFloatValues(dtype) ?? [])];

/** Largest and least positive value, and the patterns that are no finite number, as the specifications list them. */
const FACTS: readonly (readonly [DType, number, number, readonly number[]])[] = [
  ['float8e4m3fn', 448, 2 ** -9, [0x7f, 0xff]],
  ['float8e4m3fnuz', 240, 2 ** -10, [0x80]],
  ['float8e5m2', 57344, 2 ** -16, [0x7c, 0x7d, 0x7e, 0x7f, 0xfc, 0xfd, 0xfe, 0xff]],
  ['float8e5m2fnuz', 57344, 2 ** -17, [0x80]],
  ['float8e8m0', 2 ** 127, 2 ** -127, [0xff]],
  ['float6e2m3', 7.5, 0.125, []],
  ['float6e3m2', 28, 0.0625, []],
  ['float4e2m1', 6, 0.5, []],
];

describe('smallFloatValues', () => {
  it.each(FACTS)(
    '%s reaches %d, begins with %d and knows what is no number',
    (dtype, max, least, special) => {
      const values = valuesOf(dtype);
      expect(values).toHaveLength(2 ** DTYPES[dtype].bits);
      const finite = values.filter(Number.isFinite);
      expect(Math.max(...finite)).toBe(max);
      expect(Math.min(...finite.filter((value) => value > 0))).toBe(least);
      expect(values.flatMap((value, i) => (Number.isFinite(value) ? [] : [i]))).toEqual(special);
    },
  );

  it('lists all values of the smallest type', () => {
    expect(valuesOf('float4e2m1')).toEqual([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]);
  });

  it('tells infinity from NaN', () => {
    const values = valuesOf('float8e5m2');
    expect([values[0x7c], values[0xfc], values[0x7d]]).toEqual([Infinity, -Infinity, NaN]);
  });

  it('has nothing for wider types and integers', () => {
    expect(smallFloatValues('float16')).toBeUndefined();
    expect(smallFloatValues('int4')).toBeUndefined();
  });
});
