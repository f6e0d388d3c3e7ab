/**
 * The proof of an optimised model: the same feeds through the input and the result, with the runtime's optimiser off
 * and at its default level.
 *
 * What the runtime itself does to a model at its default level is not the optimiser's fault: where the result differs
 * there from what the input gives with the optimiser off, it may still agree with what the input gives at that level;
 * and a level at which the input does not run proves nothing about the result.
 */
import { OrthoError } from '../core/errors.ts';
import type { JobIo } from '../core/job-io.ts';
import type { Finding } from '../core/report.ts';
import type { VerifyData } from '../report/schemas/verify.ts';
import { openIsolatedSession } from '../runtime/isolated.ts';
import type { Level, ProcessLimits, SessionOptions } from '../runtime/session.ts';
import type { CaseSource } from '../verify/cases.ts';
import { holds, mergeParity } from '../verify/parity.ts';
import type { Tolerances } from '../verify/tolerance.ts';
import { fetchableOutputs, PROOF_LEVELS, proveParity } from './verify.ts';

export interface OptimizeProof {
  /** The input model's file, and the answers it gave at level `disabled`. */
  readonly input: string;
  readonly cases: readonly CaseSource[];
  readonly random: ReadonlySet<string>;
  readonly tolerances: Tolerances;
  readonly session: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io: JobIo;
}

export interface ProofResult {
  readonly parity: VerifyData;
  readonly findings: readonly Finding[];
}

/** True for what a runtime says of a model it cannot load or run; false where there is no runtime at all. */
export const isRefusal = (error: unknown): error is OrthoError =>
  error instanceof OrthoError &&
  (error.code === 'op/unsupported' ||
    error.code === 'dtype/unsupported' ||
    (error.code.startsWith('runtime/') && error.code !== 'runtime/missing-package'));

/** The same feeds, answered by the input at another level; the error where it does not run there. */
const answersAt = async (level: Level, proof: OptimizeProof): Promise<CaseSource[] | OrthoError> => {
  const { input, cases, session: options } = proof;
  try {
    const session = await openIsolatedSession(input, { ...options, level });
    try {
      const wanted = fetchableOutputs(session);
      const answered: CaseSource[] = [];
      for (const { name, read } of cases) {
        const { inputs } = read();
        const expected = await session.run(inputs, wanted);
        answered.push({ name, read: () => ({ inputs, expected }) });
      }
      return answered;
    } finally {
      await session.close();
    }
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
};

const prove = (
  candidate: string,
  cases: readonly CaseSource[],
  levels: readonly Level[],
  { input, ...rest }: OptimizeProof,
): Promise<VerifyData> => proveParity({ ...rest, candidate, reference: input, cases, levels });

/** The record at one level, where proving all at once did not hold. */
const proveAt = async (
  level: Level,
  candidate: string,
  proof: OptimizeProof,
  findings: Finding[],
): Promise<VerifyData | undefined> => {
  let parity: VerifyData | undefined;
  let refusal: OrthoError | undefined;
  try {
    parity = await prove(candidate, proof.cases, [level], proof);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    refusal = error;
  }
  if (level === 'disabled' || (parity !== undefined && holds(parity))) {
    if (refusal !== undefined) throw refusal;
    return parity;
  }
  const answers = await answersAt(level, proof);
  if (answers instanceof OrthoError) {
    findings.push({
      level: 'warning',
      rule: 'level-not-proved',
      message: `the input itself does not run at level ${level} (${answers.message}): nothing was proved there`,
    });
    return undefined;
  }
  if (refusal !== undefined) throw refusal;
  const second = await prove(candidate, answers, [level], proof);
  if (!holds(second)) return parity;
  findings.push({
    level: 'note',
    rule: 'runtime-changes-results',
    message: `at level ${level} the runtime gives other results than without optimiser, for the input as for the output; compared with the input at that level`,
  });
  return second;
};

/**
 * Proves `candidate` against the input at both levels.
 * @returns the record, whether it holds or not, and what is to be said about it
 * @throws OrthoError runtime/* when the candidate does not run where the input does; verify/nothing-compared
 */
export const proveOptimized = async (candidate: string, proof: OptimizeProof): Promise<ProofResult> => {
  try {
    const parity = await prove(candidate, proof.cases, PROOF_LEVELS, proof);
    if (holds(parity)) return { parity, findings: [] };
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  const findings: Finding[] = [];
  const records: VerifyData[] = [];
  for (const level of PROOF_LEVELS) {
    const record = await proveAt(level, candidate, proof, findings);
    if (record !== undefined) records.push(record);
  }
  const [first, ...others] = records;
  if (first === undefined) {
    throw new OrthoError(
      'verify/nothing-compared',
      `${proof.input}: it runs at no level, nothing was compared`,
    );
  }
  return { parity: mergeParity([first, ...others]), findings };
};
