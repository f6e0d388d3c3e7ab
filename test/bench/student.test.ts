import { expect, test } from 'vitest';
import { centralProbability, tQuantile } from '../../src/bench/student.ts';

// Fisher & Yates, "Statistical Tables", table III: P(|T| > t).
test.each([
  [0.5, 1, 1.0],
  [0.95, 1, 12.706],
  [0.99, 1, 63.657],
  [0.95, 2, 4.303],
  [0.95, 3, 3.182],
  [0.95, 4, 2.776],
  [0.999, 5, 6.869],
  [0.9, 7, 1.895],
  [0.99, 10, 3.169],
  [0.95, 29, 2.045],
  [0.999, 30, 3.646],
  [0.95, 120, 1.98],
] as const)('the %d quantile with %d degrees of freedom is that of the tables', (confidence, degrees, t) => {
  expect(tQuantile(confidence, degrees)).toBeCloseTo(t, 3);
});

test('the quantile undoes the probability', () => {
  for (const degrees of [1, 2, 5, 8, 23, 400]) {
    for (const confidence of [0.1, 0.95, 0.999, 1 - 1e-9]) {
      expect(centralProbability(tQuantile(confidence, degrees), degrees)).toBeCloseTo(confidence, 12);
    }
  }
  expect(centralProbability(0, 3)).toBe(0);
});

test('with many degrees of freedom it is the normal distribution', () => {
  expect(tQuantile(0.95, 100_000)).toBeCloseTo(1.95999, 4);
});
