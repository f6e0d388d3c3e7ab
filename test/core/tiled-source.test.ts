import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import { type Tile, TiledSource, tilingFault } from '../../src/core/tiled-source.ts';

const volume = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);

/** The tensor 0, 1, 2… of these dims, `unit` bytes an element. */
const whole = (dims: readonly number[], unit: number): Uint8Array =>
  Uint8Array.from({ length: volume(dims) * unit }, (_, i) => (i * 7 + (i >> 8)) % 256);

/** The part of a tensor in a box, element by element. */
const partOf = (
  bytes: Uint8Array,
  unit: number,
  dims: readonly number[],
  offsets: readonly number[],
  sizes: readonly number[],
): Tile => {
  const part: number[] = [];
  for (let element = 0; element < volume(dims); element++) {
    let rest = element;
    const index = [...dims].map((_, axis) => {
      const inner = volume(dims.slice(axis + 1));
      const at = Math.floor(rest / inner);
      rest %= inner;
      return at;
    });
    const isIn = index.every((at, axis) => at >= offsets[axis]! && at < offsets[axis]! + sizes[axis]!);
    if (isIn) part.push(...bytes.subarray(element * unit, (element + 1) * unit));
  }
  return { offsets, sizes, data: new BytesSource(Uint8Array.from(part)) };
};

/** Boxes that tile `dims`: it is cut in two again and again, at places that the numbers choose. */
const cutUp = (
  dims: readonly number[],
  cuts: readonly number[],
): { offsets: number[]; sizes: number[] }[] => {
  const boxes = [{ offsets: dims.map(() => 0), sizes: [...dims] }];
  for (const cut of cuts) {
    const box = boxes[cut % boxes.length]!;
    const axis = dims.length === 0 ? -1 : cut % dims.length;
    if (axis < 0 || box.sizes[axis]! < 2) continue;
    const at = 1 + (cut % (box.sizes[axis]! - 1));
    boxes.push({
      offsets: box.offsets.map((offset, i) => offset + (i === axis ? at : 0)),
      sizes: box.sizes.map((size, i) => (i === axis ? size - at : size)),
    });
    box.sizes[axis] = at;
  }
  return boxes.reverse();
};

describe('tiles', () => {
  it('join to the tensor, range by range, however it was cut', () => {
    const dims = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 });
    const cuts = fc.array(fc.nat(1000), { maxLength: 8 });
    fc.assert(
      fc.property(
        dims,
        cuts,
        fc.constantFrom(1, 2, 4, 16),
        fc.nat(),
        fc.nat(),
        (shape, places, unit, a, b) => {
          const bytes = whole(shape, unit);
          const boxes = cutUp(shape, places);
          expect(tilingFault(shape, boxes)).toBeUndefined();
          const tiles = boxes.map(({ offsets, sizes }) => partOf(bytes, unit, shape, offsets, sizes));
          const source = new TiledSource(unit, shape, tiles);
          expect(source.size).toBe(bytes.length);
          const from = a % (bytes.length + 1);
          const length = b % (bytes.length - from + 1);
          expect([...source.read(from, length)]).toEqual([...bytes.subarray(from, from + length)]);
          const target = new Uint8Array(bytes.length);
          source.readInto(target, 0);
          expect(target).toEqual(bytes);
        },
      ),
      { numRuns: 300 },
    );
  });
  it('may be empty', () => {
    const source = new TiledSource(
      4,
      [0, 3],
      [{ offsets: [0, 0], sizes: [0, 3], data: new BytesSource(new Uint8Array(0)) }],
    );
    expect([source.size, source.read(0, 0).length, source.paths]).toEqual([0, 0, []]);
    expect(tilingFault([0, 3], [])).toBeUndefined();
    expect(
      tilingFault(
        [2],
        [
          { offsets: [0], sizes: [2] },
          { offsets: [2], sizes: [0] },
        ],
      ),
    ).toBeUndefined();
  });
  it('name all files', () => {
    const tile = (at: number, path: string): Tile => ({
      offsets: [at],
      sizes: [1],
      data: new BytesSource(new Uint8Array(1), path),
    });
    const source = new TiledSource(1, [3], [tile(0, 'a'), tile(1, 'b'), tile(2, 'a')]);
    expect([source.path, source.paths]).toEqual(['a', ['a', 'b']]);
  });
  it.each<[string, number[], { offsets: number[]; sizes: number[] }[], string]>([
    ['a hole', [4], [{ offsets: [0], sizes: [3] }], '3 of 4 elements'],
    [
      'an overlap',
      [4],
      [
        { offsets: [0], sizes: [3] },
        { offsets: [2], sizes: [2] },
      ],
      'overlap',
    ],
    [
      'a part twice',
      [2, 2],
      [
        { offsets: [0, 0], sizes: [2, 2] },
        { offsets: [0, 0], sizes: [2, 2] },
      ],
      'overlap',
    ],
    [
      'a hole and an overlap',
      [4],
      [
        { offsets: [0], sizes: [2] },
        { offsets: [1], sizes: [2] },
      ],
      'overlap',
    ],
    ['a part beyond the end', [4], [{ offsets: [1], sizes: [4] }], 'outside'],
    ['another rank', [4], [{ offsets: [0, 0], sizes: [2, 2] }], 'outside'],
    [
      'two scalars',
      [],
      [
        { offsets: [], sizes: [] },
        { offsets: [], sizes: [] },
      ],
      'several parts',
    ],
  ])('%s is a fault', (_, dims, boxes, words) => {
    expect(tilingFault(dims, boxes)).toContain(words);
  });
  it('are compared fast, whichever way a large tensor is cut', () => {
    const columns = Array.from({ length: 5000 }, (_, i) => ({ offsets: [0, i], sizes: [9, 1] }));
    const grid = Array.from({ length: 4900 }, (_, i) => ({
      offsets: [i % 70, Math.floor(i / 70)],
      sizes: [1, 1],
    }));
    expect(tilingFault([9, 5000], columns)).toBeUndefined();
    expect(tilingFault([70, 70], grid)).toBeUndefined();
    const same = Array.from({ length: 30_000 }, () => ({ offsets: [0], sizes: [1] }));
    expect(tilingFault([30_000], same)).toContain('overlap');
  });
});
