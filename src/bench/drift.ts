/**
 * Do times change as time goes by? The slope by Theil and Sen (the median of the slopes of all pairs of points; Sen,
 * "Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968), and whether there is a trend at all
 * by the test of Mann and Kendall: S = Σ sign(y_j − y_i) over i < j, of variance n(n − 1)(2n + 5) / 18 when there is none.
 */
import { median } from './statistics.ts';

export interface Trend {
  /** Change from the first point to the last, as a share of the median: 0.1 is 10 % slower at the end. */
  readonly share: number;
  /** False where chance explains it (at 1 %), or the points are too few to tell. */
  readonly isTrend: boolean;
}

/** z of 1 % on two sides. */
const CRITICAL = 2.576;
/** With fewer points chance passes the test or nothing does. */
const LEAST_POINTS = 8;
/** All pairs of so many points: more are thinned. */
const MOST_POINTS = 400;

const thin = <T>(values: readonly T[]): readonly T[] => {
  const step = Math.ceil(values.length / MOST_POINTS);
  return step <= 1 ? values : values.filter((_, i) => i % step === 0);
};

/** @param points in order of `at`. */
export const trendOf = (points: readonly { readonly at: number; readonly value: number }[]): Trend => {
  const few = thin(points);
  const n = few.length;
  if (n < 2) return { share: 0, isTrend: false };
  const slopes: number[] = [];
  let s = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const [left, right] = [few[i]!, few[j]!];
      s += Math.sign(right.value - left.value);
      if (right.at > left.at) slopes.push((right.value - left.value) / (right.at - left.at));
    }
  }
  if (slopes.length === 0) return { share: 0, isTrend: false };
  const span = few[n - 1]!.at - few[0]!.at;
  const share = (median(slopes) * span) / median(few.map(({ value }) => value));
  const z = (Math.abs(s) - 1) / Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  return { share, isTrend: n >= LEAST_POINTS && z > CRITICAL };
};
