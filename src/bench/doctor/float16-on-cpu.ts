/**
 * Does the model compute in float16 where the processor's kernels compute in float32? The runtime then casts before and
 * after most operators. Decided by running a copy in float32.
 */

import { contrastCopy, type Experiment, ruledOut, undecided } from './experiment.ts';
import { float32Copy, holdsFloat16 } from './float32-copy.ts';

export const float16OnCpu: Experiment = {
  name: 'float16-on-cpu',
  summary: 'float16 arithmetic without kernels for it',
  scope: 'model',
  applies: ({ patients: [patient], withModel }) =>
    withModel(patient!, (model) => {
      if (model === undefined) return undecided("the types of the runtime's own format cannot be read");
      return holdsFloat16(model) || ruledOut('no float16 in the model');
    }),
  run: async (context) => {
    const [patient] = context.patients;
    const copy = await context.withModel(patient!, async (model) => {
      const feeds = float32Copy(model!, patient!.feeds);
      return { path: await context.save(model!), feeds };
    });
    return contrastCopy(context, copy, {
      about: 'a float16 model on the CPU',
      without: 'in float32',
      fix: 'run the float32 model on CPUs (convert without --dtype float16): float16 halves the file, nothing else',
    });
  },
};
