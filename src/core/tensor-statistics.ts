/**
 * Descriptive statistics and histograms of stored tensors, each in one pass over the bytes.
 *
 * Sums are taken of d = x − s, where s is the mean of what was seen before, block by block, in binary64. A block of n
 * elements has mean s + Σd/n and M₂ = Σd² − (Σd)²/n; blocks are merged as by Chan, Golub and LeVeque, "Updating
 * formulae and a pairwise algorithm for computing sample variances" (1979):
 *   δ = mean_b − mean_a,  mean = mean_a + δ·n_b/n,  M₂ = M₂_a + M₂_b + δ²·n_a·n_b/n.
 * Then std = √(M₂/n), of the population as NumPy's, and norm = √(M₂ + n·mean²); neither cancels.
 *
 * A block is first summed as if all of it were finite. Only where the sum of squares says that it was not, what is not
 * finite is taken out and the rest summed again.
 */
import { type DType, dtypeInfo } from './dtype.ts';
import { elementBatches, elementsIn } from './element-reader.ts';
import { OrthoError } from './errors.ts';
import { countPatterns, type PatternCounts } from './pattern-counts.ts';
import type { ByteSource } from './source.ts';

export interface Statistics {
  /** Elements, finite or not. */
  readonly count: number;
  /** Of the finite elements; null when there are none, and for complex numbers. */
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  /** Of the population of finite elements; null as `min`, and where squares overflow binary64. */
  readonly std: number | null;
  /** Euclidean, of the finite elements; null where squares overflow binary64. */
  readonly norm: number | null;
  readonly zeros: number;
  /** Below the least normal number of the type, but not zero; always 0 for floats of 8 bits and less. */
  readonly subnormals: number;
  /** Of complex numbers, real and imaginary parts count apart, here and for the other kinds but zeros. */
  readonly nans: number;
  readonly infinities: number;
}

export interface Histogram {
  /** Elements in each of equally wide bins from `min` to `max`; the last bin includes `max`. */
  readonly counts: readonly number[];
  /** Elements below `min` and above `max`. */
  readonly below: number;
  readonly above: number;
  readonly nonFinite: number;
}

/** Elements that are summed against one shift: enough to be worth a merge, few enough that plain sums stay exact. */
const BLOCK = 1 << 11;

const LEAST_NORMAL: Partial<Record<DType, number>> = {
  float16: 2 ** -14,
  bfloat16: 2 ** -126,
  float32: 2 ** -126,
  float64: 2 ** -1022,
  complex64: 2 ** -126,
  complex128: 2 ** -1022,
};

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

class Summary {
  /** 0 where nothing is subnormal. */
  readonly #leastNormal: number;
  readonly #leastNormalWord: number;
  /** Finite elements. */
  #count = 0;
  #mean = 0;
  #squares = 0;
  #min = 0;
  #max = 0;
  zeros = 0;
  subnormals = 0;
  nans = 0;
  infinities = 0;

  constructor(dtype: DType) {
    this.#leastNormal = LEAST_NORMAL[dtype] ?? 0;
    this.#leastNormalWord = new Int32Array(Float64Array.of(this.#leastNormal).buffer)[1]!;
  }

  /** Takes in values; may overwrite them. */
  add(values: Float64Array): void {
    for (let from = 0; from < values.length; from += BLOCK) {
      const to = Math.min(from + BLOCK, values.length);
      if (this.#addBlock(values, from, to, false)) continue;
      this.#addBlock(values, from, this.#takeFinite(values, from, to), true);
    }
  }

  /** False, with nothing taken in, when the squares are not finite and it is not certain that the values are. */
  #addBlock(values: Float64Array, from: number, to: number, areFinite: boolean): boolean {
    if (from === to) return true;
    const isFirst = this.#count === 0;
    const shift = isFirst ? values[from]! : this.#mean;
    let min = isFirst ? shift : this.#min;
    let max = isFirst ? shift : this.#max;
    let sum = 0;
    let squares = 0;
    let leastSize = Number.POSITIVE_INFINITY;
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      const difference = value - shift;
      sum += difference;
      squares += difference * difference;
      if (value < min) min = value;
      else if (value > max) max = value;
      const size = Math.abs(value);
      if (size < leastSize) leastSize = size;
    }
    if (!areFinite && !Number.isFinite(squares)) return false;
    this.#min = min;
    this.#max = max;
    if (leastSize === 0 || leastSize < this.#leastNormal) this.#countSmall(values, from, to);
    this.#merge(to - from, shift, sum, squares);
    return true;
  }

  /**
   * Without branches, for zeros come in no order: by the upper words, which order sizes as the numbers themselves do.
   * The least normal number is a power of two, so its lower word is zero.
   */
  #countSmall(values: Float64Array, from: number, to: number): void {
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    const least = this.#leastNormalWord;
    let zeros = 0;
    let small = 0;
    for (let i = from; i < to; i++) {
      const upper = words[2 * i + 1]! & 0x7fffffff;
      const any = upper | words[2 * i]!;
      zeros += ((any | -any) >>> 31) ^ 1;
      small += (upper - least) >>> 31;
    }
    this.zeros += zeros;
    if (least > 0) this.subnormals += small - zeros;
  }

  #merge(count: number, shift: number, sum: number, squares: number): void {
    const total = this.#count + count;
    const mean = shift + sum / count;
    const difference = mean - this.#mean;
    this.#squares += squares - (sum * sum) / count + (difference * difference * this.#count * count) / total;
    this.#mean += (difference * count) / total;
    this.#count = total;
  }

  /** Moves the finite values of a range to its front and counts the others; gives where the finite ones end. */
  #takeFinite(values: Float64Array, from: number, to: number): number {
    let end = from;
    for (let i = from; i < to; i++) {
      const value = values[i]!;
      if (Number.isFinite(value)) values[end++] = value;
      else if (Number.isNaN(value)) this.nans++;
      else this.infinities++;
    }
    return end;
  }

  finish(count: number): Statistics {
    const { zeros, subnormals, nans, infinities } = this;
    const isEmpty = this.#count === 0;
    const squares = Math.max(0, this.#squares);
    return {
      count,
      min: isEmpty ? null : this.#min,
      max: isEmpty ? null : this.#max,
      mean: isEmpty ? null : finite(this.#mean),
      std: isEmpty ? null : finite(Math.sqrt(squares / this.#count)),
      norm: finite(Math.sqrt(squares + this.#count * this.#mean * this.#mean)),
      zeros,
      subnormals,
      nans,
      infinities,
    };
  }
}

/** The same from how often each value occurs. */
const patternStatistics = (dtype: DType, { values, counts }: PatternCounts, count: number): Statistics => {
  const least = LEAST_NORMAL[dtype] ?? 0;
  const tally = { zeros: 0, subnormals: 0, nans: 0, infinities: 0 };
  let finiteCount = 0;
  let sum = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < counts.length; i++) {
    const times = counts[i]!;
    if (times === 0) continue;
    const value = values[i]!;
    if (Number.isNaN(value)) tally.nans += times;
    else if (!Number.isFinite(value)) tally.infinities += times;
    else {
      finiteCount += times;
      sum += times * value;
      min = Math.min(min, value);
      max = Math.max(max, value);
      if (value === 0) tally.zeros += times;
      else if (Math.abs(value) < least) tally.subnormals += times;
    }
  }
  if (finiteCount === 0) return { count, min: null, max: null, mean: null, std: null, norm: 0, ...tally };
  const mean = sum / finiteCount;
  let deviations = 0;
  let squares = 0;
  for (let i = 0; i < counts.length; i++) {
    const value = values[i]!;
    if (counts[i] === 0 || !Number.isFinite(value)) continue;
    deviations += counts[i]! * (value - mean) ** 2;
    squares += counts[i]! * value * value;
  }
  return {
    count,
    min,
    max,
    mean,
    std: Math.sqrt(deviations / finiteCount),
    norm: Math.sqrt(squares),
    ...tally,
  };
};

const countZeroPairs = (values: Float64Array): number => {
  let zeros = 0;
  for (let i = 0; i < values.length; i += 2) if (values[i] === 0 && values[i + 1] === 0) zeros++;
  return zeros;
};

/** Complex numbers have no order; what they have is a norm, and parts that can be special. */
const complexStatistics = (dtype: DType, data: ByteSource, count: number): Statistics => {
  const summary = new Summary(dtype);
  let zeros = 0;
  for (const values of elementBatches(dtype, data, count)) {
    zeros += countZeroPairs(values);
    summary.add(values);
  }
  return { ...summary.finish(count), min: null, max: null, mean: null, std: null, zeros };
};

/** Whether tensors of this type have statistics: all but strings. */
export const hasStatistics = (dtype: DType): boolean => dtypeInfo(dtype).kind !== 'string';

/**
 * Statistics of a tensor's little-endian storage.
 * @param count elements; sub-byte types need it where the last byte is not full.
 * @throws OrthoError dtype/unsupported for strings, and what the source throws
 */
export const tensorStatistics = (
  dtype: DType,
  data: ByteSource,
  count: number = elementsIn(dtype, data),
): Statistics => {
  if (dtypeInfo(dtype).kind === 'complex') return complexStatistics(dtype, data, count);
  const patterns = countPatterns(dtype, data, count);
  if (patterns !== undefined) return patternStatistics(dtype, patterns, count);
  const summary = new Summary(dtype);
  for (const values of elementBatches(dtype, data, count)) summary.add(values);
  return summary.finish(count);
};

class Bars {
  readonly #counts: Float64Array;
  readonly #min: number;
  readonly #max: number;
  #below = 0;
  #above = 0;
  #nonFinite = 0;

  constructor(bins: number, min: number, max: number) {
    this.#counts = new Float64Array(bins);
    this.#min = min;
    this.#max = max;
  }

  /** Takes in values, each as often as `times` says (once, when left out). */
  add(values: Float64Array, times?: Int32Array): void {
    const counts = this.#counts;
    const [min, max, bins] = [this.#min, this.#max, counts.length];
    // Halved, because the range of two doubles need not be a double.
    const start = min / 2;
    const range = max > min ? max / 2 - start : Number.POSITIVE_INFINITY;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      const weight = times === undefined ? 1 : times[i]!;
      if (value >= min && value <= max) {
        const bin = (((value / 2 - start) / range) * bins) | 0;
        counts[bin < bins ? bin : bins - 1]! += weight;
      } else if (!Number.isFinite(value)) this.#nonFinite += weight;
      else if (value < min) this.#below += weight;
      else this.#above += weight;
    }
  }

  finish(): Histogram {
    return {
      counts: [...this.#counts],
      below: this.#below,
      above: this.#above,
      nonFinite: this.#nonFinite,
    };
  }
}

/**
 * How the elements spread over `bins` equally wide bins from `min` to `max` (finite, min ≤ max). Where both are the
 * same, the elements that equal them are in the first bin.
 * @throws OrthoError dtype/unsupported for strings and complex numbers, and what the source throws
 */
export const histogram = (
  dtype: DType,
  data: ByteSource,
  bins: number,
  min: number,
  max: number,
  count: number = elementsIn(dtype, data),
): Histogram => {
  if (dtypeInfo(dtype).kind === 'complex') {
    throw new OrthoError('dtype/unsupported', `${dtype} values have no order, so no histogram`);
  }
  const bars = new Bars(bins, min, max);
  const patterns = countPatterns(dtype, data, count);
  if (patterns !== undefined) bars.add(patterns.values, patterns.counts);
  else for (const values of elementBatches(dtype, data, count)) bars.add(values);
  return bars.finish();
};
