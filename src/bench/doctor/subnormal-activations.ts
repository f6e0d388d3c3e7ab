/**
 * Do subnormal numbers arise while the model runs? First they are counted in everything that its nodes compute. Where
 * there are some, or not everything can be seen, it is decided by running with the processor told to treat them as zeros.
 * That works on all threads of the runtime only where the first session of a process asks for it, which every process
 * here does.
 */
import { byteLengthOf, type DType } from '../../core/dtype.ts';
import { countFloats } from '../../core/float-census.ts';
import type { Model } from '../../ir/model.ts';
import { tensorType } from '../../ir/type.ts';
import { inferShapes } from '../../ops/infer/index.ts';
import { contrastOptions, type DoctorContext, type Experiment, ruledOut } from './experiment.ts';

/** Tensors that are named in the evidence. */
const NAMED = 3;

/** Types whose subnormal numbers cost time. */
const COSTLY: readonly DType[] = ['float32', 'float64'];

/** More than this is not fetched from one run. */
const MOST_BYTES = 1 << 28;
/** A model with more weights than this is not copied for it. */
const MOST_WEIGHTS = 1 << 29;

interface Census {
  /** The tensors with subnormal numbers, in the order they are computed. */
  readonly found: readonly { readonly name: string; readonly count: number }[];
  readonly elements: number;
  /** False where something is computed that could not be looked at. */
  readonly isComplete: boolean;
}

const BLIND: Census = { found: [], elements: 0, isComplete: false };

const weightBytes = ({ graph }: Model): number =>
  graph.initializers.reduce((sum, { constant }) => sum + (constant?.data.size ?? 0), 0);

/** Makes outputs of all that the nodes compute; false when some of it cannot be one. */
const exposeAll = ({ graph }: Model): boolean => {
  const known = new Set(graph.outputNames);
  let isComplete = true;
  let bytes = 0;
  for (const node of graph.nodes) {
    const holdsGraphs = [...node.attributes.values()].some(
      ({ kind }) => kind === 'graph' || kind === 'graphs',
    );
    if (holdsGraphs) isComplete = false;
    for (const value of node.outputs) {
      if (value.name === '' || known.has(value.name)) continue;
      const { dtype, shape } = value;
      if (dtype !== undefined && !COSTLY.includes(dtype)) continue;
      const elements = (shape ?? []).reduce<number>(
        (product, dim) => product * (typeof dim === 'number' ? dim : 1),
        1,
      );
      bytes += dtype === undefined ? 0 : byteLengthOf(dtype, elements);
      if (dtype === undefined || bytes > MOST_BYTES) isComplete = false;
      else graph.addOutput(value.name, value, tensorType(dtype, shape));
    }
  }
  return isComplete;
};

const takeCensus = async ({ patients: [patient], withModel, save, lab }: DoctorContext): Promise<Census> => {
  const copy = await withModel(patient!, async (model) => {
    if (model === undefined || model.functions.length > 0 || weightBytes(model) > MOST_WEIGHTS)
      return undefined;
    for (const input of model.graph.inputs) {
      const feed = patient!.feeds.get(input.name);
      if (feed !== undefined) input.type = tensorType(feed.dtype, feed.dims);
    }
    inferShapes(model);
    const isComplete = exposeAll(model);
    return { isComplete, names: model.graph.outputNames, path: await save(model) };
  });
  if (copy === undefined) return BLIND;
  const host = lab.start();
  try {
    const session = await host.open(copy.path, { level: 'disabled' });
    const outputs = await session.run(patient!.feeds);
    const counted = [...outputs].map(([name, { dtype, data, dims }]) => ({
      name,
      elements: dims.reduce((product, dim) => product * dim, 1),
      count: COSTLY.includes(dtype) ? countFloats(dtype, data).subnormals : 0,
    }));
    return {
      found: counted.filter(({ count }) => count > 0),
      elements: counted.reduce((sum, { elements }) => sum + elements, 0),
      isComplete: copy.isComplete && copy.names.every((name) => outputs.has(name)),
    };
  } finally {
    await host.close();
  }
};

const described = (found: Census['found']): string => {
  const named = found.slice(0, NAMED).map(({ name, count }) => `"${name}" (${count})`);
  return `subnormal in one run: ${named.join(', ')}${found.length > NAMED ? ` and ${found.length - NAMED} more` : ''}`;
};

export const subnormalActivations: Experiment = {
  name: 'subnormal-activations',
  summary: 'numbers below the smallest normal float, made while the model runs',
  scope: 'model',
  applies: () => true,
  run: async (context) => {
    // What cannot be counted is measured.
    const { found, elements, isComplete } = await takeCensus(context).catch(() => BLIND);
    if (isComplete && found.length === 0) {
      return ruledOut(`none of the ${elements} numbers that its nodes compute in a run is subnormal`);
    }
    const { extra } = context.patients[0]!.options;
    return contrastOptions(
      context,
      { extra: { ...extra, 'session.set_denormal_as_zero': '1' } },
      {
        ...(found.length > 0 && { about: described(found) }),
        without: 'with subnormal numbers taken as zero',
        fix: 'session.set_denormal_as_zero=1 in the first session of the process (it changes JavaScript arithmetic too: use a worker), or scale inputs and weights',
      },
    );
  },
};
