/**
 * Did the processor itself become slower meanwhile (heat, power limits, a neighbour on the same core)? Decided by a fixed
 * piece of work that ran between all measurements: its time in the last third against the first.
 */
import { median, medianInterval } from '../statistics.ts';
import { BAR, type Experiment, ruledOut, times, undecided } from './experiment.ts';

const LEAST_KERNELS = 12;

export const frequencyDrift: Experiment = {
  name: 'frequency-drift',
  summary: 'a processor that became slower meanwhile',
  scope: 'all',
  applies: ({ lab }) => lab.kernels.length >= LEAST_KERNELS || undecided('too little was measured to tell'),
  run: async ({ lab }) => {
    const third = Math.floor(lab.kernels.length / 3);
    const [first, last] = [lab.kernels.slice(0, third), lab.kernels.slice(-third)];
    const factor = median(last) / median(first);
    const [lowFirst, highFirst] = medianInterval(first);
    const [lowLast, highLast] = medianInterval(last);
    const ci95 = [lowLast / highFirst, highLast / lowFirst] as const;
    const clock =
      lab.frequencies.length === 0
        ? ''
        : `, clock ${Math.min(...lab.frequencies).toFixed(0)} to ${Math.max(...lab.frequencies).toFixed(0)} MHz`;
    const evidence = `a fixed piece of work took ${times(factor)} at the end of what it took at the beginning${clock}`;
    if (ci95[0] > BAR) {
      return {
        verdict: 'cause',
        evidence,
        factor,
        ci95,
        fix: 'cool the machine, fix its clock, or measure in turns (bench --baseline does)',
        treatments: new Map(),
      };
    }
    return ci95[1] < BAR ? ruledOut(evidence) : undecided(`${evidence}, too unsteady to tell`);
  },
};
