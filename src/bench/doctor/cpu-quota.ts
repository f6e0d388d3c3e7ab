/**
 * Is the process stopped for having used up its share of the processors? A container with less processor time than it has
 * processors runs at full speed until its quota is spent, then not at all until the next period begins.
 *
 * Decided by pace: the model runs without a rest, and in short bursts after rests that are long enough to earn the
 * quota anew. Only a quota can make the second way faster. Means are compared, because the stops hit few, long runs.
 */
import { BAR, type Experiment, outcomeOf, ruledOut, setUpOf, withOptions } from './experiment.ts';
import type { Pace } from './lab.ts';

/** Periods that a burst without rest lasts. */
const PERIODS = 4;
/** Periods that are rested for. */
const REST = 2.5;

export const cpuQuota: Experiment = {
  name: 'cpu-quota',
  summary: 'less processor time allowed than there are processors',
  scope: 'all',
  applies: ({ machine: { quota, cores } }) => {
    if (quota === null) return ruledOut('no quota limits the processor time of this process');
    return quota.cpus < cores || ruledOut(`the quota is ${quota.cpus} processors, of ${cores}`);
  },
  run: async ({ patients, machine: { quota, cores }, lab }) => {
    const { cpus, periodMs, counts } = quota!;
    const threads = Math.min(cores, patients[0]?.options.threads ?? cores);
    const steady: Pace = { settles: false, restMs: 0, burstMs: PERIODS * periodMs, statistic: 'mean' };
    const rested: Pace = {
      settles: true,
      restMs: REST * periodMs,
      burstMs: ((cpus / threads) * periodMs) / 2,
      statistic: 'mean',
    };
    const before = counts();
    const contrast = await lab.contrast(
      { ...setUpOf(patients), pace: steady },
      { ...setUpOf(patients), pace: rested },
      BAR,
    );
    const after = counts();
    const throttled = (after?.throttledPeriods ?? 0) - (before?.throttledPeriods ?? 0);
    if (after !== undefined && throttled === 0) {
      return ruledOut(`a quota of ${cpus} processors, but it was never reached while measuring`);
    }
    const said =
      after === undefined
        ? ''
        : `, reached in ${throttled} of ${after.periods - (before?.periods ?? 0)} periods`;
    const fewer = Math.max(1, Math.floor(cpus));
    return outcomeOf(contrast, {
      about: `a quota of ${cpus} processors on ${cores}${said}`,
      without: 'in bursts that never use it up',
      fix: `allow the container more processor time, or run with --threads ${fewer} so that less of it is spent on waiting`,
      treatments: withOptions(patients, { threads: fewer, spinning: 'stop' }),
    });
  },
};
