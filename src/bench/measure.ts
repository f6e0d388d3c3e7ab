/**
 * Latency of models: each alone in a fresh process, then all in one process, in turn, as a pipeline runs them.
 *
 * Times are taken inside the process, around `run` alone. Loading and the first run are kept apart; then the model runs
 * until its times are steady, and only then counts. Feeds are prepared once.
 */
import type { Tensor } from '../core/tensor.ts';
import type { HostedSession, TimedLoop } from '../runtime/isolated.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { median, type Summary, summarize } from './statistics.ts';

/** What measuring needs of a process that holds sessions; `SessionHost` is one. */
export interface TimingHost {
  open(path: string, options: SessionOptions): Promise<HostedSession>;
  time(sessions: readonly HostedSession[], loop: TimedLoop): Promise<Float64Array[]>;
  close(): Promise<void>;
}

/** Starts a fresh process. */
export type StartHost = () => TimingHost;

/** A model with what it is fed. */
export interface Target {
  readonly name: string;
  readonly path: string;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

export interface Latency {
  readonly loadMs: number;
  /** The first run, which allocates and warms caches. */
  readonly firstMs: number;
  readonly warmUp: WarmUp;
  readonly summary: Summary;
}

export interface WarmUp {
  /** Runs that do not count, the first one included. */
  readonly runs: number;
  /** False when the times still changed when the time for warming up was over. */
  readonly isSteady: boolean;
}

/** Fewest and most rounds that count. The most leaves 20 runs beyond p99; the fewest is for models of seconds. */
const LEAST_ROUNDS = 5;
const MOST_ROUNDS = 2000;

/** Warming up: batches of at least so many rounds and ms, until two medians in a row differ by at most the tolerance. */
const BATCH_ROUNDS = 3;
const BATCH_MS = 40;
const MOST_BATCHES = 25;
const STEADY_TOLERANCE = 0.05;

/** Share of the time that warming up may take. */
const WARM_UP_SHARE = 0.3;

/** Runs sessions in turn until the time of a round is steady, or `maxMs` is over. */
export const warmUp = async (
  host: TimingHost,
  sessions: readonly HostedSession[],
  maxMs: number,
): Promise<WarmUp> => {
  let runs = 0;
  let spent = 0;
  let previous = Number.NaN;
  for (let batch = 0; batch < MOST_BATCHES; batch++) {
    const loop = { leastRounds: BATCH_ROUNDS, mostRounds: MOST_ROUNDS, maxMs: BATCH_MS } as const;
    const times = await host.time(sessions, { ...loop, order: 'fixed', seed: 0 });
    const rounds = times[0]?.length ?? 0;
    runs += rounds;
    let current = 0;
    for (const series of times) {
      current += median(series);
      for (const ms of series) spent += ms;
    }
    if (Math.abs(current - previous) <= STEADY_TOLERANCE * previous) return { runs, isSteady: true };
    if (spent >= maxMs) break;
    previous = current;
  }
  return { runs, isSteady: false };
};

const firstRun = { leastRounds: 1, mostRounds: 1, maxMs: 0, order: 'fixed', seed: 0 } as const;

const sample = (
  host: TimingHost,
  sessions: readonly HostedSession[],
  maxMs: number,
): Promise<Float64Array[]> =>
  host.time(sessions, {
    leastRounds: LEAST_ROUNDS,
    mostRounds: MOST_ROUNDS,
    maxMs,
    order: 'fixed',
    seed: 0,
  });

/**
 * One model alone in a fresh process.
 * @param budgetMs time to spend on runs; a model that is slow for it still runs a few times.
 * @throws OrthoError of the runtime, see `Session.run`.
 */
export const measureAlone = async (
  start: StartHost,
  target: Target,
  options: SessionOptions,
  budgetMs: number,
): Promise<Latency> => {
  const host = start();
  try {
    const session = await host.open(target.path, options);
    await session.prepare(target.feeds);
    const firstMs = (await host.time([session], firstRun))[0]![0]!;
    const warm = await warmUp(host, [session], budgetMs * WARM_UP_SHARE);
    const [samples] = await sample(host, [session], budgetMs * (1 - WARM_UP_SHARE));
    return {
      loadMs: session.loadMs,
      firstMs,
      warmUp: { runs: warm.runs + 1, isSteady: warm.isSteady },
      summary: summarize(samples!),
    };
  } finally {
    await host.close();
  }
};

/**
 * All models in one fresh process, in turn: A, B, C, A, B, C…
 * @returns one summary a model, in the order given.
 */
export const measureTogether = async (
  start: StartHost,
  targets: readonly Target[],
  options: SessionOptions,
  budgetMs: number,
): Promise<Summary[]> => {
  const host = start();
  try {
    const sessions: HostedSession[] = [];
    for (const { path, feeds } of targets) {
      const session = await host.open(path, options);
      await session.prepare(feeds);
      sessions.push(session);
    }
    await warmUp(host, sessions, budgetMs * WARM_UP_SHARE);
    const times = await sample(host, sessions, budgetMs * (1 - WARM_UP_SHARE));
    return times.map((series) => summarize(series));
  } finally {
    await host.close();
  }
};
