/**
 * Are there patterns that should be one operator? A BatchNormalization after a convolution is arithmetic that can be done
 * once, in the weights. Decided by running a copy in which that is done: where the runtime does it by itself, nothing
 * is gained.
 */
import { eliminateIdentity } from '../../passes/eliminate-identity.ts';
import { fuseBnIntoConv } from '../../passes/fuse-bn-into-conv.ts';
import { runPipeline } from '../../passes/pipeline.ts';
import { contrastCopy, type Experiment, ruledOut, undecided } from './experiment.ts';

export const unfusedPatterns: Experiment = {
  name: 'unfused-patterns',
  summary: 'operators that should be one',
  scope: 'model',
  applies: ({ patients: [patient], withModel }) =>
    withModel(patient!, (model) => {
      if (model === undefined) return undecided("the runtime's own format cannot be read");
      const { changes } = runPipeline(model, [eliminateIdentity, fuseBnIntoConv]);
      return changes > 0 || ruledOut('no BatchNormalization after a convolution, no Identity');
    }),
  run: async (context) => {
    const [patient] = context.patients;
    const { perPass, path } = await context.withModel(patient!, async (model) => {
      const result = runPipeline(model!, [eliminateIdentity, fuseBnIntoConv]);
      return { perPass: result.perPass, path: await context.save(model!) };
    });
    const done = perPass
      .filter(({ changes }) => changes > 0)
      .map(({ name, changes }) => `${changes} × ${name}`)
      .join(', ');
    return contrastCopy(
      context,
      { path },
      {
        about: `unfused: ${done}`,
        without: 'fused',
        fix: 'ortho optimize fuses them in the file; or let the runtime do it (--level all)',
      },
    );
  },
};
