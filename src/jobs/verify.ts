/**
 * Proves a model against a second model or against stored outputs. Other jobs prove their artifacts with
 * `proveParity`; `verifyModel` is the command.
 */
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import type { Tensor } from '../core/tensor.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import type { VerifyData } from '../report/schemas/verify.ts';
import { type RuntimeName, runtimes } from '../runtime/index.ts';
import type {
  Level,
  ProcessLimits,
  Session,
  SessionOptions,
  SessionProcess,
  TensorSpec,
} from '../runtime/session.ts';
import { type CaseSource, caseOfFiles, findCases, isCasePath, type NamedFile } from '../verify/cases.ts';
import { type GivenShape, type InputSpec, shapesByName } from '../verify/inputs.ts';
import { comparedIntegers, requiredInputs, shapeIntegers } from '../verify/model-inputs.ts';
import { holds, type Parity, startParity } from '../verify/parity.ts';
import { randomOutputs } from '../verify/random-outputs.ts';
import { parseTolerances, type Tolerances } from '../verify/tolerance.ts';
import { findFeeds } from '../verify/trial.ts';
import { subjectOf } from './subject.ts';

/** Levels at which an artifact is proved unless told otherwise: as written, and as users run it. */
export const PROOF_LEVELS: readonly Level[] = ['disabled', 'all'];

export interface ProofOptions {
  readonly candidate: string;
  /** What the report calls the reference. */
  readonly reference: string;
  /** Inputs with the outputs that are expected for them. */
  readonly cases: readonly CaseSource[];
  readonly tolerances?: Tolerances;
  /** Default: {@link PROOF_LEVELS}. */
  readonly levels?: readonly Level[];
  /** Outputs made of random numbers: only dtype and rank are compared. */
  readonly random?: ReadonlySet<string>;
  readonly runtime?: RuntimeName;
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
  /** A process that is already up; without one, one is started and ended. */
  readonly process?: SessionProcess | undefined;
  readonly io?: JobIo;
}

/** Why an output cannot be fetched; undefined where it can. */
const unfetchable = ({ isTensor, dtype }: TensorSpec): string | undefined => {
  if (!isTensor) return 'not a tensor (a sequence, map or optional cannot be fetched)';
  if (dtype === undefined) return 'of a type the runtime cannot give out';
  // Fetching these kills the process of ONNX Runtime 1.30.
  if (dtype === 'int4' || dtype === 'uint4') return `${dtype} outputs cannot be fetched`;
  return undefined;
};

/** The outputs of a session that can be fetched; the others go to `skip`. */
export const fetchableOutputs = (
  session: Session,
  skip: (name: string, reason: string) => void = () => {},
): string[] =>
  session.outputs.flatMap((output) => {
    const reason = unfetchable(output);
    if (reason !== undefined) skip(output.name, reason);
    return reason === undefined ? [output.name] : [];
  });

const runCase = async (session: Session, source: CaseSource, level: Level, parity: Parity): Promise<void> => {
  const { inputs, expected } = source.read();
  const known = new Set(session.inputs.map(({ name }) => name));
  const feeds = new Map([...inputs].filter(([name]) => known.has(name)));
  const fetchable = new Set(fetchableOutputs(session, parity.skip));
  const wanted = [...expected.keys()].filter((name) => fetchable.has(name));
  const actual = wanted.length > 0 ? await session.run(feeds, wanted) : new Map<string, Tensor>();
  parity.compare(level, source.name, expected, actual);
};

/** Works in the process given, or in one of its own. */
const withProcess = async <T>(
  options: Pick<ProofOptions, 'process' | 'runtime' | 'session' | 'io'>,
  work: (process: SessionProcess) => Promise<T>,
): Promise<T> => {
  if (options.process !== undefined) return work(options.process);
  const { start } = runtimes[options.runtime ?? 'onnxruntime-node'];
  const { signal } = options.io ?? silentIo();
  const process = start({ signal, ...options.session });
  try {
    return await work(process);
  } finally {
    await process.close();
  }
};

/**
 * Runs the candidate on every case at every level, one level after the other in one process, and compares.
 * @throws verify/nothing-compared; runtime/* when the candidate does not load or run. Outputs that differ do not
 *   throw: see `holds`.
 */
export const proveParity = async (options: ProofOptions): Promise<VerifyData> => {
  const { candidate, reference, cases, tolerances, random, levels = PROOF_LEVELS, io = silentIo() } = options;
  const parity = startParity(reference, candidate, { tolerances, random });
  await withProcess(options, async (process) => {
    for (const [step, level] of levels.entries()) {
      const session = await process.open(candidate, { ...options.session, level });
      for (const [i, source] of cases.entries()) {
        io.progress(`verify at ${level}`, (step + i / cases.length) / levels.length);
        await runCase(session, source, level, parity);
      }
      await session.close();
    }
  });
  return parity.finish();
};

export interface ReferenceRun {
  readonly cases: CaseSource[];
  /** Why the model refused the last of the feeds that it refused. */
  readonly refusal: OrthoError | undefined;
}

export interface ReferenceOptions {
  readonly model: Model;
  readonly path: string;
  readonly seed?: number;
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  readonly runtime?: RuntimeName;
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
  /** A process that is already up; without one, one is started and ended. */
  readonly process?: SessionProcess | undefined;
  readonly io?: JobIo;
}

/**
 * Makes cases of a reference model: random feeds it accepts (two shapes where dimensions are unknown, every branch
 * that an integer input switches) and its answers with the runtime's optimiser off.
 * @throws usage/input-shape, dtype/unsupported, runtime/*
 */
export const runReference = async (options: ReferenceOptions): Promise<ReferenceRun> => {
  const { model, path, seed = 0, io = silentIo() } = options;
  io.progress('run the reference');
  return withProcess(options, async (process) => {
    const session = await process.open(path, { ...options.session, level: 'disabled' });
    const wanted = fetchableOutputs(session);
    const { trials, refusal } = await findFeeds(
      requiredInputs(model),
      async (feeds) => (wanted.length > 0 ? session.run(feeds, wanted) : new Map<string, Tensor>()),
      {
        seed,
        integers: comparedIntegers(model),
        sizes: shapeIntegers(model),
        ...(options.shapes ? { shapes: options.shapes } : {}),
      },
    );
    const cases = trials.map(({ name, feeds, expected }) => ({
      name,
      read: () => ({ inputs: feeds, expected }),
    }));
    await session.close();
    return { cases, refusal };
  });
};

export interface VerifyOptions {
  readonly candidate: string;
  /** A model, an `.npz`, a `test_data_set_N` folder, or a folder of those. */
  readonly reference?: string | undefined;
  /** In place of a reference: `.npy` files. */
  readonly inputs?: readonly NamedFile[];
  readonly expected?: readonly NamedFile[];
  /** `[OUT=]atol:1e-4,rtol:1e-3` */
  readonly tolerance?: readonly string[];
  readonly shapes?: readonly GivenShape[];
  /** Default: `all`, as the runtime runs it by itself. */
  readonly levels?: readonly Level[];
  readonly runtime?: RuntimeName;
  readonly seed?: number;
  readonly hash?: boolean;
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io?: JobIo;
}

const outputSpecs = ({ graph }: Model): InputSpec[] =>
  graph.slots.map(({ name, type }) => ({
    name,
    dtype: type?.kind === 'tensor' ? type.dtype : undefined,
    shape: type?.kind === 'tensor' ? type.shape : undefined,
  }));

/** Calls the inputs and outputs of another model by the candidate's names, where only the names differ. */
const renameCases = (
  cases: readonly CaseSource[],
  reference: Model,
  candidate: Model,
  findings: Finding[],
): readonly CaseSource[] => {
  const from = [requiredInputs(reference).map(({ name }) => name), reference.graph.outputNames] as const;
  const to = [requiredInputs(candidate).map(({ name }) => name), candidate.graph.outputNames] as const;
  const [inputs, outputs] = [0, 1].map((side) => {
    const [old = [], fresh = []] = [from[side], to[side]];
    const isSame = old.some((name) => fresh.includes(name)) || old.length !== fresh.length;
    return new Map(isSame ? [] : old.map((name, i) => [name, fresh[i]!]));
  }) as [Map<string, string>, Map<string, string>];
  if (inputs.size === 0 && outputs.size === 0) return cases;
  const pairs = [...inputs, ...outputs].map(([old, fresh]) => `"${old}" as "${fresh}"`);
  findings.push({
    level: 'note',
    rule: 'matched-by-position',
    message: `no name in common: matched by position, ${pairs.slice(0, 4).join(', ')}${pairs.length > 4 ? '…' : ''}`,
  });
  const rename = (tensors: ReadonlyMap<string, Tensor>, names: ReadonlyMap<string, string>) =>
    new Map([...tensors].map(([name, tensor]) => [names.get(name) ?? name, tensor]));
  return cases.map(({ name, read }) => ({
    name,
    read: () => {
      const one = read();
      return { inputs: rename(one.inputs, inputs), expected: rename(one.expected, outputs) };
    },
  }));
};

const gatherCases = async (
  options: VerifyOptions,
  candidate: Model,
  findings: Finding[],
): Promise<readonly CaseSource[]> => {
  const { reference, inputs = [], expected = [] } = options;
  const signature = { inputs: requiredInputs(candidate), outputs: outputSpecs(candidate) };
  if (inputs.length + expected.length > 0) {
    if (reference !== undefined) {
      throw new OrthoError('usage/conflict', '--reference and --input/--expect exclude each other');
    }
    return [caseOfFiles(inputs, expected, signature)];
  }
  if (reference === undefined) {
    throw new OrthoError('usage/option', 'nothing to verify against', {
      hint: 'give --reference MODEL, CASE.npz or a folder, or --input and --expect',
    });
  }
  if (isCasePath(reference)) return findCases(reference, signature);
  const model = loadModel(reference);
  const shapes = shapesByName(requiredInputs(model), options.shapes ?? []);
  const { cases, refusal } = await runReference({ ...options, model, path: reference, shapes });
  if (cases.length === 0) {
    throw new OrthoError(
      'verify/nothing-compared',
      `${reference} accepted none of the made-up inputs${refusal === undefined ? '' : `: ${refusal.message}`}`,
      { hint: 'give its shapes with --shape NAME=…, or stored inputs', cause: refusal },
    );
  }
  return renameCases(cases, model, candidate, findings);
};

/** Findings of a record of parity: one for each output that differs (the first case that shows it). */
export const parityFindings = (parity: VerifyData): Finding[] => {
  const seen = new Set<string>();
  const findings: Finding[] = [];
  for (const { name, level, outputs } of parity.cases) {
    for (const output of outputs) {
      if (output.ok || seen.has(output.name)) continue;
      seen.add(output.name);
      findings.push({
        level: 'error',
        rule: 'parity',
        message: `output "${output.name}" differs in case ${name} at level ${level}: ${output.message ?? ''}`,
        at: { file: parity.candidate, value: output.name },
      });
    }
  }
  for (const { name, reason } of parity.skipped) {
    findings.push({
      level: 'warning',
      rule: 'output-not-compared',
      message: `output "${name}" was not compared: ${reason}`,
      at: { value: name },
    });
  }
  return findings;
};

/** Outputs of the candidate that no case speaks of: what passes for proved is not. */
const uncoveredFindings = ({ graph }: Model, { outputs, skipped }: VerifyData): Finding[] => {
  const named = new Set([...outputs, ...skipped].map(({ name }) => name));
  return graph.outputNames
    .filter((name) => !named.has(name))
    .map((name) => ({
      level: 'warning',
      rule: 'output-not-compared',
      message: `output "${name}" was not compared: the reference has nothing for it`,
      at: { value: name },
    }));
};

/** One note for each output made of random numbers. */
export const randomFindings = (random: ReadonlySet<string>): Finding[] =>
  [...random].map((name) => ({
    level: 'note',
    rule: 'random-output',
    message: `output "${name}" follows from random numbers: only its dtype and rank can be compared`,
    at: { value: name },
  }));

/**
 * The command: compares every output of the candidate with the reference.
 * @throws verify/nothing-compared (exit 1), verify/case, usage/*, file/*, model/*, runtime/*
 */
export const verifyModel = async (options: VerifyOptions): Promise<Report<'verify', VerifyData>> => {
  const tolerances = parseTolerances(options.tolerance ?? []);
  const subject = subjectOf(options.candidate, { hash: options.hash === true });
  const candidate = loadModel(options.candidate);
  for (const name of tolerances.byOutput?.keys() ?? []) {
    if (candidate.graph.outputNames.includes(name)) continue;
    throw new OrthoError('usage/option', `--tolerance: the model has no output "${name}"`, {
      hint: `its outputs are ${candidate.graph.outputNames.map((one) => `"${one}"`).join(', ')}`,
    });
  }
  const findings: Finding[] = [];
  const cases = await gatherCases(options, candidate, findings);
  const random = randomOutputs(candidate);
  const data = await proveParity({
    ...options,
    reference: options.reference ?? 'the expected outputs',
    random,
    cases,
    tolerances,
    levels: options.levels ?? ['all'],
  });
  return createReport('verify', {
    subject,
    data,
    findings: [
      ...findings,
      ...randomFindings(random),
      ...parityFindings(data),
      ...uncoveredFindings(candidate, data),
    ],
    ok: holds(data),
  });
};
