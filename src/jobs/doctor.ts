/**
 * Why are these models slow, or wrong? Reads what it is given (models, checkpoints, or the job file of a pipeline), loads
 * every model the way its user does, and lets the experiments of bench/doctor decide.
 */
import { join } from 'node:path';
import { diagnose } from '../bench/doctor/diagnose.ts';
import type { Patient } from '../bench/doctor/experiment.ts';
import type { DoctorHost } from '../bench/doctor/lab.ts';
import { type Machine, thisMachine } from '../bench/doctor/machine.ts';
import { readEnvironment } from '../bench/environment.ts';
import { checkGivenNames, chooseFeeds, type GivenInputs } from '../bench/feeds.ts';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import type { DoctorData } from '../report/schemas/doctor.ts';
import { SessionHost } from '../runtime/isolated.ts';
import type { ProcessLimits, SessionOptions } from '../runtime/session.ts';
import { diagnosisData } from './doctor-data.ts';
import { type DoctorSubject, resolveSubjects } from './doctor-subjects.ts';
import { writeModel } from './model-file.ts';
import { subjectOf } from './subject.ts';
import { withTempFolder } from './temp-files.ts';
import { verifyModel } from './verify.ts';

/** How the user runs the models; defaults are the runtime's. */
type GivenOptions = Pick<SessionOptions, 'level' | 'spinning' | 'parallel' | 'arena' | 'prepacking'>;

export interface DoctorOptions extends GivenOptions {
  /** Models, checkpoints, or one job file. */
  readonly subjects: readonly string[];
  /** Seconds for everything, about. Default: {@link defaultDuration}. */
  readonly duration?: number | undefined;
  /** A model or stored outputs that every model should agree with. */
  readonly reference?: string | undefined;
  readonly given?: GivenInputs;
  readonly session?: Pick<SessionOptions, 'threads'> & ProcessLimits;
  /** For checkpoints: see `convertCheckpoint`. */
  readonly architecture?: string | undefined;
  readonly stripPrefix?: string | false | undefined;
  readonly seed?: number;
  readonly hash?: boolean;
  /** Default: this machine. */
  readonly machine?: Machine;
  readonly io?: JobIo;
}

/** 20 s, and 10 s a model beyond the first. */
const defaultDuration = (models: number): number => 20 + 10 * (models - 1);

/** What goes wrong with one model of several is a finding. */
const failureFinding = (error: unknown, file: string): Finding => {
  if (!(error instanceof OrthoError) || error.code.startsWith('internal/')) throw error;
  const { code, message, hint, at } = error;
  return {
    level: 'error',
    rule: code,
    message,
    at: { ...at, file },
    ...(hint === undefined ? {} : { hint }),
  };
};

interface Ward {
  readonly options: DoctorOptions;
  readonly io: JobIo;
  readonly seed: number;
  readonly session: SessionOptions;
  readonly limits: ProcessLimits;
  readonly findings: Finding[];
  start(): SessionHost;
}

/** What the reference says of a model; undefined without one. */
const compareWithReference = async (
  { options, io, seed, session, limits, findings }: Ward,
  { path, reference, tolerance }: DoctorSubject,
): Promise<Patient['reference']> => {
  if (reference === undefined) return undefined;
  io.progress('compare with the reference');
  const { level = 'all' } = session;
  const report = await verifyModel({
    candidate: path,
    reference,
    levels: [level],
    seed,
    io,
    tolerance: tolerance ?? [],
    shapes: options.given?.shapes ?? [],
    session: limits,
  });
  const worst = report.data.outputs
    .map(({ metrics }) => metrics.maxAbs ?? null)
    .filter((value) => value !== null);
  findings.push(...report.findings.filter(({ level: severity }) => severity === 'warning'));
  return {
    reference,
    isEqual: report.ok,
    difference: `largest difference ${worst.length === 0 ? 'unknown' : Math.max(...worst).toExponential(1)} over ${report.data.cases.length} cases`,
  };
};

/** Chooses feeds and runs the model once, so that one which cannot run is known before anything is measured. */
const admit = async (ward: Ward, subject: DoctorSubject): Promise<Patient> => {
  const { options, seed, session, findings } = ward;
  const { name, file, path, keys } = subject;
  const given = options.given ?? { files: [], shapes: [] };
  const own = [...subject.shapes].map(([input, dims]) => ({ name: input, dims }));
  const host = ward.start();
  try {
    const inputs = { files: given.files, shapes: [...given.shapes, ...own] };
    const { feeds, assumed } = await chooseFeeds(path, host, inputs, { seed, session });
    await (await host.open(path, session)).run(feeds);
    for (const input of assumed) {
      findings.push({
        level: 'note',
        rule: 'assumed-shape',
        message: `${name}: input "${input}" leaves dimensions open; timed with [${feeds.get(input)!.dims.join(', ')}]`,
        hint: `--shape ${input}=…`,
        at: { file, value: input },
      });
    }
    const reference = await compareWithReference(ward, subject);
    return { name, file, path, feeds, options: session, keys, reference };
  } finally {
    await host.close();
  }
};

const admitAll = async (ward: Ward, subjects: readonly DoctorSubject[]): Promise<Patient[]> => {
  const patients: Patient[] = [];
  let firstError: unknown;
  for (const subject of subjects) {
    try {
      patients.push(await admit(ward, subject));
    } catch (error) {
      ward.findings.push(failureFinding(error, subject.file));
      firstError ??= error;
    }
  }
  if (patients.length === 0) throw firstError;
  checkGivenNames(
    ward.options.given ?? { files: [], shapes: [] },
    patients.map(({ feeds }) => feeds),
  );
  return patients;
};

const runtimeVersion = async (host: SessionHost): Promise<string> => {
  try {
    return await host.version();
  } finally {
    await host.close();
  }
};

/**
 * Examines models. The report is not ok when one of them could not be measured; causes are what it is for, not failures.
 * @throws OrthoError when none can be measured: file/*, model/*, config/*, convert/*, runtime/*, usage/*.
 */
export const examineModels = async (options: DoctorOptions): Promise<Report<'doctor', DoctorData>> => {
  const { io = silentIo(), seed = 0, machine = thisMachine() } = options;
  const { level = 'all', spinning = 'default', parallel = false, arena = true, prepacking = true } = options;
  const { threads, ...ownLimits } = options.session ?? {};
  const session: SessionOptions = {
    level,
    spinning,
    parallel,
    arena,
    prepacking,
    ...(threads !== undefined && { threads }),
  };
  const findings: Finding[] = [];
  const limits: ProcessLimits = { ...ownLimits, signal: io.signal };
  const start = (): SessionHost => new SessionHost(limits);
  const ward: Ward = { options, io, seed, session, limits, findings, start };
  const subject = subjectOf(options.subjects[0]!, { hash: options.hash === true });
  const environment = readEnvironment(await runtimeVersion(start()));
  return withTempFolder(async (folder) => {
    let copies = 0;
    const subjects = await resolveSubjects({ ...options, folder, io, seed, findings });
    const patients = await admitAll(ward, subjects);
    const seconds = options.duration ?? defaultDuration(patients.length);
    const diagnosis = await diagnose({
      patients,
      start: start as () => DoctorHost,
      machine,
      budgetMs: 1000 * seconds,
      seed,
      io,
      save: async (model) => {
        const path = join(folder, `copy-${copies++}.onnx`);
        await writeModel(path, model, { isTemporary: true });
        return path;
      },
    });
    if (!diagnosis.isComplete) {
      findings.push({
        level: 'error',
        rule: 'internal/interrupted',
        message: 'interrupted: what follows was not examined',
      });
    }
    const data = diagnosisData(diagnosis, patients, environment);
    return createReport('doctor', { subject, data, findings });
  });
};
