/**
 * Do other processes take the processors? Decided by two counters of the kernel over everything that was measured: the
 * processor time that went to others, and the time that the model's own threads stood ready without a processor.
 * The factor is (ran + waited) / ran.
 */
import { median } from '../statistics.ts';
import { shareOfOthers } from './account.ts';
import { BAR, type Experiment, ruledOut, times, undecided } from './experiment.ts';

/** Others below this share of the machine are not to blame for threads that wait. */
const WORTH_A_WORD = 0.1;

export const otherProcesses: Experiment = {
  name: 'other-processes',
  summary: 'processors taken by other processes',
  scope: 'all',
  applies: ({ lab }) =>
    lab.watches.some(({ othersShare, waiting }) => othersShare !== undefined && waiting !== undefined) ||
    undecided('this system does not tell what other processes take'),
  run: async ({ lab }) => {
    const share = shareOfOthers(lab.watches) ?? 0;
    const factor = median(lab.watches.flatMap(({ waiting }) => waiting ?? []));
    const percent = `other processes took ${(100 * share).toFixed(0)} % of the processors`;
    const evidence = `${percent}; the model's threads waited: ${times(factor)}`;
    if (share < WORTH_A_WORD || factor < BAR) return ruledOut(evidence);
    return {
      verdict: 'cause',
      evidence,
      factor,
      ci95: null,
      fix: 'end the other work, or measure and deploy where there is none',
      treatments: new Map(),
    };
  },
};
