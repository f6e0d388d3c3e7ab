/**
 * SQNR of what varies, in dB: 10·log₁₀(Σ(e − ē)² / Σ(a − e)²), where ē is the mean of each element over the samples.
 *
 * An output that is nearly the same for every input has a large plain SQNR whatever the noise does to the little
 * that it says; this one divides by nothing but the part that carries information. Each `add` is one sample; it
 * needs two or more of the same size (NaN otherwise). The mean and the sum of squares are Welford's (1962), element
 * by element, so nothing but one vector is held. NaN when nothing varies and nothing differs.
 */
import type { Metric } from '../metric.ts';

export const centredSqnrDb: Metric = {
  name: 'centredSqnrDb',
  summary: 'SQNR of the signal minus its mean over the cases',
  unit: 'dB',
  better: 'high',
  start() {
    let mean: Float64Array | undefined;
    let samples = 0;
    let varying = 0;
    let noise = 0;
    let isComparable = true;
    return {
      add(expected, actual) {
        mean ??= new Float64Array(expected.length);
        if (mean.length !== expected.length) isComparable = false;
        if (!isComparable) return;
        samples++;
        for (let i = 0; i < expected.length; i++) {
          const e = expected[i]!;
          const difference = actual[i]! - e;
          noise += difference * difference;
          const fromOldMean = e - mean[i]!;
          mean[i] = mean[i]! + fromOldMean / samples;
          varying += fromOldMean * (e - mean[i]!);
        }
      },
      value: () => (isComparable && samples >= 2 ? 10 * Math.log10(varying / noise) : Number.NaN),
    };
  },
};
