/**
 * Are weights read from a disk while the model runs? A process that is swapped out, or whose mapped file does not fit
 * into memory, has to. Decided by the bursts of runs: with pages that came from a disk, and without.
 */
import { median } from '../statistics.ts';
import { BAR, type Experiment, ruledOut, times, undecided } from './experiment.ts';

/** Bursts on each side that are needed for an answer. */
const LEAST_BURSTS = 3;

export const memorySwapping: Experiment = {
  name: 'memory-swapping',
  summary: 'pages of the process that come from a disk',
  scope: 'all',
  applies: ({ lab }) => {
    if (lab.watches.every(({ othersShare }) => othersShare === undefined))
      return undecided('this system does not tell how often pages are read from a disk');
    const swapped = Math.max(0, ...lab.watches.map(({ swappedMb }) => swappedMb));
    const faults = lab.bursts.some(({ majorFaults }) => majorFaults > 0);
    return swapped > 1 || faults || ruledOut('nothing is swapped out, no page came from a disk');
  },
  run: async ({ lab }) => {
    const swapped = Math.max(0, ...lab.watches.map(({ swappedMb }) => swappedMb));
    const [faulting, clean] = [true, false].map((isFaulting) =>
      lab.bursts.filter(({ majorFaults }) => majorFaults > 0 === isFaulting).map(({ relative }) => relative),
    ) as [number[], number[]];
    const evidence = `${Math.round(swapped)} MB swapped out, pages came from a disk in ${faulting.length} of ${lab.bursts.length} bursts of runs`;
    if (faulting.length < LEAST_BURSTS) return ruledOut(evidence);
    const cause = {
      verdict: 'cause',
      ci95: null,
      fix: 'give the machine or the container more memory, or load smaller models',
      treatments: new Map(),
    } as const;
    if (clean.length < LEAST_BURSTS) return { ...cause, evidence, factor: null };
    const factor = median(faulting) / median(clean);
    if (factor < BAR) return ruledOut(`${evidence}: ${times(factor)} there`);
    return { ...cause, evidence: `${evidence}, and those took ${times(factor)} of the time`, factor };
  },
};
