import { expect, test } from 'vitest';
import { estimateOf, intervalOf } from '../../src/bench/sequential.ts';
import {
  type Interval,
  mean,
  median,
  medianAbsoluteDeviation,
  medianInterval,
  type PairedTimes,
  quantile,
  ratioOfPairs,
  summarize,
  verdictOf,
} from '../../src/bench/statistics.ts';
import { createRng } from '../../src/core/rng.ts';

const sample = [12.1, 9.8, 10.4, 10.0, 55.5, 9.9, 10.2, 11.7, 10.1, 10.3, 9.7];

test('quantiles, mean and spread equal those of NumPy', () => {
  // numpy.quantile(sample, p), default method
  const expected: [number, number][] = [
    [0, 9.7],
    [0.25, 9.95],
    [0.5, 10.2],
    [0.9, 12.1],
    [0.95, 33.8],
    [0.99, 51.16],
    [1, 55.5],
  ];
  for (const [p, value] of expected) expect(quantile(sample, p)).toBeCloseTo(value, 10);
  expect(mean(sample)).toBeCloseTo(14.51818181818182, 12);
  expect(medianAbsoluteDeviation(sample)).toBeCloseTo(0.3, 12);
  expect(median([3, 1, 2, 10])).toBe(2.5);
  expect(quantile([7], 0.99)).toBe(7);
  expect(quantile([], 0.5)).toBeNaN();
});

test('the interval of the median is that of 400,000 resamples by NumPy, and depends on the seed alone', () => {
  expect(medianInterval(sample, 1)).toEqual([9.9, 11.7]);
  expect(medianInterval(sample, 7)).toEqual(medianInterval([...sample].reverse(), 7));
  expect(medianInterval([5, 5, 5, 5])).toEqual([5, 5]);
});

test('the interval of the median covers the true one as often as it says', () => {
  const rng = createRng(5);
  let covered = 0;
  for (let trial = 0; trial < 200; trial++) {
    const values = Float64Array.from({ length: 41 }, () => Math.exp(rng.normal()));
    const [low, high] = medianInterval(values, trial);
    if (low <= 1 && 1 <= high) covered++;
  }
  // 95 % of 200 with two standard deviations (3 each) to either side.
  expect(covered).toBeGreaterThanOrEqual(183);
  expect(covered).toBeLessThanOrEqual(197);
});

test('the summary keeps order and counts', () => {
  const summary = summarize(sample);
  expect(summary.n).toBe(11);
  const { min, p50, p90, p95, p99, max } = summary;
  expect([min, p50, p90, p95, p99, max]).toEqual([min, p50, p90, p95, p99, max].toSorted((a, b) => a - b));
  expect(summary.ci95[0]).toBeLessThanOrEqual(p50);
  expect(summary.ci95[1]).toBeGreaterThanOrEqual(p50);
});

/** Sessions of pairs: common drift, noise of each run, and an effect of each fresh session. */
const simulate = (seed: number, trueRatio: number, sessionSpread: number): PairedTimes[] => {
  const rng = createRng(seed);
  return Array.from({ length: 6 }, () => {
    const effect = Math.exp(sessionSpread * rng.normal());
    const pairs = Array.from({ length: 30 }, (_, i) => {
      const drift = 10 + Math.sin(i / 5) + 5 * Number(rng.next() < 0.05);
      return [
        drift * Math.exp(0.02 * rng.normal()),
        drift * Math.exp(0.02 * rng.normal()) * trueRatio * effect,
      ];
    });
    return {
      baseline: Float64Array.from(pairs, ([a]) => a!),
      candidate: Float64Array.from(pairs, ([, b]) => b!),
    };
  });
};

/** The 95 % interval of the ratio candidate / baseline. */
const intervalOver = (sessions: readonly PairedTimes[]): Interval =>
  intervalOf(estimateOf(sessions.map((session) => Math.log(ratioOfPairs(session)))), 0.95);

test('a scaled copy has exactly that ratio', () => {
  const baseline = Float64Array.from({ length: 25 }, (_, i) => 3 + Math.sin(i));
  const candidate = baseline.map((ms) => ms * 1.25);
  expect(ratioOfPairs({ baseline, candidate })).toBeCloseTo(1.25, 12);
  const ci95 = intervalOver([
    { baseline, candidate },
    { baseline, candidate },
  ]);
  expect(ci95[0]).toBeCloseTo(1.25, 12);
  expect(ci95[1]).toBeCloseTo(1.25, 12);
});

test('equal models are not called different, different ones are found, also when fresh sessions differ', () => {
  const verdicts = (ratio: number, spread: number): string[] =>
    Array.from({ length: 40 }, (_, seed) => verdictOf(intervalOver(simulate(seed, ratio, spread)), 0.03));
  const count = (list: string[], verdict: string): number => list.filter((one) => one === verdict).length;
  const equal = verdicts(1, 0.01);
  expect(count(equal, 'slower') + count(equal, 'faster')).toBe(0);
  expect(count(equal, 'same')).toBeGreaterThan(33);
  expect(count(verdicts(1.06, 0.01), 'slower')).toBeGreaterThan(36);
  expect(count(verdicts(1 / 1.06, 0.01), 'faster')).toBeGreaterThan(36);
});

test('the interval of the ratio covers the true one in nine of ten simulated comparisons', () => {
  let covered = 0;
  for (let seed = 0; seed < 100; seed++) {
    const ci95 = intervalOver(simulate(1000 + seed, 1.02, 0.015));
    if (ci95[0] <= 1.02 && 1.02 <= ci95[1]) covered++;
  }
  expect(covered).toBeGreaterThanOrEqual(90);
});

test.each([
  [[1.016, 1.2], 'slower'],
  [[1.014, 1.029], 'same'],
  [[1.014, 1.2], 'inconclusive'],
  [[0.8, 0.984], 'faster'],
  [[0.98, 1.02], 'same'],
  [[0.9, 1.0], 'inconclusive'],
] as const)('an interval of %j is %s at a margin of 3 %%', (interval, verdict) => {
  expect(verdictOf(interval, 0.03)).toBe(verdict);
});
