/**
 * The difference of two tensors of the same shape, read in pieces.
 *
 * Equal bytes are found by comparing memory and need nothing else. Otherwise, over the elements aᵢ, bᵢ that are finite on
 * both sides: max |aᵢ−bᵢ|, max |aᵢ−bᵢ|/|aᵢ| (aᵢ ≠ 0), relative norm ‖a−b‖/‖a‖ and cosine ⟨a,b⟩/(‖a‖‖b‖), all in double
 * precision. Elements are equal when their values are (+0 = −0, NaN = NaN, 64-bit integers in full), so different types
 * can be compared too; an element that is NaN or infinite on one side only, or infinite with another sign, differs.
 * The real and the imaginary part of a complex number count as two elements.
 */
import { byteLengthOf, type DType, dtypeInfo } from '../core/dtype.ts';
import { decoderOf } from '../core/element-reader.ts';
import type { ByteSource } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import { decodeTails, isWideInteger } from '../core/wide-integers.ts';
import type { DiffValues } from '../report/schemas/diff.ts';

/** Which differences are too small to matter: |a−b| ≤ atol + rtol·|a| + ofMax·max|a|. */
export interface DiffTolerance {
  readonly atol: number;
  readonly rtol: number;
  readonly ofMax: number;
}

export interface TensorDifference {
  readonly values: DiffValues;
  /** Elements that differ by more than the tolerance. */
  readonly beyond: number;
}

/** Bytes that are compared at once, and elements that are decoded at once (a multiple of 8: whole bytes always). */
const PIECE = 1 << 20;
const ELEMENTS = 1 << 15;

/** Memory of one side, used again for every piece. */
class Side {
  readonly bytes = new Uint8Array(PIECE);
  readonly values = new Float64Array(ELEMENTS);
  readonly tails = new Float64Array(ELEMENTS);

  read(source: ByteSource, offset: number, length: number): Uint8Array {
    const target = this.bytes.subarray(0, length);
    source.readInto(target, offset);
    return target;
  }
}

/** The memory a comparison works in. It holds nothing between two steps of one. */
export class DiffMemory {
  readonly a = new Side();
  readonly b = new Side();
}

/** What is summed up over the pieces. */
interface Sums {
  aa: number;
  bb: number;
  ab: number;
  dd: number;
  maxAbs: number;
  maxRel: number;
  differing: number;
  beyond: number;
  /** Element of the largest difference, or the first that is not finite on one side only; -1 for none. */
  worst: number;
  readonly nonFinite: { a: number; b: number; differing: number };
}

const startSums = (): Sums => ({
  aa: 0,
  bb: 0,
  ab: 0,
  dd: 0,
  maxAbs: 0,
  maxRel: 0,
  differing: 0,
  beyond: 0,
  worst: -1,
  nonFinite: { a: 0, b: 0, differing: 0 },
});

/** One pair with a NaN or an infinity in it or between: a − b is not finite. */
const addSpecial = (sums: Sums, a: number, b: number, index: number): void => {
  const isFiniteA = Number.isFinite(a);
  const isFiniteB = Number.isFinite(b);
  if (!isFiniteA) sums.nonFinite.a++;
  if (!isFiniteB) sums.nonFinite.b++;
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return;
  sums.differing++;
  sums.beyond++;
  if (isFiniteA && isFiniteB) sums.maxAbs = Infinity;
  else if (sums.nonFinite.differing++ > 0) return;
  sums.worst = index;
};

/**
 * Adds pieces of values. The loop is the cost of a comparison: one kind of array, no calls but `Math.abs`, no branch
 * on the sign.
 */
const addValues = (
  sums: Sums,
  a: Float64Array,
  b: Float64Array,
  start: number,
  floor: number,
  rtol: number,
) => {
  let [aa, bb, ab, dd] = [0, 0, 0, 0];
  let { maxAbs, maxRel } = sums;
  let [differing, beyond, worst] = [0, 0, -1];
  const specials: number[] = [];
  for (let i = 0; i < a.length; i++) {
    const v = a[i]!;
    const w = b[i]!;
    const d = v - w;
    if (d - d !== 0) {
      specials.push(i);
      continue;
    }
    aa += v * v;
    bb += w * w;
    ab += v * w;
    if (d === 0) continue;
    dd += d * d;
    differing++;
    const size = Math.abs(d);
    const from = Math.abs(v);
    if (size > maxAbs) {
      maxAbs = size;
      worst = i;
    }
    if (size > maxRel * from && from !== 0) maxRel = size / from;
    if (size > floor + rtol * from) beyond++;
  }
  sums.aa += aa;
  sums.bb += bb;
  sums.ab += ab;
  sums.dd += dd;
  sums.maxAbs = maxAbs;
  sums.maxRel = maxRel;
  sums.differing += differing;
  sums.beyond += beyond;
  if (worst >= 0 && sums.nonFinite.differing === 0) sums.worst = start + worst;
  for (const i of specials) addSpecial(sums, a[i]!, b[i]!, start + i);
};

/** The same where a side has 64-bit integers: their tails take part in the difference. */
const addWide = (sums: Sums, a: Side, b: Side, count: number, start: number, floor: number, rtol: number) => {
  for (let i = 0; i < count; i++) {
    const v = a.values[i]!;
    const w = b.values[i]!;
    const d = v - w + (a.tails[i]! - b.tails[i]!);
    if (d - d !== 0) {
      addSpecial(sums, v, w, start + i);
      continue;
    }
    sums.aa += v * v;
    sums.bb += w * w;
    sums.ab += v * w;
    if (d === 0) continue;
    sums.dd += d * d;
    sums.differing++;
    const size = Math.abs(d);
    const from = Math.abs(v);
    if (size > sums.maxAbs) {
      sums.maxAbs = size;
      if (sums.nonFinite.differing === 0) sums.worst = start + i;
    }
    if (from !== 0) sums.maxRel = Math.max(sums.maxRel, size / from);
    if (size > floor + rtol * from) sums.beyond++;
  }
};

/** Values that one element of this type is made of. */
const partsOf = (dtype: DType): number => (dtypeInfo(dtype).kind === 'complex' ? 2 : 1);

/** Where a piece of values lies in the bytes of a tensor. */
const rangeOf = (dtype: DType, start: number, count: number): [offset: number, length: number] => {
  const parts = partsOf(dtype);
  return [byteLengthOf(dtype, start / parts), byteLengthOf(dtype, count / parts)];
};

const fill = (
  side: Side,
  { dtype, data }: Tensor,
  start: number,
  count: number,
  withTails: boolean,
): Float64Array => {
  const bytes = side.read(data, ...rangeOf(dtype, start, count));
  const values = side.values.subarray(0, count);
  decoderOf(dtype)(bytes, values);
  if (withTails) decodeTails(dtype, bytes, values, side.tails.subarray(0, count));
  return values;
};

/** How many bytes from the start are the same, a whole number of pieces or all; yields the bytes looked at. */
export function* equalStart(a: ByteSource, b: ByteSource, memory: DiffMemory): Generator<number, number> {
  if (a.size !== b.size) return 0;
  for (let at = 0; at < a.size; at += PIECE) {
    const length = Math.min(PIECE, a.size - at);
    if (Buffer.compare(memory.a.read(a, at, length), memory.b.read(b, at, length)) !== 0) return at;
    yield length;
  }
  return a.size;
}

/** max |a| over the finite values. */
const largestOf = (tensor: Tensor, count: number, side: Side): number => {
  let largest = 0;
  for (let start = 0; start < count; start += ELEMENTS) {
    for (const value of fill(side, tensor, start, Math.min(ELEMENTS, count - start), false)) {
      const size = Math.abs(value);
      if (size > largest && size !== Infinity) largest = size;
    }
  }
  return largest;
};

const coordinatesOf = (index: number, dims: readonly number[]): number[] => {
  const coordinates: number[] = [];
  let rest = index;
  for (const dim of dims.toReversed()) {
    coordinates.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return coordinates;
};

/** Infinite and undefined numbers have no place in JSON. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

const elementAt = (tensor: Tensor, index: number, memory: DiffMemory): number | null => {
  const first = index - (index % 8);
  const count = Math.min(8, elementCount(tensor.dims) * partsOf(tensor.dtype) - first);
  return finite(fill(memory.a, tensor, first, count, false)[index - first]!);
};

const resultOf = (sums: Sums, elements: number, a: Tensor, b: Tensor, memory: DiffMemory): DiffValues => {
  const [normA, normB] = [Math.sqrt(sums.aa), Math.sqrt(sums.bb)];
  const cosine = sums.ab / (normA * normB);
  const parts = partsOf(a.dtype);
  return {
    elements,
    differing: sums.differing,
    maxAbs: finite(sums.maxAbs),
    maxRel: sums.maxRel === 0 ? null : finite(sums.maxRel),
    relative: finite(Math.sqrt(sums.dd) / normA),
    cosine: finite(Math.max(-1, Math.min(1, cosine))),
    nonFinite: sums.nonFinite,
    worst:
      sums.worst < 0
        ? null
        : {
            index: coordinatesOf(Math.floor(sums.worst / parts), a.dims),
            a: elementAt(a, sums.worst, memory),
            b: elementAt(b, sums.worst, memory),
          },
  };
};

/** Whether values of these types can be compared at all: both are real, or both complex. */
export const areComparable = (a: DType, b: DType): boolean =>
  a !== 'string' && b !== 'string' && partsOf(a) === partsOf(b);

/**
 * Compares the values of two tensors with the same dims and comparable types. The first `same` bytes are known to be
 * equal (types of equal width only). Yields the bytes of `a` read beyond those.
 */
export function* measureDifference(
  a: Tensor,
  b: Tensor,
  tolerance: DiffTolerance,
  memory: DiffMemory,
  same = 0,
): Generator<number, TensorDifference> {
  const count = elementCount(a.dims) * partsOf(a.dtype);
  const withTails = isWideInteger(a.dtype) || isWideInteger(b.dtype);
  const { atol, rtol, ofMax } = tolerance;
  const floor = atol + (ofMax === 0 ? 0 : ofMax * largestOf(a, count, memory.a));
  const sums = startSums();
  for (let start = 0; start < count; start += ELEMENTS) {
    const length = Math.min(ELEMENTS, count - start);
    const [offset, bytes] = rangeOf(a.dtype, start, length);
    const isSame = offset + bytes <= same;
    const valuesA = fill(memory.a, a, start, length, withTails);
    const valuesB = isSame ? valuesA : fill(memory.b, b, start, length, withTails);
    if (withTails && !isSame) addWide(sums, memory.a, memory.b, length, start, floor, rtol);
    else addValues(sums, valuesA, valuesB, start, floor, rtol);
    if (!isSame) yield bytes;
  }
  return { values: resultOf(sums, count, a, b, memory), beyond: sums.beyond };
}

const isSameText = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;

/** How many of the strings of two string tensors with the same dims differ. */
export const countDifferentStrings = (a: Tensor, b: Tensor): number =>
  (a.strings ?? []).filter((text, i) => !isSameText(text, b.strings?.[i])).length;
