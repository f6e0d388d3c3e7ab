/** Does the model compute what it should? A fast model with other outputs is no faster model, but another one. */
import { type Experiment, ruledOut, undecided } from './experiment.ts';

export const differentOutputs: Experiment = {
  name: 'different-outputs',
  summary: 'outputs that are not those of the reference',
  scope: 'model',
  applies: ({ patients: [patient] }) =>
    patient?.reference === undefined ? undecided('no reference to compare its outputs with') : true,
  run: async ({ patients: [patient] }) => {
    const { reference, isEqual, difference } = patient!.reference!;
    if (isEqual) return ruledOut(`its outputs are those of ${reference}: ${difference}`);
    return {
      verdict: 'cause',
      evidence: `its outputs are not those of ${reference}: ${difference}`,
      factor: null,
      ci95: null,
      fix: 'find the first node that differs before comparing speeds: these are two different models',
      treatments: new Map(),
    };
  },
};
