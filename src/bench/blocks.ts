/**
 * Samples in blocks: short timed loops with the calibration kernel between them, until the time is over, and what they
 * say together.
 */
import { OrthoError } from '../core/errors.ts';
import type { HostedSession, TimedBlock, TimedLoop } from '../runtime/isolated.ts';
import { markDisturbed } from './disturbance.ts';
import { type Trend, trendOf } from './drift.ts';
import { median, quantile, type Summary, summarize } from './statistics.ts';

/** What timing in blocks needs of a process that holds sessions. */
export interface BlockTimer {
  timeBlock(sessions: readonly HostedSession[], loop: TimedLoop): Promise<TimedBlock>;
}

/** Fewest and most rounds that count. The most leaves 20 runs beyond p99; the fewest is for models of seconds. */
export const LEAST_ROUNDS = 5;
export const MOST_ROUNDS = 2000;

const BLOCKS = 20;
const [SHORTEST_MS, LONGEST_MS] = [20, 100];
const BLOCK_ROUNDS = MOST_ROUNDS / BLOCKS;

export interface SamplePace {
  /** After this time no block beyond the fewest rounds begins. */
  readonly maxMs: number;
  /** The clock, in ms. */
  now(): number;
  /** Told after every block. */
  onBlock?(): void;
}

export interface SampledBlocks {
  readonly blocks: readonly TimedBlock[];
  /** When each block began, in ms from the first. */
  readonly starts: readonly number[];
  /** Time of the kernel after the last block; null when interrupted before. */
  readonly lastKernelMs: number | null;
}

export const isInterrupted = (error: unknown): boolean =>
  error instanceof OrthoError && error.code === 'internal/interrupted';

const order = { order: 'fixed', seed: 0, calibrate: true } as const;

/**
 * Runs sessions in turn, in blocks. An interruption ends it early once the fewest rounds are there.
 * @throws OrthoError of the runtime.
 */
export const sampleBlocks = async (
  timer: BlockTimer,
  sessions: readonly HostedSession[],
  { maxMs, now, onBlock }: SamplePace,
): Promise<SampledBlocks> => {
  const blockMs = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, maxMs / BLOCKS));
  const blocks: TimedBlock[] = [];
  const starts: number[] = [];
  const began = now();
  let rounds = 0;
  try {
    while (rounds < MOST_ROUNDS) {
      const at = now() - began;
      if (rounds >= LEAST_ROUNDS && at >= maxMs) break;
      const mostRounds = Math.min(BLOCK_ROUNDS, MOST_ROUNDS - rounds);
      const loop = {
        ...order,
        leastRounds: 1,
        mostRounds,
        maxMs: Math.max(0, Math.min(blockMs, maxMs - at)),
      };
      const block = await timer.timeBlock(sessions, loop);
      blocks.push(block);
      starts.push(at);
      rounds += block.times[0]!.length;
      onBlock?.();
    }
    const last = { ...order, leastRounds: 0, mostRounds: 0, maxMs: 0 };
    const { kernelMs } = await timer.timeBlock(sessions, last);
    return { blocks, starts, lastKernelMs: kernelMs };
  } catch (error) {
    if (!isInterrupted(error) || rounds < LEAST_ROUNDS) throw error;
    return { blocks, starts, lastKernelMs: null };
  }
};

/** A number of samples, and which part of all that is. */
export interface SampleShare {
  readonly samples: number;
  readonly share: number;
}

export interface Drift extends Pick<Trend, 'isTrend'> {
  /** Change of the run time from the first block to the last, as a share of its median. */
  readonly share: number;
  /** The same of the calibration kernel: what it shows too, the machine did. */
  readonly calibrationShare: number;
}

/** What the samples of one session say. */
export interface Sampled {
  /** All samples in ms, in the order they were taken. */
  readonly samples: Float64Array;
  /** For each sample 1 when it was taken while the machine was disturbed, else 0. */
  readonly marks: Uint8Array;
  /** Of the undisturbed samples when these are enough (`disturbed.isLeftOut`), else of all. */
  readonly summary: Summary;
  readonly summaryAll: Summary;
  readonly disturbed: SampleShare & { readonly isLeftOut: boolean };
  /** Beyond the outer fence of Tukey ("Exploratory Data Analysis", 1977): above Q3 + 3·(Q3 − Q1). */
  readonly outliers: SampleShare;
  readonly drift: Drift;
}

/** Undisturbed samples are enough when at least this part of all is left. */
const ENOUGH = 0.25;
/** A trend of less is not worth a word. */
const LEAST_DRIFT = 0.05;

const join = (parts: readonly Float64Array[]): Float64Array => {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

const driftOf = ({ blocks, starts }: SampledBlocks, lane: number, isDisturbed: readonly boolean[]): Drift => {
  const quiet = blocks.flatMap((block, i) =>
    isDisturbed[i]! ? [] : [{ at: starts[i]!, value: median(block.times[lane]!), kernelMs: block.kernelMs }],
  );
  const { share, isTrend } = trendOf(quiet);
  const kernels = quiet.flatMap(({ at, kernelMs }) => (kernelMs === null ? [] : [{ at, value: kernelMs }]));
  return {
    share,
    isTrend: isTrend && Math.abs(share) > LEAST_DRIFT,
    calibrationShare: trendOf(kernels).share,
  };
};

/** What each session's samples say, in the order of the sessions. */
export const readBlocks = (sampled: SampledBlocks): Sampled[] => {
  const { blocks, lastKernelMs } = sampled;
  const isDisturbed = markDisturbed(blocks, lastKernelMs);
  return blocks[0]!.times.map((_, lane) => {
    const series = blocks.map(({ times }) => times[lane]!);
    const samples = join(series);
    const marks = new Uint8Array(samples.length);
    let at = 0;
    series.forEach(({ length }, block) => {
      if (isDisturbed[block]!) marks.fill(1, at, at + length);
      at += length;
    });
    const quiet = samples.filter((_, i) => marks[i] === 0);
    const n = samples.length;
    const count = n - quiet.length;
    const isLeftOut = count > 0 && quiet.length >= Math.max(LEAST_ROUNDS, ENOUGH * n);
    const [lower, upper] = [quantile(samples, 0.25), quantile(samples, 0.75)];
    const far = samples.filter((ms) => ms > upper + 3 * (upper - lower)).length;
    const summaryAll = summarize(samples);
    return {
      samples,
      marks,
      summary: isLeftOut ? summarize(quiet) : summaryAll,
      summaryAll,
      disturbed: { samples: count, share: count / n, isLeftOut },
      outliers: { samples: far, share: far / n },
      drift: driftOf(sampled, lane, isDisturbed),
    };
  });
};
