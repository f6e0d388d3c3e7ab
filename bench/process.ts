/**
 * Whole processes, timed from outside: wall time with a monotonic clock, peak memory from the operating system's own
 * accounting (GNU time's %M: the largest process of the tree). Two commands are timed in turn, A B A B…, so that a
 * ratio holds when the speed of the machine drifts.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Command = readonly [string, ...string[]];

export interface Sample {
  readonly ms: number;
  /** MiB; null where GNU time is not installed. */
  readonly peakMb: number | null;
}

const GNU_TIME = '/usr/bin/time';

/** Runs a command to its end. @throws Error when it exits with another code than 0. */
export const runOnce = ([file, ...args]: Command, environment: Record<string, string> = {}): Sample => {
  const folder = mkdtempSync(join(tmpdir(), 'ortho-bench-'));
  const record = join(folder, 'peak');
  const measured: Command = existsSync(GNU_TIME)
    ? [GNU_TIME, '-f', '%M', '-o', record, file, ...args]
    : [file, ...args];
  const start = process.hrtime.bigint();
  const result = spawnSync(measured[0], measured.slice(1), {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 1 << 26,
  });
  const ms = Number(process.hrtime.bigint() - start) / 1e6;
  const peakMb = existsSync(record)
    ? Number(readFileSync(record, 'utf8').trim().split('\n').at(-1)) / 1024
    : null;
  rmSync(folder, { recursive: true });
  if (result.status !== 0) {
    throw new Error(
      `${[file, ...args].join(' ')} ended with ${result.status ?? result.signal}: ${result.stderr?.toString().slice(0, 400)}`,
    );
  }
  return { ms, peakMb };
};

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
};

export interface Paired {
  /** Medians. */
  readonly a: Sample;
  readonly b: Sample;
  /** Median of a/b, pair by pair. */
  readonly ratio: number;
}

const middle = (samples: readonly Sample[]): Sample => {
  const peaks = samples.map(({ peakMb }) => peakMb).filter((peak) => peak !== null);
  return { ms: median(samples.map(({ ms }) => ms)), peakMb: peaks.length > 0 ? Math.max(...peaks) : null };
};

/** Times two commands (or functions that run one) in turn after one warm-up each. */
export const runPaired = (a: () => Sample, b: () => Sample, pairs: number): Paired => {
  a();
  b();
  const samples = Array.from({ length: pairs }, () => [a(), b()] as const);
  return {
    a: middle(samples.map(([first]) => first)),
    b: middle(samples.map(([, second]) => second)),
    ratio: median(samples.map(([first, second]) => first.ms / second.ms)),
  };
};

/** Runs with a scratch folder that is gone afterwards. */
export const withFolder = <T>(action: (folder: string) => T): T => {
  const folder = mkdtempSync(join(tmpdir(), 'ortho-bench-'));
  try {
    return action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/** The same for work that waits. */
export const withFolderAsync = async <T>(action: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'ortho-bench-'));
  try {
    return await action(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
