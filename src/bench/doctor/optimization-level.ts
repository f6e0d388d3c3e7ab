/** Does the runtime optimise less than it could? Decided by running at level `all`, its own default. */
import { contrastOptions, type DoctorContext, type Experiment, ruledOut } from './experiment.ts';

const levelsOf = ({ patients }: DoctorContext): string[] => [
  ...new Set(patients.map(({ options: { level = 'all' } }) => level).filter((level) => level !== 'all')),
];

export const optimizationLevel: Experiment = {
  name: 'optimization-level',
  summary: 'a lower optimisation level than the default',
  scope: 'all',
  applies: (context) => levelsOf(context).length > 0 || ruledOut('level all'),
  run: (context) =>
    contrastOptions(
      context,
      { level: 'all' },
      {
        about: `level ${levelsOf(context).join(' and ')}`,
        without: 'at level all',
        fix: 'graphOptimizationLevel all (--level all)',
      },
    ),
};
