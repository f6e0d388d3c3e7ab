/**
 * Is the candidate faster than the baseline? Both run in one process, in pairs, in random order within each pair, so
 * that whatever else the machine does meets both; and this in several fresh processes, because two sessions of the
 * same file already differ a little. Threads of one never spin while the other runs: with spinning on, even
 * interleaved measurements of equal models find a difference in most trials.
 */
import type { SessionOptions } from '../runtime/session.ts';
import { type StartHost, type Target, warmUp } from './measure.ts';
import { type Interval, type PairedTimes, ratioOverSessions, type Verdict, verdictOf } from './statistics.ts';

export interface CompareOptions {
  readonly session: SessionOptions;
  /** Time to spend, in ms; the fewest sessions and pairs are measured even when they take longer. */
  readonly budgetMs: number;
  /** Differences within this share count as none, e.g. 0.03. */
  readonly margin: number;
  readonly seed: number;
  /** The clock, in ms. */
  readonly now?: () => number;
}

export interface Comparison {
  /** Candidate / baseline: above 1 the candidate is slower. */
  readonly ratio: number;
  readonly ci95: Interval;
  readonly verdict: Verdict;
  readonly sessions: number;
  readonly pairs: number;
}

const LEAST_SESSIONS = 3;
const MOST_SESSIONS = 8;
const LEAST_PAIRS = 10;
const MOST_PAIRS = 250;
const WARM_UP_SHARE = 0.2;

const measurePairs = async (
  start: StartHost,
  targets: readonly [baseline: Target, candidate: Target],
  options: SessionOptions,
  budgetMs: number,
  seed: number,
): Promise<PairedTimes> => {
  const host = start();
  try {
    // Which of the two is loaded first decides where its weights lie: take turns.
    const loading = seed % 2 === 0 ? targets : targets.toReversed();
    const opened = [];
    for (const { path, feeds } of loading) {
      const session = await host.open(path, options);
      await session.prepare(feeds);
      opened.push(session);
    }
    const sessions = seed % 2 === 0 ? opened : opened.toReversed();
    await warmUp(host, sessions, budgetMs * WARM_UP_SHARE);
    const [baseline, candidate] = await host.time(sessions, {
      leastRounds: LEAST_PAIRS,
      mostRounds: MOST_PAIRS,
      maxMs: budgetMs * (1 - WARM_UP_SHARE),
      order: 'shuffled',
      seed,
    });
    return { baseline: baseline!, candidate: candidate! };
  } finally {
    await host.close();
  }
};

/** Compares two models that are fed alike. @throws OrthoError of the runtime. */
export const compareModels = async (
  start: StartHost,
  baseline: Target,
  candidate: Target,
  options: CompareOptions,
): Promise<Comparison> => {
  const { budgetMs, margin, seed, now = () => performance.now() } = options;
  const { spinning } = options.session;
  const session: SessionOptions = { ...options.session, spinning: spinning === 'off' ? 'off' : 'stop' };
  const started = now();
  const measured: PairedTimes[] = [];
  while (measured.length < MOST_SESSIONS) {
    const left = budgetMs - (now() - started);
    const each = measured.length === 0 ? budgetMs / MOST_SESSIONS : (now() - started) / measured.length;
    if (measured.length >= LEAST_SESSIONS && left < each / 2) break;
    const share = Math.max(0, left) / (MOST_SESSIONS - measured.length);
    measured.push(await measurePairs(start, [baseline, candidate], session, share, seed + measured.length));
  }
  const { ratio, ci95 } = ratioOverSessions(measured, seed);
  const pairs = measured.reduce((sum, { baseline: times }) => sum + times.length, 0);
  return { ratio, ci95, verdict: verdictOf(ci95, margin), sessions: measured.length, pairs };
};
