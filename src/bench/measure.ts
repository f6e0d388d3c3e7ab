/**
 * Latency of models: each alone in a fresh process, then all in one process, in turn, as a pipeline runs them.
 *
 * Times are taken inside the process, around `run` alone. Loading and the first run are kept apart; then the model runs
 * until its times are steady, and only then counts. Feeds are prepared once, and how long that takes is told apart.
 * Runs that count come in blocks, with a calibration kernel between them that shows what the machine does meanwhile.
 */
import type { Tensor } from '../core/tensor.ts';
import type { HostedSession, TimedLoop } from '../runtime/isolated.ts';
import type { RestFacts } from '../runtime/protocol.ts';
import type { SessionOptions } from '../runtime/session.ts';
import {
  type BlockTimer,
  isInterrupted,
  MOST_ROUNDS,
  readBlocks,
  type Sampled,
  sampleBlocks,
} from './blocks.ts';
import { median } from './statistics.ts';

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

/** A process that also tells what it sees while it times, and what sessions cost while nothing runs. */
export interface MeasuringHost extends TimingHost, BlockTimer {
  rest(session: HostedSession, ms: number): Promise<RestFacts>;
}

/** Resident memory of a process with one model, in MB (2^20 bytes). */
export interface Memory {
  /** Before the model was loaded: Node and the runtime. */
  readonly baseMb: number;
  readonly peakMb: number;
  /** After runs. */
  readonly steadyMb: number;
}

export interface Latency extends Sampled {
  readonly loadMs: number;
  /** The first run, which allocates and warms caches. */
  readonly firstMs: number;
  readonly warmUp: WarmUp;
  /** Processor time of a run, over all threads. */
  readonly cpuMsPerRun: number;
  /** Time in which the feeds become inputs of the runtime; in no other time; null when interrupted before. */
  readonly feedMs: number | null;
  /**
   * Processors kept busy over the first {@link REST_MS} ms after a run, while nothing runs: what spinning threads burn.
   * Null when interrupted before.
   */
  readonly idleCpuShare: number | null;
  /** Null when interrupted before. */
  readonly memory: Memory | null;
}

/** How a measurement keeps time and tells of it. */
export interface MeasureHooks {
  /** The clock, in ms. */
  readonly now?: () => number;
  /** Told once, when the model ran for the first time. */
  readonly onFirstRun?: (ms: { readonly loadMs: number; readonly firstMs: number }) => void;
  /** Told now and then while runs are timed. */
  readonly onBlock?: () => void;
}

export interface WarmUp {
  /** Runs that do not count, the first one included. */
  readonly runs: number;
  /** False when the times still changed when the time for warming up was over. */
  readonly isSteady: boolean;
}

/** Warming up: batches of at least so many rounds and ms, until two medians in a row differ by at most the tolerance. */
const BATCH_ROUNDS = 3;
const BATCH_MS = 40;
const MOST_BATCHES = 25;
const STEADY_TOLERANCE = 0.05;

/** Loading may take all of the time: this share is spent on runs nevertheless. */
const LEAST_SHARE = 0.25;

/** Share of that time that is kept for the runs that count, however long warming up takes. */
const LEAST_SAMPLING = 0.5;

/** Share of the time that warming up may take. */
const WARM_UP_SHARE = 0.3;

/** How long nothing runs while it is measured what that costs. */
const REST_MS = 100;

/**
 * Runs sessions in turn until the time of a round is steady, or `maxMs` is over.
 * @param roundMs what a round may take as far as is known: where few fit into the time, few are made.
 */
export const warmUp = async (
  host: Pick<TimingHost, 'time'>,
  sessions: readonly HostedSession[],
  maxMs: number,
  roundMs = 0,
): Promise<WarmUp> => {
  const leastRounds = roundMs * BATCH_ROUNDS > maxMs ? 1 : BATCH_ROUNDS;
  let runs = 0;
  let spent = 0;
  let previous = Number.NaN;
  for (let batch = 0; batch < MOST_BATCHES; batch++) {
    const loop = { leastRounds, mostRounds: MOST_ROUNDS, maxMs: BATCH_MS } as const;
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

const open = async (
  host: MeasuringHost,
  targets: readonly Target[],
  options: SessionOptions,
): Promise<HostedSession[]> => {
  const sessions: HostedSession[] = [];
  for (const { path, feeds } of targets) {
    const session = await host.open(path, options);
    await session.prepare(feeds);
    sessions.push(session);
  }
  return sessions;
};

/** Null when the user interrupted: what was measured before is kept. */
const restFacts = async (host: MeasuringHost, session: HostedSession): Promise<RestFacts | null> => {
  try {
    return await host.rest(session, REST_MS);
  } catch (error) {
    if (isInterrupted(error)) return null;
    throw error;
  }
};

/**
 * One model alone in a fresh process.
 * @param budgetMs time for everything, loading included; a model that is slow for it still runs a few times.
 * @throws OrthoError of the runtime, see `Session.run`.
 */
export const measureAlone = async (
  start: () => MeasuringHost,
  target: Target,
  options: SessionOptions,
  budgetMs: number,
  hooks: MeasureHooks = {},
): Promise<Latency> => {
  const { now = () => performance.now(), onFirstRun, onBlock } = hooks;
  const end = now() + budgetMs - REST_MS;
  const host = start();
  try {
    const [session] = await open(host, [target], options);
    const firstMs = (await host.time([session!], firstRun))[0]![0]!;
    const { loadMs } = session!;
    onFirstRun?.({ loadMs, firstMs });
    const leftMs = Math.max(end - now(), budgetMs * LEAST_SHARE);
    const until = now() + leftMs;
    const warm = await warmUp(host, [session!], leftMs * WARM_UP_SHARE, firstMs);
    const maxMs = Math.max(until - now(), leftMs * LEAST_SAMPLING);
    const pace = { maxMs, now, ...(onBlock && { onBlock }) };
    const sampled = await sampleBlocks(host, [session!], pace);
    const [read] = readBlocks(sampled);
    const facts = await restFacts(host, session!);
    return {
      ...read!,
      loadMs,
      firstMs,
      warmUp: { runs: warm.runs + 1, isSteady: warm.isSteady },
      cpuMsPerRun: sampled.blocks.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / read!.samples.length,
      feedMs: facts?.feedMs ?? null,
      idleCpuShare: facts === null ? null : facts.idleCpuMs / facts.idleWallMs,
      memory: facts && { baseMb: facts.baseMb, peakMb: facts.peakMb, steadyMb: facts.steadyMb },
    };
  } finally {
    await host.close();
  }
};

/**
 * All models in one fresh process, in turn: A, B, C, A, B, C…
 * @param budgetMs time for everything, loading included.
 * @returns what was measured of each model, in the order given.
 */
export const measureTogether = async (
  start: () => MeasuringHost,
  targets: readonly Target[],
  options: SessionOptions,
  budgetMs: number,
  hooks: Pick<MeasureHooks, 'now' | 'onBlock'> = {},
): Promise<Sampled[]> => {
  const { now = () => performance.now(), onBlock } = hooks;
  const end = now() + budgetMs;
  const host = start();
  try {
    const sessions = await open(host, targets, options);
    const first = await host.time(sessions, firstRun);
    const roundMs = first.reduce((sum, series) => sum + series[0]!, 0);
    const leftMs = Math.max(end - now(), budgetMs * LEAST_SHARE);
    const until = now() + leftMs;
    await warmUp(host, sessions, leftMs * WARM_UP_SHARE, roundMs);
    const maxMs = Math.max(until - now(), leftMs * LEAST_SAMPLING);
    const pace = { maxMs, now, ...(onBlock && { onBlock }) };
    return readBlocks(await sampleBlocks(host, sessions, pace));
  } finally {
    await host.close();
  }
};
