/**
 * Optimises a model: own passes → the runtime's level → tidy up → prove → write.
 *
 * Every attempt is proved against the input before anything is written, and what is written are the bytes that were
 * proved. Where parity fails, what broke it is looked for and left out: first the runtime's level, then one pass after
 * the other; what was left out is reported. Where nothing helps, nothing is written.
 */
import { statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { FileSource } from '../core/source.ts';
import { modelSizeOf } from '../inspect/model-size.ts';
import { checkStructure } from '../ir/check.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import { modelToProto } from '../ir/to-proto.ts';
import type { Pass } from '../passes/pass.ts';
import { runPipeline } from '../passes/pipeline.ts';
import type { ElementFindings } from '../report/schemas/common.ts';
import type { OptimizeData, PassResultData } from '../report/schemas/optimize.ts';
import type { VerifyData } from '../report/schemas/verify.ts';
import type { Level, ProcessLimits, SessionOptions } from '../runtime/session.ts';
import { type GivenShape, shapesByName } from '../verify/inputs.ts';
import { requiredInputs } from '../verify/model-inputs.ts';
import { describeFailures, holds } from '../verify/parity.ts';
import { randomOutputs } from '../verify/random-outputs.ts';
import { parseTolerances } from '../verify/tolerance.ts';
import { writeModel } from './model-file.ts';
import { countSubnormals, hasExternalData, storedBytes } from './optimize-census.ts';
import { applyLevel } from './optimize-level.ts';
import { levelFor, selectPasses, type Target, targets } from './optimize-plan.ts';
import { type OptimizeProof, proveOptimized } from './optimize-proof.ts';
import { checkOutput, writeAtomically } from './output.ts';
import { subjectOf } from './subject.ts';
import { discardTempFile, reserveTempFile } from './temp-files.ts';
import { parityFindings, randomFindings, runReference } from './verify.ts';

/** The metadata keys that say what an optimised model is bound to. */
export const TARGET_KEY = 'ortho.target';
export const CPU_KEY = 'ortho.cpu';

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

interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** One way to optimise: which passes, and whether the runtime's level follows. */
interface Plan {
  readonly passes: readonly Pass[];
  readonly level: Level;
  readonly leftOut: readonly LeftOut[];
}

interface Attempt {
  readonly plan: Plan;
  readonly passes: readonly PassResultData[];
  /** What to say of the result. */
  readonly findings: readonly Finding[];
  /** Null where nothing was run. */
  readonly parity: VerifyData | null;
  /** Why the result must not be written; undefined when it is good. */
  readonly failure: string | undefined;
  readonly after: OptimizeData['after'];
  readonly subnormals: ElementFindings;
}

/** Everything that stays the same from attempt to attempt. */
interface Job {
  readonly input: string;
  readonly output: string;
  readonly target: Target;
  /** Temporary files: after the own passes, after the runtime, the result. */
  readonly files: { readonly own: string; readonly runtime: string; readonly result: string };
  /** Structural faults that the input has already. */
  readonly knownFaults: ReadonlySet<string>;
  /** Undefined where the runtime cannot run the input. */
  readonly proof: OptimizeProof | undefined;
  readonly session: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io: JobIo;
}

const isRuntimeError = (error: unknown): error is OrthoError =>
  error instanceof OrthoError && error.code.startsWith('runtime/');

const structuralFaults = (model: Model): Set<string> =>
  new Set(
    checkStructure(modelToProto(model))
      .filter(({ level }) => level === 'error')
      .map(({ message }) => message),
  );

/** The sum of two runs of the same passes; what the last one declined is what is left. */
const addResults = (first: readonly PassResultData[], second: readonly PassResultData[]): PassResultData[] =>
  first.map((one, i) => {
    const other = second[i];
    if (other === undefined) return one;
    return { ...other, changes: one.changes + other.changes, ms: one.ms + other.ms };
  });

const markTarget = (model: Model, target: Target): void => {
  if (target === 'onnx') return;
  model.metadata.set(TARGET_KEY, target);
  if (target === 'this-cpu') model.metadata.set(CPU_KEY, cpus()[0]?.model ?? 'unknown');
};

/** Own passes, the runtime's level and the passes again, on a fresh copy of the input. */
const build = async (plan: Plan, job: Job): Promise<{ model: Model; passes: PassResultData[] }> => {
  const { target, files, session, io } = job;
  const model = loadModel(job.input);
  io.progress('own passes');
  const { perPass } = runPipeline(model, plan.passes);
  if (plan.level === 'disabled') return { model, passes: [...perPass] };

  io.progress(`the runtime's level ${plan.level}`);
  await writeModel(files.own, model, { force: true });
  let second: readonly PassResultData[] = [];
  try {
    const applied = await applyLevel({
      model,
      path: files.own,
      scratch: files.runtime,
      level: plan.level,
      disabledOptimizers: targets[target].disabledOptimizers,
      tidy: (result) => {
        second = runPipeline(result, plan.passes).perPass;
      },
      session,
    });
    const runtimeResult = {
      name: runtimeStep(plan.level),
      changes: Math.max(0, applied.nodesRemoved),
      ms: applied.ms,
      declined: applied.withoutFolding
        ? [{ reason: 'folding constants would make the model much larger', count: 1 }]
        : [],
    };
    return { model: applied.model, passes: [...addResults(perPass, second), runtimeResult] };
  } finally {
    model.close();
  }
};

const runtimeStep = (level: Level): string => `runtime-${level}`;

const prove = async (model: Model, job: Job): Promise<Pick<Attempt, 'parity' | 'findings' | 'failure'>> => {
  const fault = [...structuralFaults(model)].find((message) => !job.knownFaults.has(message));
  if (fault !== undefined) {
    return { parity: null, findings: [], failure: `the result breaks the rules of ONNX: ${fault}` };
  }
  if (job.proof === undefined) return { parity: null, findings: [], failure: undefined };
  try {
    const { parity, findings } = await proveOptimized(job.files.result, job.proof);
    const named = { ...parity, candidate: job.output };
    return { parity: named, findings, failure: holds(parity) ? undefined : describeFailures(parity) };
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    return { parity: null, findings: [], failure: error.message };
  }
};

/** Builds and proves; the result lies in `files.result`. @throws runtime/* when the runtime's level fails */
const attempt = async (plan: Plan, job: Job): Promise<Attempt> => {
  const { model, passes: perPass } = await build(plan, job);
  try {
    markTarget(model, job.target);
    const { bytes } = await writeModel(job.files.result, model, { force: true });
    const proved = await prove(model, job);
    return {
      plan,
      passes: perPass,
      ...proved,
      after: modelSizeOf(model, bytes),
      subnormals: countSubnormals(model),
    };
  } finally {
    model.close();
  }
};

/** As `attempt`; a level that the runtime cannot apply is a failed attempt without a result. */
const tryPlan = async (plan: Plan, job: Job): Promise<Attempt | string> => {
  try {
    return await attempt(plan, job);
  } catch (error) {
    if (isRuntimeError(error) && plan.level !== 'disabled') return error.message;
    throw error;
  }
};

const failureOf = (result: Attempt | string): string | undefined =>
  typeof result === 'string' ? result : result.failure;

/**
 * Tries the whole plan, then without the runtime's level, then without each pass that changed something.
 * @returns the first good attempt, or the first one that says what differs
 */
const search = async (whole: Plan, job: Job): Promise<Attempt> => {
  const first = await tryPlan(whole, job);
  const reason = failureOf(first);
  if (reason === undefined) return first as Attempt;
  const tried: (Attempt | string)[] = [first];
  if (whole.level !== 'disabled') {
    const leftOut = [{ name: runtimeStep(whole.level), reason }];
    const own = await tryPlan({ ...whole, level: 'disabled', leftOut }, job);
    if (failureOf(own) === undefined) return own as Attempt;
    tried.push(own);
  }
  const known = tried.filter((one) => typeof one !== 'string');
  const changed = new Set(
    known.flatMap(({ passes: done }) => done.filter(({ changes }) => changes > 0).map(({ name }) => name)),
  );
  for (const suspect of whole.passes.filter(({ name }) => changed.has(name))) {
    const rest = whole.passes.filter((pass) => pass !== suspect);
    const without = await tryPlan(
      { passes: rest, level: whole.level, leftOut: [{ name: suspect.name, reason }] },
      job,
    );
    if (failureOf(without) === undefined) return without as Attempt;
  }
  const told = known.find(({ parity }) => parity !== null) ?? known[0];
  if (told !== undefined) return told;
  throw new OrthoError('runtime/failed', `${job.input}: ${reason}`, { at: { file: job.input } });
};

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
    const tolerances = parseTolerances(options.tolerance ?? []);
    return { input, cases, random: randomOutputs(model), tolerances, session, io };
  } catch (error) {
    const isUnmakeable = error instanceof OrthoError && error.code === 'dtype/unsupported';
    if (isRuntimeError(error) || isUnmakeable) return error;
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
  checkOutput(output, { force, inputs: [input] });
  const subject = subjectOf(input, { hash: options.hash === true });
  const session = { signal: io.signal, ...options.session };
  const model = loadModel(input);
  const findings: Finding[] = [];
  const files = reserveFiles(output);
  try {
    const before = modelSizeOf(model, storedBytes(model, input));
    const subnormals = countSubnormals(model);
    const proof = await prepareProof(model, options, session, io);
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
    if (isGood) await publish(files.result, output, force);
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

/** Writes the bytes that were proved. */
const publish = async (result: string, output: string, force: boolean): Promise<void> => {
  const source = new FileSource(result);
  try {
    await writeAtomically(output, (sink) => sink.write(source), { force });
  } finally {
    source.close();
  }
};
