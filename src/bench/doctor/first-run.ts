/**
 * Is it only the first run that is slow? It allocates, warms caches and wakes threads up. Every process that was
 * measured began with one; it counts as a cause where it costs more than a hundred milliseconds and ten steady runs.
 */
import { median, medianInterval } from '../statistics.ts';
import { type Experiment, milliseconds, ruledOut, times, undecided } from './experiment.ts';

const WORTH_MS = 100;
const WORTH_RUNS = 10;

export const firstRun: Experiment = {
  name: 'first-run',
  summary: 'a first run that is much slower than the others',
  scope: 'model',
  applies: ({ patients: [patient], lab }) =>
    lab.starts.some(({ member }) => member.path === patient!.path) || undecided('it was never started'),
  run: async ({ patients: [patient], lab }) => {
    const starts = lab.starts.filter(({ member }) => member.path === patient!.path);
    const ratios = starts.map(({ firstMs, steadyMs }) => firstMs / steadyMs);
    const factor = median(ratios);
    const ci95 = medianInterval(ratios);
    const [load, first, steady] = (['loadMs', 'firstMs', 'steadyMs'] as const).map((key) =>
      median(starts.map((start) => start[key])),
    ) as [number, number, number];
    const evidence = `loading takes ${milliseconds(load)}, the first run ${milliseconds(first)}, later ones ${milliseconds(steady)} (${starts.length} processes)`;
    if (ci95[0] < WORTH_RUNS || first - steady < WORTH_MS) return ruledOut(`${evidence}: ${times(factor)}`);
    return {
      verdict: 'cause',
      evidence,
      factor,
      ci95: [...ci95],
      fix: 'load the model and run it once when the program starts, and keep the session',
      treatments: new Map(),
    };
  },
};
