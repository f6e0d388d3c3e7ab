/**
 * Gathers a range of a strided view of a byte source into row-major order, within bounded memory.
 *
 * The range is cut into boxes (a run of indices of one axis, all of the axes after it). A box is walked in the order
 * in which its elements lie in the source, not in the order of the output: so every stretch of the source is read once
 * a box, in windows of at most `WINDOW` bytes, and the elements are scattered from there. Gaps of up to `GAP` bytes
 * between the elements are read along, for that costs less than another read.
 */
import type { ByteSource } from './source.ts';

/** Elements of `unit` bytes that lie `strides[axis]` elements apart, from element `start` of the base. */
export interface StridedView {
  readonly base: ByteSource;
  /** Bytes of an element. */
  readonly unit: number;
  readonly dims: readonly number[];
  /** In elements; may be 0 (an expanded axis) or negative (a flipped one). */
  readonly strides: readonly number[];
  readonly start: number;
}

const WINDOW = 1 << 20;
/** Rows and columns of the squares in which matrices are transposed: a side is a line of the processor's cache. */
const TILE = 16;
const GAP = 8 << 10;

/** One axis of a box: how many indices, and how far apart they lie in the source and in the output. */
interface Axis {
  readonly extent: number;
  readonly from: number;
  readonly to: number;
}

interface Box {
  readonly axes: readonly Axis[];
  /** The first element in the source, and in the output. */
  readonly from: number;
  readonly to: number;
}

/** Elements after each axis. */
const innerSizes = (dims: readonly number[]): number[] => {
  const sizes: number[] = new Array(dims.length);
  let size = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    sizes[axis] = size;
    size *= dims[axis]!;
  }
  return sizes;
};

/** The axes with more than one index, in the order of the source, joined where they go on without a gap. */
const sourceOrder = (axes: readonly Axis[]): Axis[] => {
  const sorted = axes
    .filter(({ extent }) => extent > 1)
    // Expanded axes go around all others: what they repeat may still lie in the window.
    .sort((a, b) => (b.from === 0 ? Infinity : b.from) - (a.from === 0 ? Infinity : a.from));
  const joined: Axis[] = [];
  for (const axis of sorted) {
    const outer = joined.at(-1);
    const goesOn =
      outer !== undefined && outer.from === axis.from * axis.extent && outer.to === axis.to * axis.extent;
    if (goesOn) joined[joined.length - 1] = { ...axis, extent: outer.extent * axis.extent };
    else joined.push(axis);
  }
  return joined;
};

/** The boxes that make up `count` elements of the output from element `first`. */
function* boxesOf({ dims, strides, start }: StridedView, first: number, count: number): Generator<Box> {
  const inner = innerSizes(dims);
  const end = first + count;
  for (let at = first; at < end; ) {
    let axis = 0;
    while (axis < dims.length && (at % inner[axis]! !== 0 || at + inner[axis]! > end)) axis++;
    let from = start;
    let rest = at;
    let index = 0;
    for (let i = 0; i <= Math.min(axis, dims.length - 1); i++) {
      index = Math.floor(rest / inner[i]!);
      from += index * strides[i]!;
      rest -= index * inner[i]!;
    }
    const size = inner[axis] ?? 1;
    const extent = axis < dims.length ? Math.min(dims[axis]! - index, Math.floor((end - at) / size)) : 1;
    const axes: Axis[] = [];
    for (let i = axis; i < dims.length; i++) {
      const each = i === axis ? extent : dims[i]!;
      const stride = strides[i]!;
      if (stride < 0) from += (each - 1) * stride;
      axes.push({ extent: each, from: Math.abs(stride), to: stride < 0 ? -inner[i]! : inner[i]! });
    }
    const back = axes.reduce((sum, { extent: each, to }) => (to < 0 ? sum - (each - 1) * to : sum), 0);
    yield { axes: sourceOrder(axes), from, to: at - first + back };
    at += extent * size;
  }
}

type Words = Uint8Array | Uint16Array | Uint32Array;

/** Elements are moved as words of 1, 2 or 4 bytes, never as floats, which could change the bits of a NaN. */
const wordsOf = (bytes: Uint8Array, unit: number): { words: Words; perElement: number } => {
  const { buffer, byteOffset, length } = bytes;
  if (unit % 4 === 0) return { words: new Uint32Array(buffer, byteOffset, length / 4), perElement: unit / 4 };
  if (unit % 2 === 0) return { words: new Uint16Array(buffer, byteOffset, length / 2), perElement: unit / 2 };
  return { words: bytes, perElement: unit };
};

/** Moves the elements of boxes from the source into the output. */
class Gatherer {
  readonly #base: ByteSource;
  readonly #unit: number;
  readonly #output: Uint8Array;
  readonly #target: Words;
  readonly #perElement: number;
  #staging = new Uint8Array(0);
  #staged: Words = this.#staging;
  /** The elements of the source that are staged. */
  #low = 0;
  #high = 0;

  constructor(base: ByteSource, unit: number, output: Uint8Array) {
    this.#base = base;
    this.#unit = unit;
    this.#output = output;
    const { words, perElement } = wordsOf(output, unit);
    this.#target = words;
    this.#perElement = perElement;
  }

  /** Makes the elements [from, to) of the source available; reading on as far as `limit` is worth it. */
  #stage(from: number, to: number, limit: number): void {
    if (from >= this.#low && to <= this.#high) return;
    const unit = this.#unit;
    const high = Math.max(to, Math.min(limit, from + Math.floor(WINDOW / unit)));
    const bytes = (high - from) * unit;
    if (this.#staging.length < bytes) {
      this.#staging = new Uint8Array(Math.ceil(bytes / 16) * 16);
      this.#staged = wordsOf(this.#staging, unit).words;
    }
    this.#base.readInto(this.#staging.subarray(0, bytes), from * unit);
    this.#low = from;
    this.#high = high;
  }

  #scatter(from: number, to: number, { extent, from: step, to: stride }: Axis): void {
    const per = this.#perElement;
    const staged = this.#staged;
    const target = this.#target;
    let source = (from - this.#low) * per;
    let at = to * per;
    if (per === 1) {
      for (let i = 0; i < extent; i++) {
        target[at] = staged[source]!;
        source += step;
        at += stride;
      }
      return;
    }
    for (let i = 0; i < extent; i++) {
      for (let word = 0; word < per; word++) target[at + word] = staged[source + word]!;
      source += step * per;
      at += stride * per;
    }
  }

  /** The elements along one axis; `limit` is where the elements end that are wanted soon. */
  #run(from: number, to: number, axis: Axis, limit: number): void {
    const unit = this.#unit;
    const { extent, from: step, to: stride } = axis;
    const isStaged = from >= this.#low && from + (extent - 1) * step < this.#high;
    if (step === 1 && stride === 1 && !isStaged && (extent * unit > GAP || limit === from + extent)) {
      this.#base.readInto(this.#output.subarray(to * unit, (to + extent) * unit), from * unit);
      return;
    }
    // Elements that lie far apart are read one by one.
    const piece = step * unit > GAP ? 1 : Math.max(1, Math.floor(WINDOW / unit / Math.max(step, 1)));
    for (let done = 0; done < extent; done += piece) {
      const count = Math.min(piece, extent - done);
      const first = from + done * step;
      const end = first + (count - 1) * step + 1;
      this.#stage(first, end, piece < extent ? end : limit);
      this.#scatter(first, to + done * stride, { extent: count, from: step, to: stride });
    }
  }

  /**
   * Rows that follow one another in the source and are columns of the output: square by square, so that a line of the
   * cache is filled while it is there.
   */
  #transpose(from: number, to: number, rows: Axis, run: Axis): void {
    const span = (run.extent - 1) * run.from + 1;
    const inWindow = Math.max(1, Math.floor(WINDOW / this.#unit / rows.from));
    for (let done = 0; done < rows.extent; done += inWindow) {
      const extent = Math.min(inWindow, rows.extent - done);
      const first = from + done * rows.from;
      const end = first + (extent - 1) * rows.from + span;
      this.#stage(first, end, end);
      const start = to + done * rows.to;
      for (let row = 0; row < extent; row += TILE) {
        const height = Math.min(TILE, extent - row);
        for (let column = 0; column < run.extent; column += TILE) {
          const width = Math.min(TILE, run.extent - column);
          this.#tile(
            first - this.#low + row * rows.from + column * run.from,
            start + row * rows.to + column * run.to,
            { ...rows, extent: height },
            { ...run, extent: width },
          );
        }
      }
    }
  }

  /** `from` counts from the first staged element. */
  #tile(from: number, to: number, rows: Axis, run: Axis): void {
    const per = this.#perElement;
    const staged = this.#staged;
    const target = this.#target;
    const [step, stride] = [rows.from * per, rows.to * per];
    for (let column = 0; column < run.extent; column++) {
      let source = (from + column * run.from) * per;
      let at = (to + column * run.to) * per;
      for (let row = 0; row < rows.extent; row++) {
        target[at] = staged[source]!;
        for (let word = 1; word < per; word++) target[at + word] = staged[source + word]!;
        source += step;
        at += stride;
      }
    }
  }

  box({ axes, from, to }: Box): void {
    const run = axes.at(-1) ?? { extent: 1, from: 1, to: 1 };
    const rows = axes.at(-2) ?? { extent: 1, from: 0, to: 0 };
    const outer = axes.slice(0, -2);
    const span = (run.extent - 1) * run.from + 1;
    // Rows that lie close together share a window.
    const isClose = (rows.from - span) * this.#unit <= GAP;
    const isTransposed =
      isClose &&
      rows.extent > 1 &&
      Math.abs(rows.to) < Math.abs(run.to) &&
      rows.from >= span &&
      rows.from * this.#unit * TILE <= WINDOW;
    const index: number[] = new Array(outer.length).fill(0);
    let source = from;
    let target = to;
    for (let more = true; more; ) {
      const end = source + (rows.extent - 1) * rows.from + span;
      if (isTransposed) this.#transpose(source, target, rows, run);
      for (let row = 0; row < rows.extent && !isTransposed; row++) {
        const first = source + row * rows.from;
        this.#run(first, target + row * rows.to, run, isClose ? end : first + span);
      }
      more = false;
      for (let axis = outer.length - 1; axis >= 0 && !more; axis--) {
        const { extent, from: step, to: stride } = outer[axis]!;
        source += step;
        target += stride;
        more = ++index[axis]! < extent;
        if (more) break;
        source -= extent * step;
        target -= extent * stride;
        index[axis] = 0;
      }
    }
  }
}

/**
 * Fills `output` with the elements of the view from element `first`, in row-major order. The output holds whole
 * elements and is aligned to 4 bytes; every index of the view lies inside the base.
 */
export const gather = (view: StridedView, first: number, output: Uint8Array): void => {
  const gatherer = new Gatherer(view.base, view.unit, output);
  for (const box of boxesOf(view, first, output.length / view.unit)) gatherer.box(box);
};
