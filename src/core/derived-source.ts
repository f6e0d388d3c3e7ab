/**
 * Byte sources computed from other byte sources, range by range: elements gathered through strides, and elements
 * converted one by one. Neither holds more than the range asked for (a strided source: the span it gathers from).
 */
import { type ByteSource, checkRange } from './source.ts';

/**
 * Elements of `unit` bytes converted to elements of `outUnit` bytes, e.g. bytes swapped or float32 made float16.
 * `convert` gets whole elements: `input` is a private copy it may write to, `output` (zeroed) is to be filled.
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
    const first = Math.floor(offset / this.#outUnit);
    const last = Math.ceil((offset + length) / this.#outUnit);
    const input = new Uint8Array((last - first) * this.#unit);
    this.#base.readInto(input, first * this.#unit);
    const output = new Uint8Array((last - first) * this.#outUnit);
    this.#convert(input, output);
    const start = offset - first * this.#outUnit;
    return output.subarray(start, start + length);
  }

  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
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

/**
 * A row-major view of elements that lie `strides[axis]` elements apart, starting at element `start` of the base.
 * The caller has checked that every index lies inside the base. The span that is gathered from is read once and kept
 * as long as memory is not needed elsewhere.
 */
export class StridedSource implements ByteSource {
  readonly size: number;
  readonly #base: ByteSource;
  readonly #unit: number;
  readonly #dims: readonly number[];
  readonly #strides: readonly number[];
  readonly #start: number;
  #span: WeakRef<Uint8Array> | undefined;

  constructor(
    base: ByteSource,
    unit: number,
    dims: readonly number[],
    strides: readonly number[],
    start: number,
  ) {
    this.#base = base;
    this.#unit = unit;
    this.#dims = dims;
    this.#strides = strides;
    this.#start = start;
    this.size = dims.reduce((product, dim) => product * dim, unit);
  }

  get path(): string | undefined {
    return this.#base.path;
  }

  #readSpan(): Uint8Array {
    const kept = this.#span?.deref();
    if (kept !== undefined) return kept;
    const last = this.#dims.reduce((sum, dim, axis) => sum + (dim - 1) * this.#strides[axis]!, 0);
    const span = this.#base.read(this.#start * this.#unit, (last + 1) * this.#unit);
    this.#span = new WeakRef(span);
    return span;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    const unit = this.#unit;
    const first = Math.floor(offset / unit);
    const count = Math.ceil((offset + length) / unit) - first;
    const output = new Uint8Array(count * unit);
    this.#gather(output, first, count);
    return output.subarray(offset - first * unit, offset - first * unit + length);
  }

  #gather(output: Uint8Array, first: number, count: number): void {
    const span = this.#readSpan();
    const unit = this.#unit;
    const dims = this.#dims;
    const strides = this.#strides;
    const index: number[] = new Array(dims.length).fill(0);
    let rest = first;
    let from = 0;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      index[axis] = rest % dims[axis]!;
      rest = Math.floor(rest / dims[axis]!);
      from += index[axis]! * strides[axis]!;
    }
    for (let done = 0; done < count; done++) {
      const source = from * unit;
      for (let i = 0; i < unit; i++) output[done * unit + i] = span[source + i]!;
      for (let axis = dims.length - 1; axis >= 0; axis--) {
        from += strides[axis]!;
        if (++index[axis]! < dims[axis]!) break;
        from -= dims[axis]! * strides[axis]!;
        index[axis] = 0;
      }
    }
  }

  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}
