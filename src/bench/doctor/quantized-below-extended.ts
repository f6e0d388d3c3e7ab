/**
 * Is a quantised model run without the fusions that make it fast? Its QuantizeLinear and DequantizeLinear pairs become
 * integer kernels only from level `extended` on; below it runs in float, and converts to and fro besides.
 * Decided by running at level `all`.
 */
import { allNodes } from '../../ir/graph.ts';
import { contrastOptions, type Experiment, ruledOut } from './experiment.ts';

export const quantizedBelowExtended: Experiment = {
  name: 'quantized-below-extended',
  summary: 'a quantised model at a level that does not fuse it',
  scope: 'model',
  applies: async ({ patients: [patient], withModel }) => {
    const { level = 'all' } = patient!.options;
    const pairs = await withModel(patient!, (model) =>
      model === undefined
        ? 0
        : [...allNodes(model.graph)].filter((node) => node.is('DequantizeLinear')).length,
    );
    if (pairs === 0) return ruledOut('no DequantizeLinear in the model');
    return level === 'disabled' || level === 'basic' || ruledOut(`quantised, and run at level ${level}`);
  },
  run: (context) => {
    const { level = 'all' } = context.patients[0]!.options;
    return contrastOptions(
      context,
      { level: 'all' },
      {
        about: `a quantised model at level ${level}`,
        without: 'at level all',
        fix: 'graphOptimizationLevel extended or all (--level all)',
      },
    );
  },
};
