/**
 * Models loaded with one configuration, ready to be timed as a pipeline, and what one pass of them costs.
 *
 * Objectives, in ms:
 * - `latency`: all models in one process, in turn; the cost is the sum of the stages of a round: how long one item takes.
 * - `throughput`: each model in a process of its own, all running at the same time; the cost is the median of the slowest
 *   stage: a pipeline passes on an item as often as its slowest stage does. This is where splitting cores pays.
 * For a single model both are the time of a run.
 */
import type { Tensor } from '../../core/tensor.ts';
import type { HostedSession } from '../../runtime/isolated.ts';
import type { SessionOptions } from '../../runtime/session.ts';
import type { StartHost, Target, TimingHost } from '../measure.ts';
import { median } from '../statistics.ts';

export const OBJECTIVES = ['latency', 'throughput'] as const;
export type Objective = (typeof OBJECTIVES)[number];

/** What a rig is built from. */
export interface RigPlan {
  readonly start: StartHost;
  readonly targets: readonly Target[];
  readonly objective: Objective;
}

export interface Rig {
  /** Whether idle threads go on spinning after a run. */
  readonly isSpinning: boolean;
  /** Runs every model once with its feeds, one output map a model. */
  outputs(): Promise<ReadonlyMap<string, Tensor>[]>;
  /** The cost of one pass, in ms: the median of a short series. @param maxMs about how long the series lasts. */
  block(maxMs: number): Promise<number>;
  close(): Promise<void>;
}

/** Rounds of a block: the first is not counted, it finds caches and clocks as others left them. */
const LEAD_IN = 1;
const LEAST_ROUNDS = LEAD_IN + 2;
const MOST_ROUNDS = 1000;

const loopOf = (maxMs: number): Parameters<TimingHost['time']>[1] => ({
  leastRounds: LEAST_ROUNDS,
  mostRounds: MOST_ROUNDS,
  maxMs,
  order: 'fixed',
  seed: 0,
});

const sumOfRounds = (series: readonly Float64Array[]): Float64Array =>
  Float64Array.from({ length: series[0]!.length }, (_, round) =>
    series.reduce((sum, times) => sum + times[round]!, 0),
  );

/** One thread has nobody who waits for it. */
const spins = ({ threads, spinning = 'default', parallel = false }: SessionOptions): boolean =>
  spinning === 'default' && (threads !== 1 || parallel);

/** Hosts with the sessions they hold: one of each for throughput, all sessions in one for latency. */
const loadStages = async (
  { start, targets, objective }: RigPlan,
  options: readonly SessionOptions[],
  hosts: TimingHost[],
): Promise<HostedSession[]> => {
  const sessions: HostedSession[] = [];
  for (const [i, { path, feeds }] of targets.entries()) {
    if (i === 0 || objective === 'throughput') hosts.push(start());
    const session = await hosts.at(-1)!.open(path, options[i] ?? {});
    await session.prepare(feeds);
    sessions.push(session);
  }
  return sessions;
};

/**
 * Loads the models in fresh processes.
 * @throws OrthoError of the runtime.
 */
export const openRig = async (plan: RigPlan, options: readonly SessionOptions[]): Promise<Rig> => {
  const hosts: TimingHost[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(hosts.map((host) => host.close()));
  };
  try {
    const sessions = await loadStages(plan, options, hosts);
    return {
      isSpinning: plan.targets.some((_, i) => spins(options[i] ?? {})),
      outputs: async () => {
        const all: ReadonlyMap<string, Tensor>[] = [];
        for (const [i, session] of sessions.entries()) all.push(await session.run(plan.targets[i]!.feeds));
        return all;
      },
      block: async (maxMs) => {
        if (hosts.length === 1) {
          const rounds = sumOfRounds(await hosts[0]!.time(sessions, loopOf(maxMs)));
          return median(rounds.subarray(LEAD_IN));
        }
        const series = await Promise.all(hosts.map((host, i) => host.time([sessions[i]!], loopOf(maxMs))));
        return Math.max(...series.map(([times]) => median(times!.subarray(LEAD_IN))));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
};
