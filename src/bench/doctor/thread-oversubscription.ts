/**
 * Do more threads run than there are processors for them? They take turns, and all wait for the last one.
 * Decided by running with as many threads as processors.
 */
import { contrastOptions, type DoctorContext, type Experiment, ruledOut } from './experiment.ts';

/** Without a number the runtime starts a thread for each core of the machine, allowed or not. */
const threadsOf = ({ patients, machine }: DoctorContext): number =>
  Math.max(...patients.map(({ options }) => options.threads ?? machine.processors));

export const threadOversubscription: Experiment = {
  name: 'thread-oversubscription',
  summary: 'more threads than processors',
  scope: 'all',
  applies: (context) => {
    const threads = threadsOf(context);
    const { cores } = context.machine;
    return threads > cores || ruledOut(`at most ${threads} threads on ${cores} processors`);
  },
  run: (context) => {
    const { cores } = context.machine;
    return contrastOptions(
      context,
      { threads: cores },
      {
        about: `${threadsOf(context)} threads on ${cores} processors`,
        without: `with ${cores} threads`,
        fix: `intraOpNumThreads ${cores} (--threads ${cores})`,
      },
    );
  },
};
