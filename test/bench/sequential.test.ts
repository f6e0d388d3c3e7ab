import { expect, test } from 'vitest';
import {
  answerOf,
  differenceOf,
  estimateOf,
  intervalOf,
  regressionOf,
  startLooks,
} from '../../src/bench/sequential.ts';
import { createRng, type Rng } from '../../src/core/rng.ts';

test('the mean of a few values has the interval of the textbook', () => {
  // Student's own sample, "The probable error of a mean" (1908): extra hours of sleep, t = 4.0621 with 9 degrees.
  const sleep = [1.2, 2.4, 1.3, 1.3, 0, 1.0, 1.8, 0.8, 4.6, 1.4];
  const { mean, standardError, degrees } = estimateOf(sleep, 0);
  expect(mean).toBeCloseTo(1.58, 12);
  expect(mean / standardError).toBeCloseTo(4.0621, 4);
  expect(degrees).toBe(9);
  const [low, high] = intervalOf({ mean, standardError, degrees }, 0.95);
  // R: t.test(sleep) gives 0.7001142 to 2.4598858
  expect(Math.log(low)).toBeCloseTo(0.7001142, 6);
  expect(Math.log(high)).toBeCloseTo(2.4598858, 6);
});

test('the trimmed mean has the interval of the textbook', () => {
  // Dana's data in Wilcox, "Introduction to Robust Estimation and Hypothesis Testing", 4.3: trimci(x), a fifth trimmed.
  const times = [
    77, 87, 88, 114, 151, 210, 219, 246, 253, 262, 296, 299, 306, 376, 428, 515, 666, 1310, 2611,
  ];
  const { mean, standardError, degrees } = estimateOf(times, 3);
  expect(mean).toBeCloseTo(282.6923, 4);
  expect(degrees).toBe(12);
  // The book divides the winsorized deviation by (1 - 2·0.2)·√19, Tukey and McLaughlin by what is really kept: 13 of 19.
  const half = 2.178813 * standardError * (Math.sqrt((13 * 12) / 18) / (0.6 * Math.sqrt(19)));
  expect(mean - half).toBeCloseTo(160.3913, 1);
  expect(mean + half).toBeCloseTo(404.9933, 1);
});

test('sessions that the machine spoiled count little', () => {
  const sound = [0.03, 0.031, 0.029, 0.032, 0.028, 0.03, 0.031, 0.029, 0.03, 0.03, 0.031, 0.029];
  const spoiled = [...sound.slice(0, -1), 0.5];
  expect(estimateOf(spoiled).mean).toBeCloseTo(estimateOf(sound).mean, 3);
  expect(estimateOf(spoiled).standardError).toBeLessThan(2 * estimateOf(sound).standardError);
  expect(estimateOf(spoiled.slice(0, 8))).toEqual(estimateOf(spoiled.slice(0, 8), 0));
});

test('the difference of two samples is that of Welch', () => {
  // R's sleep data, t.test(extra ~ group): t = -1.8608, df = 17.776
  const first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
  const second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
  const { mean, standardError, degrees } = differenceOf(estimateOf(first, 0), estimateOf(second, 0));
  expect(mean / standardError).toBeCloseTo(-1.8608, 4);
  expect(degrees).toBe(17);
  expect(differenceOf(estimateOf([1, 1, 1]), estimateOf([0, 0, 0]))).toEqual({
    mean: 1,
    standardError: 0,
    degrees: 4,
  });
});

test('a regression is proven by a whole interval only', () => {
  expect(regressionOf([1.051, 1.2], 0.05)).toBe('proven');
  expect(regressionOf([1.049, 1.2], 0.05)).toBe('inconclusive');
  expect(regressionOf([0.9, 1.049], 0.05)).toBe('excluded');
});

interface Outcome {
  readonly verdict: string;
  readonly regression: string | undefined;
  readonly covered: boolean;
  readonly used: number;
}

/** A comparison whose sessions are drawn from `draw`; the budget lasts for `most` of them. */
const compare = (draw: () => number, ratio: number, most: number, maxRegression?: number): Outcome => {
  const question = { margin: 0.03, maxRegression };
  const isAnswered = startLooks(question);
  const logRatios: number[] = [];
  for (;;) {
    logRatios.push(Math.log(ratio) + draw());
    if (logRatios.length < 3) continue;
    const isOver = logRatios.length >= most;
    if (!isAnswered(() => estimateOf(logRatios), logRatios.length, logRatios.length / most) && !isOver)
      continue;
    const { ci95, verdict, regression } = answerOf(estimateOf(logRatios), question);
    return { verdict, regression, covered: ci95[0] <= ratio && ratio <= ci95[1], used: logRatios.length };
  }
};

interface Rates {
  readonly share: (verdict: string) => number;
  readonly coverage: number;
  readonly used: number;
}

const TRIALS = 2500;

const simulate = (ratio: number, most: number, drawFrom: (rng: Rng) => number, seed = 1): Rates => {
  const rng = createRng(seed);
  const outcomes = Array.from({ length: TRIALS }, () => compare(() => drawFrom(rng), ratio, most));
  const shareOf = (is: (outcome: Outcome) => boolean): number => outcomes.filter(is).length / TRIALS;
  return {
    share: (verdict) => shareOf((one) => one.verdict === verdict),
    coverage: shareOf(({ covered }) => covered),
    used: outcomes.reduce((sum, { used }) => sum + used, 0) / TRIALS / most,
  };
};

/** Spreads of the log ratios of fresh sessions, as they are found on quiet and on busy machines. */
const SPREADS = [0.003, 0.005, 0.01, 0.015] as const;
const normal =
  (spread: number) =>
  (rng: Rng): number =>
    spread * rng.normal();
/** One session in ten is disturbed and spreads three times as far; the same standard deviation altogether. */
const disturbed =
  (spread: number) =>
  (rng: Rng): number =>
    (spread / Math.sqrt(0.9 + 0.1 * 9)) * (rng.next() < 0.1 ? 3 : 1) * rng.normal();
/** Two ways that memory may lie, one 2 % slower. */
const twoLevels =
  (spread: number) =>
  (rng: Rng): number =>
    (rng.next() < 0.5 ? 0.01 : -0.01) + spread * rng.normal();

test.each(SPREADS)('equal models are not called different (sessions spread by %d)', (spread) => {
  for (const kind of [normal, disturbed, twoLevels]) {
    for (const most of [3, 6, 12, 24]) {
      const { share } = simulate(1, most, kind(spread));
      expect(share('slower') + share('faster')).toBeLessThanOrEqual(0.01);
    }
  }
});

test.each(SPREADS)(
  'intervals cover the true ratio as often as they say (sessions spread by %d)',
  (spread) => {
    // Looks near a bound stop at intervals that lie to its one side: 2 % is the worst case, 5 % the plain one.
    for (const ratio of [1, 1.02, 1.03, 1.05]) {
      const { coverage } = simulate(ratio, 20, normal(spread));
      expect(coverage).toBeGreaterThanOrEqual(0.93);
      expect(coverage).toBeLessThanOrEqual(0.97);
    }
  },
);

test.each(SPREADS)('true differences are found within 20 s (sessions spread by %d)', (spread) => {
  for (const kind of [normal, disturbed]) {
    expect(simulate(1.03, 20, kind(spread)).share('slower')).toBeGreaterThanOrEqual(0.9);
    expect(simulate(1.05, 20, kind(spread)).share('slower')).toBeGreaterThanOrEqual(0.99);
    expect(simulate(1.1, 20, kind(spread)).share('slower')).toBeGreaterThanOrEqual(0.99);
    expect(simulate(1 / 1.05, 20, kind(spread)).share('faster')).toBeGreaterThanOrEqual(0.99);
  }
});

test('a difference that is on the bound of "slower" is called slower in one of forty at most', () => {
  for (const spread of SPREADS)
    expect(simulate(1.015, 24, normal(spread)).share('slower')).toBeLessThan(0.03);
});

test('what is clear early ends early', () => {
  expect(simulate(1.1, 24, normal(0.005)).used).toBeLessThan(0.3);
  expect(simulate(1.02, 24, normal(0.015)).used).toBeGreaterThan(0.8);
});

test('an allowed regression is proven when there is one, hardly ever else, and the comparison goes on for it', () => {
  const rng = createRng(9);
  const outcomes = (ratio: number): Outcome[] =>
    Array.from({ length: 1000 }, () => compare(() => 0.01 * rng.normal(), ratio, 24, 0.05));
  const proven = (all: Outcome[]): number => all.filter(({ regression }) => regression === 'proven').length;
  const onTheBound = outcomes(1.05);
  expect(proven(onTheBound)).toBeLessThan(40);
  expect(onTheBound.filter(({ used }) => used === 24).length).toBeGreaterThan(900);
  expect(proven(outcomes(1.03))).toBe(0);
  expect(proven(outcomes(1.08))).toBeGreaterThan(990);
  expect(outcomes(1).every(({ regression }) => regression === 'excluded')).toBe(true);
});
