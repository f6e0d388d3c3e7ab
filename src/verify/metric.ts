/**
 * What a metric is: a number from expected and actual values, accumulated so that it can be taken over one tensor
 * or over all cases of an output without holding them.
 *
 * The values handed to `add` are finite everywhere: positions where either side is NaN or infinite are compared by
 * position elsewhere (compare.ts) and stand as 0 on both sides here, where they count as equal and weigh nothing.
 */
export type Numbers = Float32Array | Float64Array;

export interface Accumulator {
  /** Takes one tensor's values; both sides have the same length. */
  add(expected: Numbers, actual: Numbers): void;
  /** The metric so far; NaN where it is not defined (no elements, no signal…), infinite where it has no bound. */
  value(): number;
}

export interface Metric {
  readonly name: string;
  readonly summary: string;
  readonly unit: '' | 'dB';
  /** Whether a low or a high value means that the two sides are near. */
  readonly better: 'low' | 'high';
  start(): Accumulator;
}
