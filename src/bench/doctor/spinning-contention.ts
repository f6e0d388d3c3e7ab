/**
 * Do the threads of one session spin while another runs? An idle pool burns its processors for a while in the hope of
 * more work, and the other session waits for them. Decided by stopping the spinning when a run ends.
 */
import { contrastOptions, type Experiment, ruledOut } from './experiment.ts';

export const spinningContention: Experiment = {
  name: 'spinning-contention',
  summary: 'idle threads of one session that spin while another runs',
  scope: 'all',
  applies: ({ patients }) => {
    if (patients.length < 2) return ruledOut('one session only');
    const isSpinning = patients.some(({ options: { spinning = 'default' } }) => spinning === 'default');
    return isSpinning || ruledOut('no session spins');
  },
  run: (context) =>
    contrastOptions(
      context,
      { spinning: 'stop' },
      {
        about: `${context.patients.length} sessions in one process, run in turn`,
        without: 'with spinning stopped between runs',
        fix: 'session.force_spinning_stop=1 in every session of the process (--spinning stop)',
      },
    ),
};
