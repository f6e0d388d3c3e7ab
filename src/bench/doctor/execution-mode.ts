/**
 * Do independent branches run at the same time? For most networks that costs more than it gives: the branches share the
 * processors that each operator could use alone. Decided by running them one after the other.
 */
import { contrastOptions, type Experiment, ruledOut } from './experiment.ts';

export const executionMode: Experiment = {
  name: 'execution-mode',
  summary: 'branches in parallel instead of one after the other',
  scope: 'all',
  applies: ({ patients }) =>
    patients.some(({ options }) => options.parallel === true) || ruledOut('execution mode sequential'),
  run: (context) =>
    contrastOptions(
      context,
      { parallel: false },
      {
        about: 'execution mode parallel',
        without: 'sequentially',
        fix: 'executionMode sequential, the default (leave out --parallel)',
      },
    ),
};
