import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contiguousStrides, StridedSource } from '../../src/core/derived-source.ts';
import { gather, type StridedView } from '../../src/core/gather.ts';
import { type ByteSource, BytesSource } from '../../src/core/source.ts';

/** The view element by element, by the definition. */
const expected = ({ base, unit, dims, strides, start }: StridedView): Uint8Array => {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const result = new Uint8Array(count * unit);
  for (let i = 0; i < count; i++) {
    let rest = i;
    let from = start;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += (rest % dims[axis]!) * strides[axis]!;
      rest = Math.floor(rest / dims[axis]!);
    }
    result.set(base.read(from * unit, unit), i * unit);
  }
  return result;
};

/** Counts what is read of a source. */
class CountedSource implements ByteSource {
  readonly path = undefined;
  readonly size: number;
  bytes = 0;
  reads = 0;
  largest = 0;
  readonly #base: ByteSource;
  constructor(base: ByteSource) {
    this.#base = base;
    this.size = base.size;
  }
  read(offset: number, length: number): Uint8Array {
    this.bytes += length;
    this.reads++;
    this.largest = Math.max(this.largest, length);
    return this.#base.read(offset, length);
  }
  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}

const axis = fc.record({ dim: fc.integer({ min: 1, max: 5 }), stride: fc.integer({ min: -4, max: 40 }) });
const view = fc
  .record({ axes: fc.array(axis, { maxLength: 4 }), unit: fc.constantFrom(1, 2, 4, 8, 16, 3) })
  .map(({ axes, unit }): StridedView => {
    const reach = (sign: number) =>
      axes.reduce((sum, { dim, stride }) => sum + Math.max(0, sign * stride) * (dim - 1), 0);
    const start = reach(-1);
    const bytes = Uint8Array.from({ length: (start + reach(1) + 1) * unit }, (_, i) => (i * 131) >> 3);
    const [dims, strides] = [axes.map(({ dim }) => dim), axes.map(({ stride }) => stride)];
    return { base: new BytesSource(bytes), unit, dims, strides, start };
  });

describe('gather', () => {
  it('gives any range of any view: permuted, sliced, flipped, expanded, overlapping', () => {
    fc.assert(
      fc.property(
        view,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (one, a, b) => {
          const whole = expected(one);
          const count = whole.length / one.unit;
          const first = Math.floor(a * count);
          const length = Math.ceil(b * (count - first));
          const output = new Uint8Array(length * one.unit);
          gather(one, first, output);
          expect([...output]).toEqual([...whole.subarray(first * one.unit, (first + length) * one.unit)]);
        },
      ),
    );
  });
  it.each([1, 2, 3, 4, 8, 16])('transposes what is no multiple of a tile, elements of %d bytes', (unit) => {
    const [rows, columns, planes] = [37, 50, 2];
    const bytes = Uint8Array.from({ length: rows * columns * planes * unit }, (_, i) => (i * 131) >> 3);
    const plane = rows * columns;
    for (const strides of [
      [plane, 1, columns],
      [1, columns, plane],
      [plane, -1, columns],
    ]) {
      const dims = strides[0] === 1 ? [columns, rows, planes] : [planes, columns, rows];
      const start = strides.includes(-1) ? columns - 1 : 0;
      const one: StridedView = { base: new BytesSource(bytes), unit, dims, strides, start };
      const whole = expected(one);
      for (const [first, count] of [
        [0, plane * planes],
        [rows + 5, 3 * rows * 20],
      ] as const) {
        const output = new Uint8Array(count * unit);
        gather(one, first, output);
        expect(Buffer.compare(output, whole.subarray(first * unit, (first + count) * unit))).toBe(0);
      }
    }
  });
  it('keeps the bits of every NaN', () => {
    const bits = Uint32Array.of(0x7ff00001, 0xfff7ffff, 0x00000001, 0x7ff80000, 0xdeadbeef, 0xffffffff, 1, 2);
    const base = new BytesSource(new Uint8Array(bits.buffer));
    const output = new Uint8Array(32);
    gather({ base, unit: 8, dims: [2, 2], strides: [1, 2], start: 0 }, 0, output);
    expect([...new Uint32Array(output.buffer)]).toEqual([0, 1, 4, 5, 2, 3, 6, 7].map((i) => bits[i]));
  });
});

describe('a large matrix, transposed', () => {
  const [rows, columns] = [3000, 2000];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => i);
  const base = new BytesSource(new Uint8Array(values.buffer));
  it('is gathered in windows, reading the source a few times at most', () => {
    const counted = new CountedSource(base);
    const source = new StridedSource(counted, 4, [columns, rows], [1, columns], 0);
    const chunk = 1 << 20;
    let right = 0;
    for (let at = 0; at < source.size; at += chunk) {
      const bytes = source.read(at, Math.min(chunk, source.size - at));
      const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
      floats.forEach((value, i) => {
        const k = at / 4 + i;
        if (value === (k % rows) * columns + Math.floor(k / rows)) right++;
      });
    }
    expect(right).toBe(rows * columns);
    expect(counted.largest).toBeLessThanOrEqual(1 << 20);
    expect(counted.bytes).toBeLessThan(4 * base.size);
  });
  it('a few elements of it cost no more than a block', () => {
    const counted = new CountedSource(base);
    const source = new StridedSource(counted, 4, [columns, rows], [1, columns], 0);
    source.read(0, 16);
    source.read(16, 16);
    expect(counted.bytes).toBeLessThanOrEqual(base.size + (1 << 20));
  });
  it('one column of it is read where it lies', () => {
    const wide = new CountedSource(base);
    const column = new StridedSource(wide, 4, [rows / 10], [columns * 10], 7);
    const bytes = column.read(0, column.size);
    expect([...new Float32Array(bytes.buffer)].slice(0, 2)).toEqual([7, 7 + columns * 10]);
    expect(wide.bytes).toBe(column.size);
  });
});

it('ranges that begin and end inside an element', () => {
  const base = new BytesSource(Uint8Array.from({ length: 24 }, (_, i) => i));
  const source = new StridedSource(base, 4, [3, 2], contiguousStrides([3, 2]), 0);
  const flipped = new StridedSource(base, 4, [6], [-1], 5);
  const whole = [...flipped.read(0, 24)];
  expect(whole).toEqual([
    20, 21, 22, 23, 16, 17, 18, 19, 12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
  ]);
  for (let from = 0; from < 24; from++) {
    const target = new Uint8Array(24 - from);
    flipped.readInto(target, from);
    expect([...target]).toEqual(whole.slice(from));
    expect([...source.read(from, 1)]).toEqual([from]);
  }
});
