/** What the plots of samples share: order, quantiles, and the scale of times. */
import { linearScale, type Scale } from './scale.ts';

/** The times of one model, in the order they were taken. */
export interface SampleSeries {
  readonly name: string;
  /** Milliseconds; at least one. */
  readonly samples: readonly number[];
  /** Which of them were taken while the machine was disturbed. */
  readonly disturbed?: readonly boolean[] | undefined;
}

export const runs = (count: number): string => (count === 1 ? '1 run' : `${count} runs`);

/** Quantile by linear interpolation (type 7 of Hyndman & Fan), as the report has it. */
export const quantileOf = (samples: readonly number[], p: number): number => {
  const ascending = samples.toSorted((a, b) => a - b);
  const h = (ascending.length - 1) * p;
  const low = ascending[Math.floor(h)]!;
  const high = ascending[Math.min(Math.floor(h) + 1, ascending.length - 1)]!;
  return low + (h - Math.floor(h)) * (high - low);
};

/** Series whose medians differ by more do not share an axis: one of them would be a spike. */
const SHARED_RATIO = 3;

/** How far an axis goes beyond the median, in distances of the 95th percentile from it. */
const BEYOND = 2.2;

const rangeOf = ({ samples }: SampleSeries): readonly [low: number, high: number] => {
  const [low, p50, p95, high] = [0, 0.5, 0.95, 1].map((p) => quantileOf(samples, p)) as [
    number,
    number,
    number,
    number,
  ];
  return [low, Math.min(high, p50 + BEYOND * (p95 - p50))];
};

/** An axis of times for each series, one and the same where their times are alike; the slowest lie beyond its end. */
export const timeScales = (
  series: readonly SampleSeries[],
  pixels: readonly [number, number],
): { readonly scales: readonly Scale[]; readonly isShared: boolean } => {
  const medians = series.map(({ samples }) => quantileOf(samples, 0.5));
  const isShared = Math.max(...medians) <= SHARED_RATIO * Math.min(...medians);
  const ranges = series.map(rangeOf);
  const all = [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))] as const;
  const scales = ranges.map((own) => {
    const [low, high] = isShared ? all : own;
    const margin = (high - low || high || 1) * 0.05;
    return linearScale([Math.max(0, low - margin), high + margin], pixels);
  });
  return { scales, isShared };
};
