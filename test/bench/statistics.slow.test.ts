import { expect, test } from 'vitest';
import { medianInterval } from '../../src/bench/statistics.ts';
import { createRng } from '../../src/core/rng.ts';

test.each([41, 101])(
  'the interval of the median of %d run times covers it as often as it says',
  (n) => {
    const rng = createRng(11);
    const trials = 2000;
    let covered = 0;
    for (let trial = 0; trial < trials; trial++) {
      // Log-normal: skewed to the right, as run times are. Its median is 1.
      const [low, high] = medianInterval(
        Float64Array.from({ length: n }, () => Math.exp(0.3 * rng.normal())),
        trial,
      );
      if (low <= 1 && 1 <= high) covered++;
    }
    expect(covered / trials).toBeGreaterThanOrEqual(0.93);
    expect(covered / trials).toBeLessThanOrEqual(0.97);
  },
  300_000,
);
