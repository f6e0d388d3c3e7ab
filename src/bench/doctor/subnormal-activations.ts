/**
 * Do subnormal numbers arise while the model runs? Decided by running with the processor told to treat them as zeros.
 * That works on all threads of the runtime only where the first session of a process asks for it, which every process
 * here does. Where it helps, the tensors that hold them are counted.
 */
import { countFloats } from '../../core/float-census.ts';
import { tensorType } from '../../ir/type.ts';
import { contrastOptions, type DoctorContext, type Experiment } from './experiment.ts';

/** Tensors that are named in the evidence. */
const NAMED = 3;

/** Subnormal elements of the float32 tensors between the nodes, by name, in the order they are computed. */
const countActivations = async ({
  patients: [patient],
  withModel,
  save,
  lab,
}: DoctorContext): Promise<[name: string, count: number][]> => {
  const path = await withModel(patient!, async (model) => {
    if (model === undefined) return undefined;
    const { graph } = model;
    const known = new Set(graph.outputNames);
    for (const node of graph.nodes) {
      for (const value of node.outputs) {
        if (value.name === '' || known.has(value.name)) continue;
        // Only declared float32 values can be fetched without knowing more.
        if (value.dtype === 'float32') graph.addOutput(value.name, value, tensorType('float32', value.shape));
      }
    }
    return save(model);
  });
  if (path === undefined) return [];
  const host = lab.start();
  try {
    const session = await host.open(path, { level: 'disabled' });
    const outputs = await session.run(patient!.feeds);
    return [...outputs].flatMap(([name, { dtype, data }]) => {
      const { subnormals } = countFloats(dtype, data);
      return subnormals > 0 ? [[name, subnormals] as [string, number]] : [];
    });
  } finally {
    await host.close();
  }
};

const described = (found: readonly (readonly [string, number])[]): string => {
  if (found.length === 0) return '';
  const named = found.slice(0, NAMED).map(([name, count]) => `"${name}" (${count})`);
  return `. Subnormal in one run: ${named.join(', ')}${found.length > NAMED ? ` and ${found.length - NAMED} more` : ''}`;
};

export const subnormalActivations: Experiment = {
  name: 'subnormal-activations',
  summary: 'numbers below the smallest normal float, made while the model runs',
  scope: 'model',
  isRoutine: true,
  applies: () => true,
  run: async (context) => {
    const { extra } = context.patients[0]!.options;
    const outcome = await contrastOptions(
      context,
      { extra: { ...extra, 'session.set_denormal_as_zero': '1' } },
      {
        without: 'with subnormal numbers taken as zero',
        fix: 'session.set_denormal_as_zero=1 in the first session of the process (it changes JavaScript arithmetic too: use a worker), or scale inputs and weights',
      },
    );
    if (outcome.verdict !== 'cause') return outcome;
    return {
      ...outcome,
      evidence: `${outcome.evidence}${described(await countActivations(context).catch(() => []))}`,
    };
  },
};
