/**
 * Do subnormal weights slow the model down? Processors need a microcode assist for each product with one.
 * Decided by running a copy in which they are zeros; |w| < 2^-126 is below the rounding of every sum it meets.
 */
import { countFloats } from '../../core/float-census.ts';
import { allGraphs } from '../../ir/graph.ts';
import type { Model } from '../../ir/model.ts';
import { flushSubnormals } from '../../passes/flush-subnormals.ts';
import { runPipeline } from '../../passes/pipeline.ts';
import { contrastCopy, type Experiment, ruledOut, undecided } from './experiment.ts';

interface Census {
  readonly tensors: number;
  readonly elements: number;
}

/** Subnormals of the types that the pass flushes: those of float16 cost nothing. */
const censusOf = ({ graph, functions }: Model): Census => {
  let tensors = 0;
  let elements = 0;
  const graphs = [graph, ...functions.map(({ body }) => body)].flatMap((one) => [...allGraphs(one)]);
  for (const { initializers, nodes } of graphs) {
    const stored = [
      ...initializers.map(({ constant }) => constant),
      ...nodes.map((node) => {
        const attribute = node.is('Constant') ? node.attributes.get('value') : undefined;
        return attribute?.kind === 'tensor' ? attribute.value : undefined;
      }),
    ];
    for (const tensor of stored) {
      if (tensor === undefined || tensor.dtype === 'float16') continue;
      const { subnormals } = countFloats(tensor.dtype, tensor.data);
      if (subnormals > 0) tensors++;
      elements += subnormals;
    }
  }
  return { tensors, elements };
};

export const subnormalWeights: Experiment = {
  name: 'subnormal-weights',
  summary: 'weights below the smallest normal float',
  scope: 'model',
  applies: ({ patients: [patient], withModel }) =>
    withModel(patient!, (model) => {
      if (model === undefined) return undecided("the weights of the runtime's own format cannot be read");
      return censusOf(model).elements > 0 || ruledOut('no weight is subnormal');
    }),
  run: async (context) => {
    const [patient] = context.patients;
    const { census, path } = await context.withModel(patient!, async (model) => {
      const found = censusOf(model!);
      runPipeline(model!, [flushSubnormals]);
      return { census: found, path: await context.save(model!) };
    });
    return contrastCopy(
      context,
      { path },
      {
        about: `${census.elements} subnormal weights in ${census.tensors} tensors`,
        without: 'with zeros in their place',
        fix: `ortho optimize sets them to zero (so does ortho convert without --keep-subnormals)`,
      },
    );
  },
};
