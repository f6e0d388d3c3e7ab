/**
 * Optimises a model: own passes → the runtime's level → tidy up → prove → write.
 *
 * Every attempt is proved against the input before anything is written, and what is written are the bytes that were
 * proved. Where parity fails, what broke it is looked for and left out: first the runtime's level, then one pass after
 * the other; what was left out is reported. Where that does not help, nothing is written.
 */
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { modelSizeOf } from '../inspect/model-size.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import type { ElementFindings } from '../report/schemas/common.ts';
import type { OptimizeData } from '../report/schemas/optimize.ts';
import type { Level, ProcessLimits, SessionOptions } from '../runtime/session.ts';
import { type GivenShape, shapesByName } from '../verify/inputs.ts';
import { requiredInputs } from '../verify/model-inputs.ts';
import { randomOutputs } from '../verify/random-outputs.ts';
import { parseTolerances, type Tolerances } from '../verify/tolerance.ts';
import { modelDataFiles } from './data-files.ts';
import { type Attempt, type Job, type Plan, search, structuralFaults } from './optimize-attempt.ts';
import { countSubnormals, hasExternalData, storedBytes } from './optimize-census.ts';
import { levelFor, selectPasses, type Target } from './optimize-plan.ts';
import { isRefusal, type OptimizeProof } from './optimize-proof.ts';
import { checkOutput, moveIntoPlace } from './output.ts';
import { subjectOf } from './subject.ts';
import { discardTempFile, reserveTempFile } from './temp-files.ts';
import { parityFindings, randomFindings, runReference } from './verify.ts';

export interface OptimizeOptions {
  readonly input: string;
  readonly output: string;
  /** Default: `onnx`. */
  readonly target?: Target;
  /** The runtime's level; default: the target's. `disabled`: own passes only. */
  readonly level?: Level | undefined;
  /** Only these passes; default: all. */
  readonly passes?: readonly string[];
  readonly skip?: readonly string[];
  /** `[OUT=]atol:1e-4,rtol:1e-3` */
  readonly tolerance?: readonly string[];
  readonly shapes?: readonly GivenShape[];
  /** Where the runtime cannot run the input: own passes only, without proof. */
  readonly allowUnproved?: boolean;
  readonly seed?: number;
  readonly force?: boolean;
  readonly hash?: boolean;
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io?: JobIo;
}

const unproved = (error: OrthoError): OrthoError =>
  new OrthoError(error.code, error.message, {
    at: error.at,
    cause: error,
    hint: '--allow-unproved runs the own passes without a proof; --shape NAME=… gives dimensions to try',
  });

/** Runs the input; undefined where that is impossible and allowed. @throws runtime/*, verify/nothing-compared */
const prepareProof = async (
  model: Model,
  options: OptimizeOptions,
  tolerances: Tolerances,
  session: Job['session'],
  io: JobIo,
): Promise<OptimizeProof | OrthoError> => {
  const { input, seed = 0 } = options;
  const shapes = shapesByName(requiredInputs(model), options.shapes ?? []);
  const nothing = (why: string): OrthoError =>
    new OrthoError('verify/nothing-compared', `${input}: ${why}`, { at: { file: input } });
  try {
    const { cases, refusal } = await runReference({ model, path: input, seed, shapes, session, io });
    if (cases.length === 0) {
      return nothing(`it accepted none of the made-up inputs${refusal ? ` (${refusal.message})` : ''}`);
    }
    if (cases.every(({ read }) => read().expected.size === 0)) {
      return nothing('it has no output that can be fetched');
    }
    return { input, cases, random: randomOutputs(model), tolerances, session, io };
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
};

const subnormalFinding = (before: ElementFindings, after: ElementFindings): Finding[] =>
  before.elements <= after.elements
    ? []
    : [
        {
          level: 'note',
          rule: 'flushed-subnormals',
          message: `${before.elements} subnormal elements in ${before.tensors} tensors before, ${after.elements} after`,
        },
      ];

const targetFinding = (target: Target): Finding[] => {
  if (target === 'onnx') return [];
  if (target === 'ort') {
    return [
      {
        level: 'note',
        rule: 'runtime-bound',
        message: 'the result may hold operators of com.microsoft: ONNX Runtime only',
      },
    ];
  }
  return [
    {
      level: 'warning',
      rule: 'hardware-bound',
      message: 'the result is right on this kind of CPU only; on another it runs and is silently wrong',
      hint: '--target ort is nearly as fast and portable',
    },
  ];
};

const resultFindings = (result: Attempt, job: Job, before: ElementFindings): Finding[] => {
  const { parity, failure, plan } = result;
  return [
    ...(failure === undefined
      ? []
      : [{ level: 'error' as const, rule: 'parity', message: `nothing was written: ${failure}` }]),
    ...plan.leftOut.map(({ name, reason }) => ({
      level: 'warning' as const,
      rule: 'rolled-back',
      message: `left out ${name}: ${reason}`,
    })),
    ...(parity === null ? [] : parityFindings(parity)),
    ...randomFindings(job.proof?.random ?? new Set()),
    ...result.findings,
    ...subnormalFinding(before, result.subnormals),
    ...(failure === undefined ? targetFinding(job.target) : []),
  ];
};

const reserveFiles = (output: string): Job['files'] => {
  const stat = statSync(output, { throwIfNoEntry: false });
  const place = stat === undefined || stat.isFile() ? output : join(tmpdir(), basename(output));
  return { own: reserveTempFile(place), runtime: reserveTempFile(place), result: reserveTempFile(place) };
};

/**
 * The command.
 * @throws usage/*, file/*, model/*, output/*; runtime/* and verify/nothing-compared when the input cannot be run and
 *   `allowUnproved` is not set. Failed parity does not throw: the report is not ok, and nothing is written.
 */
export const optimizeModel = async (options: OptimizeOptions): Promise<Report<'optimize', OptimizeData>> => {
  const { input, output, target = 'onnx', force = false, io = silentIo() } = options;
  const level = levelFor(target, options.level);
  const selected = selectPasses(options.passes ?? [], options.skip ?? []);
  const tolerances = parseTolerances(options.tolerance ?? []);
  checkOutput(output, { force, inputs: [input] });
  const subject = subjectOf(input, { hash: options.hash === true });
  const session = { signal: io.signal, ...options.session };
  const model = loadModel(input);
  const findings: Finding[] = [];
  const files = reserveFiles(output);
  try {
    checkOutput(output, { force, inputs: modelDataFiles(model) });
    const before = modelSizeOf(model, storedBytes(model, input));
    const subnormals = countSubnormals(model);
    const proof = await prepareProof(model, options, tolerances, session, io);
    if (proof instanceof OrthoError) {
      if (options.allowUnproved !== true) throw unproved(proof);
      const message = `nothing was proved: ${proof.message}`;
      findings.push({ level: 'warning', rule: 'not-proved', message });
    }
    if (hasExternalData(model)) {
      const message = 'the external data of the input is inside the result';
      findings.push({ level: 'note', rule: 'external-data-inlined', message });
    }
    const isProved = !(proof instanceof OrthoError);
    const job: Job = {
      input,
      output,
      target,
      files,
      knownFaults: structuralFaults(model),
      proof: isProved ? proof : undefined,
      session,
      io,
    };
    const plan: Plan = { passes: selected, level: isProved ? level : 'disabled', leftOut: [] };
    const result = await search(plan, job);
    const isGood = result.failure === undefined;
    if (isGood) await moveIntoPlace(files.result, output, { force });
    findings.push(...resultFindings(result, job, subnormals));
    const data: OptimizeData = {
      before,
      after: isGood ? result.after : before,
      passes: result.passes,
      rolledBack: result.plan.leftOut,
      parity: result.parity,
    };
    return createReport('optimize', { subject, data, findings, ok: isGood });
  } finally {
    model.close();
    for (const file of Object.values(files)) discardTempFile(file);
  }
};
