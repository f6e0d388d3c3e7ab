/**
 * Models are ranked by speed only when they compute the same: before a comparison both run once on the same input, at
 * the session options that are timed, and every output of the baseline is compared.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { Tensor } from '../core/tensor.ts';
import { loadModel } from '../ir/load.ts';
import type { ParityData } from '../report/schemas/verify.ts';
import { describeFailures, holds, startParity } from '../verify/parity.ts';
import { randomOutputs } from '../verify/random-outputs.ts';
import type { Tolerances } from '../verify/tolerance.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';
import { fetchableOutputs } from './verify.ts';

/** What a model answers to its feeds. */
export interface Answers {
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Outputs that cannot be fetched, with the reason. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** Runs a model once in a fresh process. @throws OrthoError of the runtime. */
export const answersOf = async (lab: BenchLab, { path, feeds }: BenchTarget): Promise<Answers> => {
  const host = lab.start();
  try {
    const session = await host.open(path, lab.session);
    const skipped = new Map<string, string>();
    const wanted = fetchableOutputs(session, (name, reason) => skipped.set(name, reason));
    const outputs = wanted.length > 0 ? await session.run(feeds, wanted) : new Map<string, Tensor>();
    return { outputs, skipped };
  } finally {
    await host.close();
  }
};

/** Outputs made of random numbers; what is in the runtime's own format cannot be looked into. */
export const randomOf = (path: string): ReadonlySet<string> =>
  path.endsWith('.ort') ? new Set() : randomOutputs(loadModel(path));

const namesOf = ({ outputs, skipped }: Answers): string =>
  [...outputs.keys(), ...skipped.keys()]
    .toSorted()
    .map((name) => `"${name}"`)
    .join(', ') || 'none';

const describeFeeds = (feeds: ReadonlyMap<string, Tensor>): string =>
  [...feeds].map(([name, { dtype, dims }]) => `"${name}" ${dtype}[${dims.join(', ')}]`).join(', ') || 'none';

/** Why two models cannot be given the same input; undefined where they can. */
export const feedsDiffer = (
  baseline: ReadonlyMap<string, Tensor>,
  candidate: ReadonlyMap<string, Tensor>,
): string | undefined => {
  const isSame =
    baseline.size === candidate.size &&
    [...baseline].every(([name, { dtype, dims }]) => {
      const other = candidate.get(name);
      return other?.dtype === dtype && other.dims.join() === dims.join();
    });
  return isSame
    ? undefined
    : `its inputs are ${describeFeeds(candidate)}, those of the baseline ${describeFeeds(baseline)}`;
};

export interface ParityCheck {
  /** Undefined where nothing could be compared. */
  readonly parity: ParityData | undefined;
  /** Why the two are not ranked; undefined when they may be. */
  readonly reason: string | undefined;
}

/** Compares what two models answered to the same feeds. */
export const compareAnswers = (
  lab: BenchLab,
  baseline: { readonly name: string; readonly answers: Answers; readonly random: ReadonlySet<string> },
  candidate: { readonly name: string; readonly answers: Answers },
  tolerances: Tolerances,
): ParityCheck => {
  const { outputs: expected, skipped } = baseline.answers;
  const { outputs: actual } = candidate.answers;
  const { level = 'all' } = lab.session;
  const [known, found] = [namesOf(baseline.answers), namesOf(candidate.answers)];
  const reason = known === found ? undefined : `its outputs are ${found}, those of the baseline ${known}`;
  const record = startParity(baseline.name, candidate.name, { tolerances, random: baseline.random });
  for (const [name, why] of skipped) record.skip(name, why);
  record.compare(level, 'same input', expected, actual);
  try {
    const parity = record.finish();
    return { parity, reason: reason ?? (holds(parity) ? undefined : describeFailures(parity)) };
  } catch (error) {
    if (!(error instanceof OrthoError) || error.code !== 'verify/nothing-compared') throw error;
    return { parity: undefined, reason: reason ?? error.message };
  }
};

/** Runs both models on the same input and compares. @throws OrthoError of the runtime. */
export const checkParity = async (
  lab: BenchLab,
  baseline: BenchTarget,
  candidate: BenchTarget,
  tolerances: Tolerances,
): Promise<ParityCheck> => {
  const differ = feedsDiffer(baseline.feeds, candidate.feeds);
  if (differ !== undefined) return { parity: undefined, reason: differ };
  lab.io.progress(`parity of ${candidate.name} with ${baseline.name}`);
  const expected = await answersOf(lab, baseline);
  const actual = await answersOf(lab, { ...candidate, feeds: baseline.feeds });
  return compareAnswers(
    lab,
    { name: baseline.name, answers: expected, random: randomOf(baseline.path) },
    { name: candidate.name, answers: actual },
    tolerances,
  );
};

/** What to say of a candidate whose outputs are not those of the baseline. */
export const parityFinding = (
  baseline: string,
  candidate: BenchTarget,
  reason: string,
  isIgnored: boolean,
): Finding => ({
  level: isIgnored ? 'warning' : 'error',
  rule: 'parity',
  message: `${candidate.name} does not compute what ${baseline} does${isIgnored ? '' : ', so it is not compared'}: ${reason}`,
  hint: isIgnored
    ? 'a faster model with other outputs is another model'
    : '--tolerance says how far outputs may be off; --ignore-parity compares all the same',
  at: { file: candidate.path },
});
