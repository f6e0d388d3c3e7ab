/** Cosine similarity: Σae / √(Σa²·Σe²); NaN when either side is all zeros. */
import type { Metric } from '../metric.ts';

export const cosine: Metric = {
  name: 'cosine',
  summary: 'cosine similarity',
  unit: '',
  better: 'high',
  start() {
    let product = 0;
    let expectedSquares = 0;
    let actualSquares = 0;
    return {
      add(expected, actual) {
        for (let i = 0; i < expected.length; i++) {
          const e = expected[i]!;
          const a = actual[i]!;
          product += a * e;
          expectedSquares += e * e;
          actualSquares += a * a;
        }
      },
      // √x·√y, not √(x·y): the product of two sums of squares can overflow. Rounding may lift it above 1.
      value: () => {
        const value = product / (Math.sqrt(expectedSquares) * Math.sqrt(actualSquares));
        return Math.max(-1, Math.min(1, value));
      },
    };
  },
};
