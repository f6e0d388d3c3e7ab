/**
 * Byte sources computed from other byte sources, range by range: elements gathered through strides, and elements
 * converted one by one. Neither holds more than the range asked for (a strided source: a block of bounded size).
 */
import { gather, type StridedView } from './gather.ts';
import { type ByteSource, checkRange } from './source.ts';

/** Elements that are converted at once: few enough for the processor's cache. */
const PIECE = 1 << 14;
/** Of the widest element, a complex128. */
const PIECE_BYTES = PIECE * 16;

/** Memory of conversions that have ended; one conversion may read from another, so one buffer would not do. */
const spare: Uint8Array[] = [];

const borrow = (length: number): Uint8Array =>
  length > PIECE_BYTES
    ? new Uint8Array(length)
    : (spare.pop() ?? new Uint8Array(PIECE_BYTES)).subarray(0, length);

const giveBack = ({ buffer }: Uint8Array): void => {
  if (buffer.byteLength === PIECE_BYTES) spare.push(new Uint8Array(buffer));
};

/**
 * Elements of `unit` bytes converted to elements of `outUnit` bytes, e.g. bytes swapped or float32 made float16.
 * `convert` gets whole elements, aligned: `input` is a private copy it may write to, `output` is to be filled.
 */
export class ConvertedSource implements ByteSource {
  readonly size: number;
  readonly #base: ByteSource;
  readonly #unit: number;
  readonly #outUnit: number;
  readonly #convert: (input: Uint8Array, output: Uint8Array) => void;

  constructor(
    base: ByteSource,
    unit: number,
    outUnit: number,
    convert: (input: Uint8Array, output: Uint8Array) => void,
  ) {
    this.#base = base;
    this.#unit = unit;
    this.#outUnit = outUnit;
    this.#convert = convert;
    this.size = (base.size / unit) * outUnit;
  }

  get path(): string | undefined {
    return this.#base.path;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    this.#fill(bytes, offset);
    return bytes;
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    this.#fill(target, offset);
  }

  #fill(target: Uint8Array, offset: number): void {
    const unit = this.#outUnit;
    for (let done = 0; done < target.length; ) {
      const first = Math.floor((offset + done) / unit);
      // An element that is cut in two is converted as a whole.
      const skip = offset + done - first * unit;
      const count = Math.min(PIECE, Math.ceil((skip + target.length - done) / unit));
      const length = Math.min(count * unit - skip, target.length - done);
      const part = target.subarray(done, done + length);
      const isWhole = length === count * unit && part.byteOffset % Math.min(8, unit) === 0;
      const output = isWhole ? part : borrow(count * unit);
      this.#piece(first, count, output);
      if (!isWhole) {
        part.set(output.subarray(skip, skip + length));
        giveBack(output);
      }
      done += length;
    }
  }

  #piece(first: number, count: number, output: Uint8Array): void {
    const input = borrow(count * this.#unit);
    this.#base.readInto(input, first * this.#unit);
    this.#convert(input, output);
    giveBack(input);
  }
}

/** Reverses the bytes of every element of `unit` bytes (big-endian files); a complex number is two elements. */
export const swappedSource = (base: ByteSource, unit: number): ByteSource =>
  unit === 1
    ? base
    : new ConvertedSource(base, unit, unit, (input, output) => {
        for (let at = 0; at < input.length; at += unit) {
          for (let i = 0; i < unit; i++) output[at + i] = input[at + unit - 1 - i]!;
        }
      });

/** Element strides of a row-major tensor. */
export const contiguousStrides = (dims: readonly number[]): number[] => {
  const strides: number[] = new Array(dims.length);
  let step = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= Math.max(dims[axis]!, 1);
  }
  return strides;
};

/** Whether these strides are row-major, whatever they say about axes of size 1. */
export const isContiguous = (dims: readonly number[], strides: readonly number[]): boolean => {
  if (dims.includes(0)) return true;
  let step = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    if (dims[axis] === 1) continue;
    if (strides[axis] !== step) return false;
    step *= dims[axis]!;
  }
  return true;
};

/** Computed at once at most; a view whose rows lie scattered is computed in blocks that grow up to this size. */
const MAX_BLOCK = 32 << 20;
const FIRST_BLOCK = 2 << 20;
/** Runs of the source of at least this many bytes are read where they lie, without a block. */
const LONG_RUN = 16 << 10;

/**
 * A row-major view of elements that lie `strides[axis]` elements apart, starting at element `start` of the base.
 * The caller has checked that every index lies inside the base. Read in order, it keeps a block of what comes next:
 * a transposed matrix is gathered a block of columns at a time, in one pass over its rows.
 */
export class StridedSource implements ByteSource {
  readonly size: number;
  readonly view: StridedView;
  readonly #isRuns: boolean;
  #block = new Uint8Array(0);
  /** The bytes of the source that the block holds. */
  #from = 0;
  #to = 0;

  constructor(
    base: ByteSource,
    unit: number,
    dims: readonly number[],
    strides: readonly number[],
    start: number,
  ) {
    this.view = { base, unit, dims, strides, start };
    this.size = dims.reduce((product, dim) => product * dim, unit);
    this.#isRuns = (strides.at(-1) ?? 1) === 1 && (dims.at(-1) ?? 1) * unit >= LONG_RUN;
  }

  get path(): string | undefined {
    return this.view.base.path;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    if (length > 0) this.#fill(bytes, offset);
    return bytes;
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    if (target.length > 0) this.#fill(target, offset);
  }

  #fill(target: Uint8Array, offset: number): void {
    const { unit } = this.view;
    const isWhole = offset % unit === 0 && target.length % unit === 0 && target.byteOffset % 4 === 0;
    if (isWhole && (this.#isRuns || target.length >= Math.min(MAX_BLOCK, this.size))) {
      gather(this.view, offset / unit, target);
      return;
    }
    for (let done = 0; done < target.length; ) {
      const at = offset + done;
      if (at < this.#from || at >= this.#to) this.#nextBlock(at, target.length - done);
      const end = Math.min(this.#to, offset + target.length);
      target.set(this.#block.subarray(at - this.#from, end - this.#from), done);
      done += end - at;
    }
    if (offset + target.length === this.size) this.#forget();
  }

  /**
   * Computes the block that holds `offset`: larger where the last one has been read to its end, and made of whole rows
   * (or planes…) where they fit, for what is left over takes a pass of its own over the base.
   */
  #nextBlock(offset: number, length: number): void {
    const { unit, dims } = this.view;
    const isNext = offset === this.#to && offset > 0;
    const wanted = this.#isRuns ? length + 2 * unit : Math.max(FIRST_BLOCK, length + unit);
    const grown = isNext && !this.#isRuns ? Math.max(wanted, 4 * (this.#to - this.#from)) : wanted;
    const room = Math.max(1, Math.floor(Math.min(grown, MAX_BLOCK) / unit));
    let row = 1;
    for (let axis = dims.length - 1; axis >= 0 && row * dims[axis]! <= room; axis--) row *= dims[axis]!;
    const element = Math.floor(offset / unit);
    const first = element - (element % row);
    const count = Math.min(room - (room % row), this.size / unit - first);
    if (this.#block.length < count * unit) this.#block = new Uint8Array(count * unit);
    gather(this.view, first, this.#block.subarray(0, count * unit));
    this.#from = first * unit;
    this.#to = (first + count) * unit;
  }

  #forget(): void {
    this.#block = new Uint8Array(0);
    this.#from = 0;
    this.#to = 0;
  }
}
