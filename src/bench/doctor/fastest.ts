/**
 * The fastest safe way to run these models that was found: what treats the causes, and other ways to share the processors
 * between several models, measured against the way they were given. Safe: the outputs stay what they were.
 */
import type { Tensor } from '../../core/tensor.ts';
import type { SessionOptions } from '../../runtime/session.ts';
import { holds, startParity } from '../../verify/parity.ts';
import {
  type DoctorContext,
  type Patient,
  setUpOf,
  type Treatment,
  treated,
  withOptions,
} from './experiment.ts';
import {
  type Contrast,
  contrastOf,
  EARLY_CONFIDENCE,
  isClearOf,
  type Lab,
  type MeasuredSetUp,
} from './lab.ts';

export interface Fastest {
  readonly patients: readonly Patient[];
  readonly contrast: Contrast;
  readonly measured: MeasuredSetUp;
}

const runOnce = async (lab: Lab, { path, options, feeds }: Patient): Promise<ReadonlyMap<string, Tensor>> => {
  const host = lab.start();
  try {
    return await (await host.open(path, options)).run(feeds);
  } finally {
    await host.close();
  }
};

/** Whether two ways to run a model give the same outputs, within the tolerances of verify. */
export const giveSameOutputs = async (lab: Lab, given: Patient, other: Patient): Promise<boolean> => {
  const parity = startParity(given.file, other.path);
  parity.compare('given', given.name, await runOnce(lab, given), await runOnce(lab, other));
  return holds(parity.finish());
};

/** What is left of a treatment when the copy of the model is not safe: its options. */
const safeOnly = async (
  lab: Lab,
  given: readonly Patient[],
  patients: readonly Patient[],
): Promise<Patient[]> => {
  const safe: Patient[] = [];
  for (const [i, patient] of patients.entries()) {
    const before = given[i]!;
    const isSame = JSON.stringify(patient.options) === JSON.stringify(before.options);
    if (isSame && patient.path === before.path) safe.push(before);
    else if (await giveSameOutputs(lab, before, patient)) safe.push(patient);
    else {
      const withoutCopy = { ...patient, path: before.path, feeds: before.feeds };
      const isSafe = patient.path !== before.path && (await giveSameOutputs(lab, before, withoutCopy));
      safe.push(isSafe ? withoutCopy : before);
    }
  }
  return safe;
};

/** Other ways to share the processors; a single model has none. */
const sharings = (models: number, cores: number): SessionOptions[] => {
  if (models < 2) return [];
  const share = Math.max(1, Math.floor(cores / models));
  return [
    { spinning: 'stop' },
    { spinning: 'off' },
    ...[...new Set([share, 1])]
      .filter((threads) => threads < cores)
      .map((threads): SessionOptions => ({ spinning: 'stop', threads })),
  ];
};

const keyOf = (patients: readonly Patient[]): string =>
  JSON.stringify(patients.map(({ path, options }) => [path, Object.entries(options).toSorted()]));

/** The fastest first, by one session. */
const rank = async (lab: Lab, ways: readonly (readonly Patient[])[]): Promise<(readonly Patient[])[]> => {
  const measured = await lab.measure(ways.map(setUpOf), { least: 1 });
  const timeOf = ({ members }: MeasuredSetUp): number => members.reduce((sum, ms) => sum + ms, 0);
  return ways
    .map((way, i) => ({ way, ms: timeOf(measured[i]!) }))
    .toSorted((a, b) => a.ms - b.ms)
    .map(({ way }) => way);
};

/**
 * @param given the patients as they were given, `current` the same with everything treated.
 * @returns undefined when there is no other way to try; the factor is near 1 when no other way is faster.
 */
export const findFastest = async (
  { lab, machine }: Pick<DoctorContext, 'lab' | 'machine'>,
  given: readonly Patient[],
  current: readonly Patient[],
): Promise<Fastest | undefined> => {
  const safe = await safeOnly(lab, given, current);
  const ways = [
    safe,
    ...sharings(given.length, machine.cores).map((change) => {
      const treatments: ReadonlyMap<string, Treatment> = withOptions(safe, change);
      return treated(safe, treatments);
    }),
  ];
  const seen = new Set([keyOf(given)]);
  const candidates = ways.filter((way) => {
    const key = keyOf(way);
    return !seen.has(key) && seen.add(key) !== undefined;
  });
  if (candidates.length === 0) return undefined;
  const [best] = candidates.length === 1 ? candidates : await rank(lab, candidates);
  // Measured anew: the one that looked best was lucky, too.
  const [asGiven, measured] = await lab.measure([setUpOf(given), setUpOf(best!)], {
    isClear: ([one, two]) => isClearOf(contrastOf(one!, two!, EARLY_CONFIDENCE), 1),
  });
  return { patients: best!, measured: measured!, contrast: contrastOf(asGiven!, measured!) };
};
