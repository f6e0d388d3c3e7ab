/**
 * What the doctor is given, as models: an ONNX file is one; a checkpoint is converted the way its user loads it, with its
 * subnormal weights kept; of a job file the models of its pipeline are taken where they are built, or built.
 */
import { existsSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import type { KeyFacts } from '../bench/doctor/experiment.ts';
import { OrthoError } from '../core/errors.ts';
import type { JobIo } from '../core/job-io.ts';
import type { Finding } from '../core/report.ts';
import { FileSource } from '../core/source.ts';
import { sniff } from '../formats/sniff.ts';
import { type ConvertOptions, convertCheckpoint } from './convert.ts';
import { readRunConfig } from './run-config.ts';
import { isFolder } from './subject.ts';
import { subjectNames } from './subject-names.ts';

/** A model to examine. */
export interface DoctorSubject {
  readonly name: string;
  /** What the user named: a model or a checkpoint. */
  readonly file: string;
  /** The model that is run. */
  readonly path: string;
  /** Dimensions of its inputs. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly keys: KeyFacts | undefined;
  readonly reference: string | undefined;
  readonly tolerance?: readonly string[] | undefined;
}

export interface SubjectOptions {
  readonly subjects: readonly string[];
  readonly reference?: string | undefined;
  readonly architecture?: string | undefined;
  readonly stripPrefix?: string | false | undefined;
  /** For models that are converted. */
  readonly folder: string;
  readonly seed: number;
  readonly io: JobIo;
  /** Receives what conversion has to say. */
  readonly findings: Finding[];
}

const isOnnx = (path: string): boolean => {
  if (extname(path) === '.ort') return true;
  if (isFolder(path)) return false;
  const source = new FileSource(path);
  try {
    return sniff(source, path) === 'onnx';
  } finally {
    source.close();
  }
};

const isConfig = (path: string): boolean => extname(path) === '.json' && !path.endsWith('.index.json');

type Loading = Omit<ConvertOptions, 'output' | 'io' | 'keepSubnormals'>;

interface Loaded {
  readonly path: string;
  readonly keys: KeyFacts;
}

/** Rules of findings that say that weights are missing. */
const KEY_RULES = ['weights/missing-key', 'weights/unexpected-key', 'weights/shape-mismatch'];

/**
 * Converts a checkpoint the way it is loaded. Where its keys do not fit that way, but do once `module.` is stripped, the
 * fault is kept and the model that it should be is examined.
 */
const load = async (loading: Loading, place: string, { io, findings }: SubjectOptions): Promise<Loaded> => {
  const output = `${place}.onnx`;
  const report = await convertCheckpoint({ ...loading, output, keepSubnormals: true, io });
  const { matched, missing } = report.data;
  const fault = report.findings.find(({ level, rule }) => level === 'error' && KEY_RULES.includes(rule));
  const stripped = /^"([^"]+)" stripped/.exec(
    report.findings.find(({ rule }) => rule === 'stripped-prefix')?.message ?? '',
  )?.[1];
  const keys: KeyFacts = {
    matched,
    needed: matched + missing.length,
    stripped: stripped ?? '',
    fault: fault?.message,
    fix: fault?.hint,
  };
  if (report.ok) return { path: output, keys };
  if (fault !== undefined && loading.stripPrefix !== undefined) {
    const { stripPrefix: _, ...usual } = loading;
    const right = await convertCheckpoint({ ...usual, output, keepSubnormals: true, io });
    if (right.ok) return { path: output, keys };
  }
  const [error] = report.findings.filter(({ level }) => level === 'error');
  findings.push(...report.findings.filter(({ level }) => level === 'error'));
  throw new OrthoError(
    fault === undefined ? 'verify/parity' : (fault.rule as 'weights/missing-key'),
    `${loading.source}: it cannot be made a model: ${error?.message ?? 'conversion failed'}`,
    { at: { file: loading.source }, ...(error?.hint === undefined ? {} : { hint: error.hint }) },
  );
};

const resolveConfig = async (path: string, options: SubjectOptions): Promise<DoctorSubject[]> => {
  const config = readRunConfig(path);
  const at = (relative: string): string => resolve(dirname(path), relative);
  const wanted = config.bench?.pipeline ?? config.jobs.map(({ name }) => name);
  const subjects: DoctorSubject[] = [];
  for (const name of wanted) {
    const job = config.jobs.find((one) => one.name === name)!;
    const { remap = {} } = job;
    const source = at(job.source);
    const output = at(job.output);
    const references = job.references === undefined ? undefined : at(job.references);
    options.io.progress(`${name}: load`);
    let keys: KeyFacts | undefined;
    let built = source;
    if (!isOnnx(source)) {
      const loading: Loading = {
        source,
        architecture: job.architecture,
        stateDict: remap.stateDict,
        stripPrefix: remap.stripPrefix,
        rename: Object.entries(remap.rename ?? {}).map(([from, to]) => ({ from, to })),
        allowMissing: remap.allowMissing ?? [],
        allowUnexpected: remap.allowUnexpected ?? [],
        opset: job.opset,
        inputShapes: Object.entries(job.inputShape ?? {}).map(([input, dims]) => ({ name: input, dims })),
        seed: options.seed,
      };
      const loaded = await load(loading, join(options.folder, `stage-${subjects.length}`), options);
      ({ keys, path: built } = loaded);
    }
    subjects.push({
      name,
      file: existsSync(output) ? output : source,
      path: existsSync(output) ? output : built,
      shapes: new Map(Object.entries(config.bench?.shapes?.[name] ?? {})),
      keys,
      reference: references,
      tolerance: job.tolerance,
    });
  }
  return subjects;
};

/**
 * The models behind what the user named.
 * @throws usage/conflict for a job file among others; file/*, config/invalid, and what converting throws
 */
export const resolveSubjects = async (options: SubjectOptions): Promise<DoctorSubject[]> => {
  const { subjects, folder, reference, architecture, stripPrefix, seed } = options;
  const config = subjects.find(isConfig);
  if (config !== undefined) {
    if (subjects.length > 1) {
      throw new OrthoError('usage/conflict', `${config}: a job file stands alone`, {
        hint: 'give the models, or the job file that names them',
      });
    }
    const conflict = Object.entries({ reference, architecture, stripPrefix }).find(
      ([, value]) => value !== undefined,
    );
    if (conflict !== undefined) {
      throw new OrthoError('usage/conflict', `a job file has its own ${conflict[0]}`, {
        hint: 'leave that option out, or give models instead of the job file',
      });
    }
    return resolveConfig(config, options);
  }
  const names = subjectNames(subjects.map((file) => ({ file })));
  const resolved: DoctorSubject[] = [];
  for (const [i, file] of subjects.entries()) {
    const name = names[i]!;
    const common = { name, file, shapes: new Map<string, readonly number[]>(), reference };
    if (isOnnx(file)) {
      resolved.push({ ...common, path: file, keys: undefined });
      continue;
    }
    options.io.progress(`${name}: convert`);
    const loading: Loading = { source: file, architecture, stripPrefix, seed };
    resolved.push({ ...common, ...(await load(loading, join(folder, `model-${i}`), options)) });
  }
  return resolved;
};
