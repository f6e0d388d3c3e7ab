/**
 * Are the weights in the model at all? A loader that is not strict takes no offence at keys that fit nothing
 * (`module.` in front of each is the usual reason): the network then keeps its random weights, runs, and is wrong.
 */
import { type Experiment, ruledOut, undecided } from './experiment.ts';

export const weightsNotLoaded: Experiment = {
  name: 'weights-not-loaded',
  summary: 'keys of the checkpoint that the network does not have',
  scope: 'model',
  applies: ({ patients: [patient] }) =>
    patient?.keys === undefined ? undecided('no checkpoint was given for this model') : true,
  run: async ({ patients: [patient] }) => {
    const { matched, needed, stripped, fault, fix } = patient!.keys!;
    const prefix = stripped === '' ? '' : `, "${stripped}" taken off`;
    if (fault === undefined) return ruledOut(`${matched} of ${needed} keys match${prefix}`);
    return {
      verdict: 'cause',
      evidence: `${matched} of ${needed} keys match${prefix}: ${fault}`,
      factor: null,
      ci95: null,
      fix: fix ?? 'load with strict key matching and rename the keys until all match (ortho remap --against)',
      treatments: new Map(),
    };
  },
};
