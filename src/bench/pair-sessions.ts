/**
 * Pairs of runs in fresh processes: the raw material of every comparison.
 *
 * In each process both models are loaded, which of them first by turns, and run in pairs, in random order within each
 * pair, so that whatever else the machine does meets both. Two sessions of one and the same file differ a little (where
 * the weights lie, which core), so there are many short sessions rather than one long one. Threads of one model never
 * spin while the other runs: with spinning on, even interleaved runs of equal models find a difference in most trials.
 */
import type { SessionOptions } from '../runtime/session.ts';
import type { StartHost, Target } from './measure.ts';
import { median, type PairedTimes, ratioOfPairs } from './statistics.ts';

export interface PairOptions {
  readonly session: SessionOptions;
  /** Time to spend, in ms; the fewest sessions and pairs are measured even when they take longer. */
  readonly budgetMs: number;
  readonly seed: number;
  /** The clock, in ms. */
  readonly now?: () => number;
}

/** What one fresh process found. */
export interface SessionPair {
  /** ln of candidate / baseline. */
  readonly logRatio: number;
  readonly pairs: number;
  /** Medians, in ms. */
  readonly baselineMs: number;
  readonly candidateMs: number;
}

const LEAST_SESSIONS = 3;
/** Enough for an early look; as long as the models are quick enough for the budget. */
const WANTED_SESSIONS = 6;
/** Beyond this, more pairs in each are worth more than more sessions. */
const MOST_SESSIONS = 24;
const LEAST_PAIRS = 2;
const MOST_PAIRS = 5000;
const WARM_UP_SHARE = 0.15;
/** A session runs for so long at least, in ms: little beside its start, and hundreds of pairs of a quick model. */
const LEAST_MS = 60;
/** Starting a process takes its time whatever is measured in it: a session lasts at least so many times that. */
const OF_START = 2.5;

/** How long a session should take, in ms. */
const sessionMs = (startMs: number, budgetMs: number): number =>
  Math.min(Math.max(OF_START * startMs, budgetMs / MOST_SESSIONS), budgetMs / WANTED_SESSIONS);

/** One fresh process. @param lengthOf how long it should take, start included, in ms. */
const measureSession = async (
  start: StartHost,
  targets: readonly [baseline: Target, candidate: Target],
  options: SessionOptions,
  seed: number,
  lengthOf: (startMs: number) => number,
  now: () => number,
): Promise<{ times: PairedTimes; startMs: number }> => {
  const began = now();
  const host = start();
  try {
    // Which of the two is loaded first decides where its weights lie: take turns.
    const isTurned = seed % 2 === 1;
    const opened = [];
    for (const { path, feeds } of isTurned ? targets.toReversed() : targets) {
      const session = await host.open(path, options);
      await session.prepare(feeds);
      opened.push(session);
    }
    const sessions = isTurned ? opened.toReversed() : opened;
    const startMs = now() - began;
    const length = Math.max(LEAST_MS, lengthOf(startMs) - startMs);
    const loop = { order: 'shuffled', seed, mostRounds: MOST_PAIRS } as const;
    await host.time(sessions, { ...loop, leastRounds: 1, maxMs: length * WARM_UP_SHARE });
    const [baseline, candidate] = await host.time(sessions, {
      ...loop,
      leastRounds: LEAST_PAIRS,
      maxMs: length * (1 - WARM_UP_SHARE),
    });
    return { times: { baseline: baseline!, candidate: candidate! }, startMs };
  } finally {
    await host.close();
  }
};

/**
 * Measures sessions until the time is spent.
 * @param onSession is told of each, with the share of the budget that is spent by then; true ends it there.
 * @throws OrthoError of the runtime.
 */
export const measurePairs = async (
  start: StartHost,
  baseline: Target,
  candidate: Target,
  options: PairOptions,
  onSession: (sessions: readonly SessionPair[], share: number) => boolean = () => false,
): Promise<SessionPair[]> => {
  const { budgetMs, seed, now = () => performance.now() } = options;
  const { spinning } = options.session;
  const session: SessionOptions = { ...options.session, spinning: spinning === 'off' ? 'off' : 'stop' };
  const began = now();
  const measured: SessionPair[] = [];
  for (;;) {
    const { times } = await measureSession(
      start,
      [baseline, candidate],
      session,
      seed + measured.length,
      (startMs) => sessionMs(startMs, budgetMs),
      now,
    );
    measured.push({
      logRatio: Math.log(ratioOfPairs(times)),
      pairs: times.baseline.length,
      baselineMs: median(times.baseline),
      candidateMs: median(times.candidate),
    });
    if (measured.length < LEAST_SESSIONS) continue;
    const spent = now() - began;
    if (onSession(measured, spent / budgetMs)) return measured;
    if (budgetMs - spent < spent / measured.length / 2) return measured;
  }
};
