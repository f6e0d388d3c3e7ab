/**
 * Correctness of configurations: each must give what the default options give at level `disabled`, where the runtime
 * runs the graph as it is written, within the tolerances of verify.
 */
import { OrthoError } from '../../core/errors.ts';
import type { Tensor } from '../../core/tensor.ts';
import { compareTensors } from '../../verify/compare.ts';
import type { Tolerances } from '../../verify/tolerance.ts';
import type { Target } from '../measure.ts';
import { openRig, type Rig, type RigPlan } from './rig.ts';

export interface ConfigurationParity {
  readonly ok: boolean;
  /** The first output that differs, and how. */
  readonly message?: string;
}

export interface ParityReference {
  /** Compares what a configuration gives. @throws OrthoError of the runtime. */
  check(rig: Rig): Promise<ConfigurationParity>;
  /** `MODEL: OUTPUT` for outputs that two runs of one session give differently: nothing can be said of them. */
  readonly random: readonly string[];
}

interface Difference {
  readonly name: string;
  readonly message: string;
}

const differences = (
  expected: ReadonlyMap<string, Tensor>,
  actual: ReadonlyMap<string, Tensor> | undefined,
  tolerances: Tolerances,
  skip: ReadonlySet<string> = new Set(),
): Difference[] =>
  [...expected].flatMap(([name, tensor]) => {
    if (skip.has(name)) return [];
    const other = actual?.get(name);
    if (other === undefined) return [{ name, message: 'it is missing' }];
    const { ok, message = 'it differs' } = compareTensors(name, tensor, other, tolerances);
    return ok ? [] : [{ name, message }];
  });

/**
 * Runs the models at level `disabled`, twice.
 * @throws verify/nothing-compared where every output is random, and OrthoError of the runtime.
 */
export const referenceOutputs = async (plan: RigPlan, tolerances: Tolerances): Promise<ParityReference> => {
  const { targets } = plan;
  const rig = await openRig(
    plan,
    targets.map(() => ({ level: 'disabled' as const })),
  );
  try {
    const expected = await rig.outputs();
    const again = await rig.outputs();
    const unstable = expected.map(
      (outputs, i) => new Set(differences(outputs, again[i], tolerances).map(({ name }) => name)),
    );
    targets.forEach(({ name, path }: Target, i) => {
      if (expected[i]!.size > unstable[i]!.size) return;
      throw new OrthoError('verify/nothing-compared', `${name}: every output differs from run to run`, {
        hint: 'a configuration cannot be proved right for a model of random numbers',
        at: { file: path },
      });
    });
    return {
      random: unstable.flatMap((names, i) => [...names].map((name) => `${targets[i]!.name}: ${name}`)),
      check: async (other) => {
        const actual = await other.outputs();
        const wrong = expected.flatMap((outputs, i) =>
          differences(outputs, actual[i], tolerances, unstable[i]).map(
            ({ name, message }) => `${targets[i]!.name}, output "${name}": ${message}`,
          ),
        );
        return wrong[0] === undefined ? { ok: true } : { ok: false, message: wrong[0] };
      },
    };
  } finally {
    await rig.close();
  }
};
