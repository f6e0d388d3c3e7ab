/** Mean absolute difference: Σ|a − e| / n. */
import type { Metric } from '../metric.ts';

export const meanAbs: Metric = {
  name: 'meanAbs',
  summary: 'mean absolute difference',
  unit: '',
  better: 'low',
  start() {
    let sum = 0;
    let count = 0;
    return {
      add(expected, actual) {
        for (let i = 0; i < expected.length; i++) sum += Math.abs(actual[i]! - expected[i]!);
        count += expected.length;
      },
      value: () => sum / count,
    };
  },
};
