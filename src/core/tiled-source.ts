/**
 * A row-major tensor whose elements lie in tiles: boxes that are row-major themselves and cover it exactly. Sharded
 * checkpoints store tensors like this.
 *
 * A range of the tensor is, in each tile, also one range: both orders are row-major. So each tile is read at most once
 * for a range, and its rows are scattered from there.
 */
import { type ByteSource, checkRange, filesOf } from './source.ts';

export interface Tile {
  /** Where the tile begins, and how large it is, on every axis of the tensor. */
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  /** Its elements, row-major. */
  readonly data: ByteSource;
}

const volumeOf = (sizes: readonly number[]): number => sizes.reduce((product, size) => product * size, 1);

/** Work that finding overlaps may take: pairs of tiles that are compared. */
const MAX_COMPARISONS = 20_000_000;

type Box = Pick<Tile, 'offsets' | 'sizes'>;

const overlap = (a: Box, b: Box): boolean =>
  a.offsets.every(
    (from, axis) => from < b.offsets[axis]! + b.sizes[axis]! && b.offsets[axis]! < from + a.sizes[axis]!,
  );

/** The axis along which the boxes begin at most places: a sweep along it compares the fewest. */
const sweepAxis = (dims: readonly number[], boxes: readonly Box[]): number => {
  const counts = dims.map((_, axis) => new Set(boxes.map(({ offsets }) => offsets[axis])).size);
  return counts.indexOf(Math.max(...counts));
};

/**
 * Why these boxes do not cover a tensor exactly once; undefined when they do. Boxes without elements count for nothing.
 */
export const tilingFault = (dims: readonly number[], boxes: readonly Box[]): string | undefined => {
  for (const { offsets, sizes } of boxes) {
    const isInside =
      offsets.length === dims.length &&
      sizes.length === dims.length &&
      offsets.every((offset, axis) => offset + sizes[axis]! <= dims[axis]!);
    if (!isInside)
      return `a part [${sizes.join(', ')}] at [${offsets.join(', ')}] lies outside of [${dims.join(', ')}]`;
  }
  const full = boxes.filter(({ sizes }) => volumeOf(sizes) > 0);
  const covered = full.reduce((sum, { sizes }) => sum + volumeOf(sizes), 0);
  const all = volumeOf(dims);
  if (covered < all) return `its parts have ${covered} of ${all} elements`;
  const clash = firstOverlap(dims, full);
  if (clash !== undefined) return clash;
  return covered > all ? `its parts have ${covered} elements, it has ${all}` : undefined;
};

const firstOverlap = (dims: readonly number[], boxes: readonly Box[]): string | undefined => {
  if (boxes.length < 2) return undefined;
  if (dims.length === 0) return 'it has several parts and no dimension';
  const axis = sweepAxis(dims, boxes);
  const sorted = boxes.toSorted((a, b) => a.offsets[axis]! - b.offsets[axis]!);
  let open: Box[] = [];
  let comparisons = 0;
  for (const box of sorted) {
    open = open.filter(({ offsets, sizes }) => offsets[axis]! + sizes[axis]! > box.offsets[axis]!);
    comparisons += open.length;
    if (comparisons > MAX_COMPARISONS) return 'its parts are too many to compare';
    const other = open.find((each) => overlap(each, box));
    if (other !== undefined) {
      return `the parts at [${other.offsets.join(', ')}] and [${box.offsets.join(', ')}] overlap`;
    }
    open.push(box);
  }
  return undefined;
};

/** One tile, prepared: how its elements relate to those of the tensor. */
class PlacedTile {
  readonly data: ByteSource;
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  /** Elements after each axis, in the tile. */
  readonly inner: readonly number[];
  readonly volume: number;
  /** Elements that follow each other in the tile and in the tensor. */
  readonly run: number;

  constructor({ offsets, sizes, data }: Tile, dims: readonly number[]) {
    this.data = data;
    this.offsets = offsets;
    this.sizes = sizes;
    const inner: number[] = new Array(dims.length);
    let product = 1;
    let run = 1;
    let isWhole = true;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      inner[axis] = product;
      product *= sizes[axis]!;
      if (isWhole) run *= sizes[axis]!;
      isWhole &&= sizes[axis] === dims[axis];
    }
    this.inner = inner;
    this.volume = product;
    this.run = run;
  }

  /** How many of its elements come before the element of the tensor at `index` (one number an axis). */
  before(index: readonly number[]): number {
    let count = 0;
    for (let axis = 0; axis < index.length; axis++) {
      const at = index[axis]! - this.offsets[axis]!;
      if (at < 0) return count;
      if (at >= this.sizes[axis]!) return count + this.sizes[axis]! * this.inner[axis]!;
      count += at * this.inner[axis]!;
    }
    return count;
  }

  /** The place in the tensor of its element `local`. */
  placeOf(local: number, strides: readonly number[]): number {
    let rest = local;
    let place = 0;
    for (let axis = 0; axis < strides.length; axis++) {
      const at = Math.floor(rest / this.inner[axis]!);
      rest -= at * this.inner[axis]!;
      place += (at + this.offsets[axis]!) * strides[axis]!;
    }
    return place;
  }
}

/** The elements of a tensor of these dims, each of `unit` bytes, from tiles that cover it (see tilingFault). */
export class TiledSource implements ByteSource {
  readonly size: number;
  readonly #unit: number;
  readonly #strides: readonly number[];
  readonly #tiles: readonly PlacedTile[];

  constructor(unit: number, dims: readonly number[], tiles: readonly Tile[]) {
    this.#unit = unit;
    this.#strides = dims.map((_, axis) => volumeOf(dims.slice(axis + 1)));
    this.#tiles = tiles.map((tile) => new PlacedTile(tile, dims)).filter(({ volume }) => volume > 0);
    this.size = volumeOf(dims) * unit;
  }

  get path(): string | undefined {
    return this.#tiles[0]?.data.path;
  }

  get paths(): readonly string[] {
    return [...new Set(this.#tiles.flatMap(({ data }) => filesOf(data)))];
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    const unit = this.#unit;
    const first = Math.floor(offset / unit);
    const last = Math.ceil((offset + length) / unit);
    const output = new Uint8Array((last - first) * unit);
    this.#gather(output, first, last);
    return output.subarray(offset - first * unit, offset - first * unit + length);
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    const unit = this.#unit;
    const isWhole = offset % unit === 0 && target.length % unit === 0;
    if (isWhole) this.#gather(target, offset / unit, (offset + target.length) / unit);
    else target.set(this.read(offset, target.length));
  }

  /** The elements from `first` up to `last`. */
  #gather(output: Uint8Array, first: number, last: number): void {
    if (first === last) return;
    const from = this.#indexOf(first);
    const to = last * this.#unit === this.size ? undefined : this.#indexOf(last);
    for (const tile of this.#tiles) this.#copy(tile, output, first, from, to);
  }

  #indexOf(element: number): number[] {
    let rest = element;
    return this.#strides.map((stride) => {
      const at = Math.floor(rest / stride);
      rest -= at * stride;
      return at;
    });
  }

  /** Copies what a tile has of the elements from index `from` up to index `to` (the end of the tensor when undefined). */
  #copy(
    tile: PlacedTile,
    output: Uint8Array,
    first: number,
    from: readonly number[],
    to: readonly number[] | undefined,
  ): void {
    const unit = this.#unit;
    const start = tile.before(from);
    const end = to === undefined ? tile.volume : tile.before(to);
    if (start === end) return;
    if (end - start <= tile.run - (start % tile.run)) {
      const at = (tile.placeOf(start, this.#strides) - first) * unit;
      tile.data.readInto(output.subarray(at, at + (end - start) * unit), start * unit);
      return;
    }
    const bytes = tile.data.read(start * unit, (end - start) * unit);
    for (let local = start; local < end; ) {
      const next = Math.min(end, local - (local % tile.run) + tile.run);
      const place = tile.placeOf(local, this.#strides) - first;
      output.set(bytes.subarray((local - start) * unit, (next - start) * unit), place * unit);
      local = next;
    }
  }
}
