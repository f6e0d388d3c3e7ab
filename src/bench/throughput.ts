/**
 * How many inferences a second do several processes make at once, each with the same model, and how long does one take
 * under that load?
 */
import type { SessionOptions } from '../runtime/session.ts';
import { type MeasureHooks, type MeasuringHost, type Target, warmUp } from './measure.ts';
import { quantile } from './statistics.ts';

/** What some workers did. */
export interface Load {
  readonly workers: number;
  /** Runs, of all workers. */
  readonly n: number;
  /** Inferences a second, of all workers together. */
  readonly perSecond: number;
  /** Time of a run under this load, in ms. */
  readonly p50: number;
  readonly p99: number;
}

const WARM_UP_SHARE = 0.2;
const LEAST_RUNS = 3;
const MOST_RUNS = 500_000;

/**
 * Processors for each of some workers: more threads than processors only make each other wait.
 * @param cores processors that may be used; with a quota a fraction of one counts as one.
 */
export const threadsPerWorker = (workers: number, cores: number): number =>
  Math.max(1, Math.floor(cores / workers));

/**
 * Runs `workers` processes at once.
 * @param budgetMs time for everything, loading included.
 * @throws OrthoError of the runtime.
 */
export const measureLoad = async (
  start: () => MeasuringHost,
  target: Target,
  options: SessionOptions,
  workers: number,
  budgetMs: number,
  { now = () => performance.now() }: Pick<MeasureHooks, 'now'> = {},
): Promise<Load> => {
  const end = now() + budgetMs;
  const hosts = Array.from({ length: workers }, start);
  try {
    const sessions = await Promise.all(
      hosts.map(async (host) => {
        const session = await host.open(target.path, options);
        await session.prepare(target.feeds);
        return session;
      }),
    );
    const warmUpMs = Math.max(0, end - now()) * WARM_UP_SHARE;
    await Promise.all(hosts.map((host, i) => warmUp(host, [sessions[i]!], warmUpMs)));
    const loop = { leastRounds: LEAST_RUNS, mostRounds: MOST_RUNS, order: 'fixed', seed: 0 } as const;
    const maxMs = Math.max(0, end - now());
    const blocks = await Promise.all(
      hosts.map((host, i) => host.timeBlock([sessions[i]!], { ...loop, maxMs })),
    );
    let perSecond = 0;
    const times: number[] = [];
    for (const { times: series, wallMs } of blocks) {
      perSecond += (1000 * series[0]!.length) / wallMs;
      for (const ms of series[0]!) times.push(ms);
    }
    return { workers, n: times.length, perSecond, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
  } finally {
    await Promise.all(hosts.map((host) => host.close()));
  }
};
