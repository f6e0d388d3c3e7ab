/**
 * Signal-to-quantisation-noise ratio in dB: 10·log₁₀(Σe² / Σ(a − e)²).
 * Infinite when the two sides are equal, −∞ when the expected side is all zeros and the actual one is not,
 * NaN when both are all zeros.
 */
import type { Metric } from '../metric.ts';

export const sqnrDb: Metric = {
  name: 'sqnrDb',
  summary: 'signal-to-quantisation-noise ratio',
  unit: 'dB',
  better: 'high',
  start() {
    let signal = 0;
    let noise = 0;
    return {
      add(expected, actual) {
        for (let i = 0; i < expected.length; i++) {
          const e = expected[i]!;
          const difference = actual[i]! - e;
          signal += e * e;
          noise += difference * difference;
        }
      },
      value: () => 10 * Math.log10(signal / noise),
    };
  },
};
