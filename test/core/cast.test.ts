import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CastTally, castTensor, type FloatDType, float16FromFloat32Bits } from '../../src/core/cast.ts';
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from '../../src/core/half.ts';
import { type Tensor, tensorArray, toFloat32, typedTensor } from '../../src/core/tensor.ts';

const singles = (...values: number[]): Tensor =>
  typedTensor('float32', [values.length], Float32Array.from(values));
const doubles = (...values: number[]): Tensor =>
  typedTensor('float64', [values.length], Float64Array.from(values));
const halvesOf = (tensor: Tensor): number[] => [...tensorArray({ ...tensor, dtype: 'float16' })];
const bitsOf = (value: number): number => new Uint32Array(Float32Array.of(value).buffer)[0]!;

describe('float32 to float16', () => {
  it('agrees with rounding by arithmetic, for any float32', () => {
    fc.assert(
      fc.property(fc.float(), (value) => {
        expect(float16FromFloat32Bits(bitsOf(value)) & (Number.isNaN(value) ? 0x7fff : 0xffff)).toBe(
          numberToFloat16(value),
        );
      }),
      { numRuns: 2000 },
    );
  });
  it('is exact for all 65,536 patterns, and half way between them goes to even', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const wide = castTensor(typedTensor('float16', [65536], all), 'float32');
    const back = halvesOf(castTensor(wide, 'float16'));
    for (let i = 0; i < 65536; i++) {
      const isNotANumber = (i & 0x7fff) > 0x7c00;
      if (isNotANumber ? (back[i]! & 0x7fff) <= 0x7c00 : back[i] !== i)
        throw new Error(`pattern ${i} became ${back[i]}`);
      if (i % 0x8000 >= 0x7bff) continue;
      const between = (float16ToNumber(i) + float16ToNumber(i + 1)) / 2;
      const even = i % 2 === 0 ? i : i + 1;
      if (float16FromFloat32Bits(bitsOf(between)) !== even) throw new Error(`the tie above ${i}`);
    }
  });
  it('overflows at 65520', () => {
    const tally: CastTally = { overflowed: 0 };
    const cast = castTensor(singles(65519, 65520, -1e30, Infinity, NaN, 1), 'float16', tally);
    expect(halvesOf(cast)).toEqual([0x7bff, 0x7c00, 0xfc00, 0x7c00, 0x7e00, 0x3c00]);
    expect(tally.overflowed).toBe(2);
  });
});

describe('other casts', () => {
  it('float32 to bfloat16 rounds to even and keeps NaN', () => {
    fc.assert(
      fc.property(fc.float(), (value) => {
        const bits = tensorArray({ ...castTensor(singles(value), 'bfloat16'), dtype: 'bfloat16' })[0]!;
        if (Number.isNaN(value)) expect(Number.isNaN(bfloat16ToNumber(bits))).toBe(true);
        else expect(bits).toBe(numberToBfloat16(value));
      }),
      { numRuns: 500 },
    );
  });
  it('float64 is rounded once to float16', () => {
    // Through float32 this would become 1: 1 + 2^-11 exactly, a tie that goes down.
    expect(halvesOf(castTensor(doubles(1 + 2 ** -11 + 2 ** -40), 'float16'))).toEqual([0x3c01]);
  });
  it('counts what float64 loses', () => {
    for (const to of ['float32', 'bfloat16', 'float16'] satisfies FloatDType[]) {
      const tally = { overflowed: 0 };
      const { data } = castTensor(doubles(1e300, -1e300, Infinity, NaN, 1), to, tally);
      data.read(0, data.size);
      expect([to, tally.overflowed]).toEqual([to, 2]);
    }
  });
  it('widening is exact', () => {
    const half = typedTensor('bfloat16', [3], Uint16Array.of(0x3f80, 0xff80, 0x0001));
    expect([...toFloat32(castTensor(half, 'float32'))]).toEqual([1, -Infinity, bfloat16ToNumber(1)]);
    const wide = castTensor(singles(0.1), 'float64');
    expect([...tensorArray({ ...wide, dtype: 'float64' })]).toEqual([Math.fround(0.1)]);
  });
  it('reads ranges that cut elements', () => {
    const { data } = castTensor(singles(1, 2, 3), 'float16');
    expect(data.size).toBe(6);
    expect([...data.read(1, 4)]).toEqual([0x3c, 0x00, 0x40, 0x00]);
    expect(() => data.read(4, 3)).toThrow(expect.objectContaining({ code: 'file/truncated' }));
  });
  it('the same type is the same tensor; integers are refused', () => {
    const tensor = singles(1);
    expect(castTensor(tensor, 'float32')).toBe(tensor);
    expect(() => castTensor(typedTensor('int64', [1], BigInt64Array.of(1n)), 'float32')).toThrow(
      expect.objectContaining({ code: 'dtype/unsupported' }),
    );
  });
});
