/** What a benchmark is, and how its figures are written. */

export interface Row {
  readonly what: string;
  readonly against: string;
  /** Measured, with its unit (`1.7x`, `140 MB`). */
  readonly measured: string;
  readonly wanted: string;
  /** undefined where nothing is promised, or nothing could be measured. */
  readonly isMet?: boolean | undefined;
}

export interface Benchmark {
  readonly summary: string;
  run(): Row[] | Promise<Row[]>;
}

export const milliseconds = (ms: number): string => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

export const megabytes = (mb: number | null): string => (mb === null ? 'unknown' : `${mb.toFixed(0)} MiB`);

/** A figure that must stay at or below a limit. */
export const atMost = (
  what: string,
  against: string,
  value: number | null,
  limit: number,
  show: (value: number) => string,
): Row => ({
  what,
  against,
  measured: value === null ? 'unknown' : show(value),
  wanted: `at most ${show(limit)}`,
  isMet: value === null ? undefined : value <= limit,
});

export const times = (ratio: number): string => `${ratio.toFixed(2)}x`;
