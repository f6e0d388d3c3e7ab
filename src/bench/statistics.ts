/**
 * Statistics of run times: quantiles, spread, and intervals by bootstrap.
 *
 * Quantile p of n sorted values, type 7 of Hyndman & Fan, "Sample quantiles in statistical packages" (The American
 * Statistician 50, 1996), the default of R and NumPy: h = (n − 1)·p, x[⌊h⌋] + (h − ⌊h⌋)·(x[⌊h⌋ + 1] − x[⌊h⌋]).
 * Intervals: the percentile bootstrap (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13), with a
 * seeded generator, so the same samples give the same interval.
 */
import { createRng, type Rng } from '../core/rng.ts';

export type Interval = readonly [low: number, high: number];

/** Latency of one model; all in the unit of the samples (ms). */
export interface Summary {
  readonly n: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  readonly mean: number;
  /** Median of the absolute deviations from the median, not scaled. */
  readonly mad: number;
  /** 95 % interval of the median. */
  readonly ci95: Interval;
}

/** Pairs of times that were taken side by side in one fresh process: entry i of both belongs together. */
export interface PairedTimes {
  readonly baseline: ArrayLike<number>;
  readonly candidate: ArrayLike<number>;
}

const RESAMPLES = 2000;
const [LOW, HIGH] = [0.025, 0.975];

const sorted = (values: ArrayLike<number>): Float64Array => Float64Array.from(values).sort();

/** Quantile `p` (0…1) of ascending values; NaN of none. */
const quantileOfSorted = (ascending: ArrayLike<number>, p: number): number => {
  const last = ascending.length - 1;
  if (last < 0) return Number.NaN;
  const h = last * p;
  const below = Math.floor(h);
  const low = ascending[below]!;
  const high = ascending[Math.min(below + 1, last)]!;
  return low + (h - below) * (high - low);
};

export const quantile = (values: ArrayLike<number>, p: number): number => quantileOfSorted(sorted(values), p);

export const median = (values: ArrayLike<number>): number => quantile(values, 0.5);

export const mean = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
};

/** Median absolute deviation from the median. */
export const medianAbsoluteDeviation = (values: ArrayLike<number>): number => {
  const middle = median(values);
  return median(Float64Array.from(values, (value) => Math.abs(value - middle)));
};

/** A resample of `ascending`, ascending as well: counts how often each entry is drawn, so nothing needs sorting. */
const resampleSorted = (ascending: Float64Array, rng: Rng, counts: Uint32Array, into: Float64Array): void => {
  counts.fill(0);
  const n = ascending.length;
  for (let i = 0; i < n; i++) counts[rng.integer(n)]!++;
  let at = 0;
  for (let i = 0; i < n; i++) {
    const count = counts[i]!;
    if (count > 0) into.fill(ascending[i]!, at, at + count);
    at += count;
  }
};

const percentiles = (estimates: Float64Array): Interval => {
  estimates.sort();
  return [quantileOfSorted(estimates, LOW), quantileOfSorted(estimates, HIGH)];
};

/** 95 % interval of the median of independent samples. */
export const medianInterval = (values: ArrayLike<number>, seed = 0): Interval => {
  const ascending = sorted(values);
  const counts = new Uint32Array(ascending.length);
  const resample = new Float64Array(ascending.length);
  const rng = createRng(seed);
  const medians = new Float64Array(RESAMPLES);
  for (let i = 0; i < RESAMPLES; i++) {
    resampleSorted(ascending, rng, counts, resample);
    medians[i] = quantileOfSorted(resample, 0.5);
  }
  return percentiles(medians);
};

/** @param samples at least one. */
export const summarize = (samples: ArrayLike<number>, seed = 0): Summary => {
  const ascending = sorted(samples);
  const at = (p: number): number => quantileOfSorted(ascending, p);
  return {
    n: ascending.length,
    min: at(0),
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1),
    mean: mean(ascending),
    mad: medianAbsoluteDeviation(ascending),
    ci95: medianInterval(ascending, seed),
  };
};

/**
 * How many times slower the candidate was in one session: the median over pairs of candidate / baseline. Both runs of a
 * pair meet the same disturbance, so this spreads less between sessions of a busy machine than the ratio of the medians.
 */
export const ratioOfPairs = ({ baseline, candidate }: PairedTimes): number =>
  median(Float64Array.from(candidate, (ms, i) => ms / baseline[i]!));

export type Verdict = 'faster' | 'slower' | 'same' | 'inconclusive';

/**
 * What an interval of the ratio candidate / baseline says: slower when it lies above 1 + margin/2 as a whole, faster when
 * below 1 − margin/2, else the same when it lies within 1 ± margin, else inconclusive.
 */
export const verdictOf = ([low, high]: Interval, margin: number): Verdict => {
  if (low > 1 + margin / 2) return 'slower';
  if (high < 1 - margin / 2) return 'faster';
  if (low >= 1 - margin && high <= 1 + margin) return 'same';
  return 'inconclusive';
};
