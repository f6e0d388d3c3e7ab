import { describe, expect, it } from 'vitest';
import {
  ConvertedSource,
  contiguousStrides,
  isContiguous,
  StridedSource,
  swappedSource,
} from '../../src/core/derived-source.ts';
import { BytesSource } from '../../src/core/source.ts';

const source = (...bytes: number[]) => new BytesSource(Uint8Array.from(bytes));

describe('strides', () => {
  it('of a row-major tensor', () => {
    expect(contiguousStrides([2, 3, 4])).toEqual([12, 4, 1]);
    expect(contiguousStrides([])).toEqual([]);
    expect(contiguousStrides([2, 0, 3])).toEqual([3, 3, 1]);
  });
  it('are contiguous whatever axes of size 1 say', () => {
    expect(isContiguous([2, 1, 3], [3, 99, 1])).toBe(true);
    expect(isContiguous([2, 3], [1, 2])).toBe(false);
    expect(isContiguous([4], [0])).toBe(false);
    expect(isContiguous([0, 3], [7, 7])).toBe(true);
  });
});

describe('StridedSource', () => {
  // Rows [1, 2], [3, 4], [5, 6] of 16-bit elements, transposed.
  const transposed = new StridedSource(source(1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0), 2, [2, 3], [1, 2], 0);
  it('gathers the whole', () => {
    expect([...transposed.read(0, 12)]).toEqual([1, 0, 3, 0, 5, 0, 2, 0, 4, 0, 6, 0]);
  });
  it('gathers any range', () => {
    const whole = [...transposed.read(0, 12)];
    for (let from = 0; from <= 12; from++) {
      for (let to = from; to <= 12; to++)
        expect([...transposed.read(from, to - from)]).toEqual(whole.slice(from, to));
    }
    const target = new Uint8Array(3);
    transposed.readInto(target, 2);
    expect([...target]).toEqual(whole.slice(2, 5));
  });
  it('repeats an expanded element', () => {
    expect([...new StridedSource(source(7, 8), 1, [3], [0], 1).read(0, 3)]).toEqual([8, 8, 8]);
  });
  it('refuses what lies outside', () => {
    expect(() => transposed.read(10, 3)).toThrow(expect.objectContaining({ code: 'file/truncated' }));
    expect(() => transposed.read(-1, 1)).toThrow(expect.objectContaining({ code: 'file/truncated' }));
  });
});

describe('ConvertedSource', () => {
  it('swaps bytes', () => {
    const swapped = swappedSource(source(1, 2, 3, 4), 2);
    expect([...swapped.read(0, 4)]).toEqual([2, 1, 4, 3]);
    expect([...swapped.read(1, 2)]).toEqual([1, 4]);
    const bytes = source(1, 2);
    expect(swappedSource(bytes, 1)).toBe(bytes);
  });
  it('changes the width of elements and leaves the base alone', () => {
    const base = source(1, 2, 3);
    const widened = new ConvertedSource(base, 1, 2, (input, output) => {
      input.forEach((byte, i) => {
        output[2 * i] = byte;
      });
      input.fill(0);
    });
    expect(widened.size).toBe(6);
    expect([...widened.read(0, 6)]).toEqual([1, 0, 2, 0, 3, 0]);
    expect([...base.read(0, 3)]).toEqual([1, 2, 3]);
    expect(() => widened.read(5, 2)).toThrow(expect.objectContaining({ code: 'file/truncated' }));
  });
});
