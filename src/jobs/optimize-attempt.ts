/**
 * Attempts at an optimisation: build, prove, and where parity fails find out what broke it.
 */
import { cpus } from 'node:os';
import { OrthoError } from '../core/errors.ts';
import type { JobIo } from '../core/job-io.ts';
import type { Finding } from '../core/report.ts';
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
import { describeFailures, holds } from '../verify/parity.ts';
import { writeModel } from './model-file.ts';
import { countSubnormals } from './optimize-census.ts';
import { applyLevel } from './optimize-level.ts';
import { type Target, targets } from './optimize-plan.ts';
import { isRefusal, type OptimizeProof, proveOptimized } from './optimize-proof.ts';

/** The metadata keys that say what an optimised model is bound to. */
const TARGET_KEY = 'ortho.target';
const CPU_KEY = 'ortho.cpu';

interface LeftOut {
  readonly name: string;
  readonly reason: string;
}

/** One way to optimise: which passes, and whether the runtime's level follows. */
export interface Plan {
  readonly passes: readonly Pass[];
  readonly level: Level;
  readonly leftOut: readonly LeftOut[];
}

export interface Attempt {
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
export interface Job {
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

export const structuralFaults = (model: Model): Set<string> =>
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
  await writeModel(files.own, model, { force: true, isTemporary: true });
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
    if (!isRefusal(error)) throw error;
    return { parity: null, findings: [], failure: error.message };
  }
};

/** Builds and proves; the result lies in `files.result`. @throws runtime/* when the runtime's level fails */
const attempt = async (plan: Plan, job: Job): Promise<Attempt> => {
  const { model, passes: perPass } = await build(plan, job);
  try {
    markTarget(model, job.target);
    const { bytes } = await writeModel(job.files.result, model, { force: true, isTemporary: true });
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
    if (isRefusal(error) && plan.level !== 'disabled') return error.message;
    throw error;
  }
};

const failureOf = (result: Attempt | string): string | undefined =>
  typeof result === 'string' ? result : result.failure;

/**
 * Tries the whole plan, then without the runtime's level, then without each pass that changed something.
 * @returns the first good attempt, or the first one that says what differs
 */
export const search = async (whole: Plan, job: Job): Promise<Attempt> => {
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
  const levels = whole.level === 'disabled' ? [whole.level] : [whole.level, 'disabled' as const];
  for (const suspect of whole.passes.filter(({ name }) => changed.has(name))) {
    for (const level of levels) {
      const names = [suspect.name, ...(level === whole.level ? [] : [runtimeStep(whole.level)])];
      const without = await tryPlan(
        {
          passes: whole.passes.filter((pass) => pass !== suspect),
          level,
          leftOut: names.map((name) => ({ name, reason })),
        },
        job,
      );
      if (failureOf(without) === undefined) return without as Attempt;
    }
  }
  const told = known.find(({ parity }) => parity !== null) ?? known[0];
  if (told !== undefined) return told;
  throw new OrthoError('runtime/failed', `${job.input}: ${reason}`, { at: { file: job.input } });
};
