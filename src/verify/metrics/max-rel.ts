/**
 * Largest relative difference: max |a − e| / |e| over the elements with e ≠ 0.
 * Where the expected value is exactly 0 there is no relative error; the absolute metrics see those elements.
 */
import type { Metric } from '../metric.ts';

export const maxRel: Metric = {
  name: 'maxRel',
  summary: 'largest difference relative to the expected value (expected zeros left out)',
  unit: '',
  better: 'low',
  start() {
    let largest = Number.NaN;
    return {
      add(expected, actual) {
        for (let i = 0; i < expected.length; i++) {
          const e = expected[i]!;
          if (e === 0) continue;
          const ratio = Math.abs((actual[i]! - e) / e);
          if (!(ratio <= largest)) largest = ratio;
        }
      },
      value: () => largest,
    };
  },
};
