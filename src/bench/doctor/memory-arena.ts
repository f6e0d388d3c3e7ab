/**
 * Is memory asked of the system anew for each run? Without an arena every tensor is allocated, and its pages are
 * zeroed by the kernel. Decided by running with the arena on.
 */
import { contrastOptions, type Experiment, ruledOut } from './experiment.ts';

export const memoryArena: Experiment = {
  name: 'memory-arena',
  summary: 'memory given back after each run',
  scope: 'all',
  applies: ({ patients }) =>
    patients.some(({ options }) => options.arena === false) || ruledOut('the memory arena is on'),
  run: (context) =>
    contrastOptions(
      context,
      { arena: true },
      {
        about: 'the memory arena is off',
        without: 'with the arena',
        fix: 'enableCpuMemArena true, the default (leave out --no-arena)',
      },
    ),
};
