/** Largest absolute difference: max |a − e|. */
import type { Metric } from '../metric.ts';

export const maxAbs: Metric = {
  name: 'maxAbs',
  summary: 'largest absolute difference',
  unit: '',
  better: 'low',
  start() {
    let largest = Number.NaN;
    return {
      add(expected, actual) {
        if (expected.length > 0 && Number.isNaN(largest)) largest = 0;
        for (let i = 0; i < expected.length; i++) {
          const difference = Math.abs(actual[i]! - expected[i]!);
          if (difference > largest) largest = difference;
        }
      },
      value: () => largest,
    };
  },
};
