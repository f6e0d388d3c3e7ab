/**
 * inspect: what is in a file. ONNX or weights is told by content; only a file that is called .onnx and is to be checked
 * is judged as a model whatever it holds.
 */
import { extname } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import type { JobIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { type ByteSource, BytesSource, FileSource } from '../core/source.ts';
import type { Summary } from '../inspect/summary.ts';
import type { InspectWeightsOptions } from '../inspect/weights.ts';
import type { ModelProto } from '../proto/schema.ts';
import type { InspectData } from '../report/schemas/inspect.ts';
import { HASH_LIMIT, isFolder, sha256Of, subjectOf } from './subject.ts';

export interface InspectOptions {
  /** Run the full checker, over weights too (checksums of their records). */
  readonly check?: boolean;
  /** Statistics of each tensor; of a model, count special values however large the weights are. */
  readonly stats?: boolean;
  /** Histograms of each tensor of a weight file. */
  readonly histogram?: boolean;
  /** Globs that select the tensors of a weight file which are listed and read. */
  readonly keys?: readonly string[];
  /** Levels of the tree of modules of a weight file. */
  readonly depth?: number | undefined;
  /** Say what each global of a weight file's pickles does. */
  readonly globals?: boolean;
  /** Hash large files too. */
  readonly hash?: boolean;
  /** Which state dict of a checkpoint is listed. */
  readonly stateDict?: string | undefined;
  readonly io?: JobIo;
}

/** Files up to this size are read at once. */
const HELD = 16 << 20;

/** Whether the first bytes are those of a zip archive, a pickle, a tar, an .npy, a safetensors file or JSON (an index). */
const looksLikeWeights = (source: ByteSource): boolean => {
  const head = source.read(0, Math.min(source.size, 512));
  const text = Buffer.from(head).toString('latin1');
  if (text.startsWith('PK') || text.startsWith('\x93NUMPY') || text.startsWith('ustar', 257)) return true;
  if (head[0] === 0x80 && head[1]! >= 1 && head[1]! <= 5) return true;
  return (head[8] === 0x7b && head.length >= 10) || /^\s*\{\s*"/.test(text);
};

const isNamedOnnx = (path: string): boolean => extname(path).toLowerCase() === '.onnx';

/** Decodes a model; a file with another name that is none is described as what it is. */
const decode = async (source: ByteSource, path: string): Promise<ModelProto> => {
  const { decodeModel } = await import('../proto/decode.ts');
  try {
    return decodeModel(source);
  } catch (error) {
    if (isNamedOnnx(path) || source.size === 0) throw error;
    const { sniff, strangerError } = await import('../formats/sniff.ts');
    const kind = sniff(source, path);
    throw typeof kind === 'string' ? error : strangerError(kind, path);
  }
};

/** Runs the whole checker on a model that can be decoded. */
const checkInFull = async (
  proto: ModelProto,
  path: string,
  censusLimit: number | undefined,
): Promise<Summary> => {
  const { checkProto } = await import('../inspect/check.ts');
  const checked = checkProto(proto, { path, ...(censusLimit !== undefined && { censusLimit }) });
  checked.model?.close();
  return checked;
};

const inspectModel = async (
  source: ByteSource,
  path: string,
  options: InspectOptions,
): Promise<{ data: InspectData; findings: readonly Finding[] }> => {
  const { check = false, stats = false } = options;
  const [proto, { inspectOnnx }, { summarise }] = await Promise.all([
    decode(source, path),
    import('../inspect/onnx.ts'),
    import('../inspect/summary.ts'),
  ]);
  refuseWeightOptions(path, options);
  const censusLimit = stats ? Number.POSITIVE_INFINITY : undefined;
  const quick = check ? undefined : summarise(proto, path, censusLimit);
  const summary = quick ?? (await checkInFull(proto, path, censusLimit));
  return { data: inspectOnnx(proto, summary), findings: summary.findings };
};

const inspectWeightFile = async (
  path: string,
  options: InspectOptions,
): Promise<{ data: InspectData; findings: readonly Finding[] }> => {
  const [{ openWeights }, { pickStateDict }, { inspectWeights, readWeightValues }, { closestArchitecture }] =
    await Promise.all([
      import('../formats/index.ts'),
      import('../formats/state-dict.ts'),
      import('../inspect/weights.ts'),
      import('../convert/detect.ts'),
    ]);
  const file = openWeights(path, { describe: true, allPickles: options.globals === true });
  try {
    if (options.stateDict !== undefined) pickStateDict(file, path, options.stateDict);
    const detect: InspectWeightsOptions['detect'] = (tensors) => {
      const closest = closestArchitecture(tensors);
      if (closest === undefined) return undefined;
      const { candidate, prefix, isRecognised } = closest;
      const { missing, unexpected, mismatched, matched } = candidate.match;
      const { name } = candidate.architecture;
      const against = { matched: matched.length, missing, unexpected, mismatched };
      const match = { name, score: candidate.score, ...(prefix !== '' && { prefix }), ...against };
      return { match, isRecognised };
    };
    const values = await readWeightValues(file, options);
    const { data, findings } = inspectWeights(file, { ...options, detect }, values);
    const misnamed: Finding[] = isNamedOnnx(path)
      ? [
          {
            level: 'warning',
            rule: 'misleading-name',
            message: `${path}: a ${file.format} file called .onnx`,
          },
        ]
      : [];
    return { data, findings: [...misnamed, ...findings] };
  } finally {
    file.close();
  }
};

/** The options that mean nothing for a model. @throws OrthoError usage/conflict */
const refuseWeightOptions = (path: string, options: InspectOptions): void => {
  const given = [
    options.keys !== undefined && options.keys.length > 0 && '--keys',
    options.depth !== undefined && '--depth',
    options.histogram === true && '--histogram',
    options.globals === true && '--globals',
    options.stateDict !== undefined && '--state-dict',
  ].filter((flag) => flag !== false);
  if (given.length === 0) return;
  throw new OrthoError(
    'usage/conflict',
    `${path}: a model, and ${given.join(', ')} is for files of weights`,
    {
      hint: `leave out ${given.join(', ')}`,
      at: { file: path },
    },
  );
};

const openSource = (path: string): { readonly source: ByteSource; close(): void } => {
  const file = new FileSource(path);
  if (file.size > HELD) return { source: file, close: () => file.close() };
  try {
    return { source: new BytesSource(file.read(0, file.size), path), close: () => {} };
  } finally {
    file.close();
  }
};

/**
 * What is in a file, or in a folder of weights. Faults of a model that can be read are findings.
 * @throws OrthoError file/*, model/* and checkpoint/* when nothing of it can be read
 */
export const inspectFile = async (
  path: string,
  options: InspectOptions = {},
): Promise<Report<'inspect', InspectData>> => {
  if (isFolder(path)) {
    return createReport('inspect', { subject: subjectOf(path), ...(await inspectWeightFile(path, options)) });
  }
  const { source, close } = openSource(path);
  try {
    const isHashed = options.hash === true || source.size <= HASH_LIMIT;
    const sha256 = isHashed ? sha256Of(source, (part) => options.io?.progress('hashing', part)) : null;
    const subject = { file: path, sha256, bytes: source.size };
    const isWeights = looksLikeWeights(source) && !(options.check && isNamedOnnx(path));
    const { data, findings } = isWeights
      ? await inspectWeightFile(path, options)
      : await inspectModel(source, path, options);
    return createReport('inspect', { subject, data, findings });
  } finally {
    close();
  }
};

/**
 * A model in ONNX text. Tensors above `maxElements` elements are abbreviated.
 * @throws OrthoError as inspectFile does, and usage/conflict for weights
 */
export const inspectText = async (path: string, maxElements?: number): Promise<string> => {
  const { source, close } = openSource(path);
  try {
    if (looksLikeWeights(source)) {
      throw new OrthoError(
        'usage/conflict',
        `${path}: only models have a text form, this is a file of weights`,
        {
          hint: 'leave out --text',
          at: { file: path },
        },
      );
    }
    const { printModelText } = await import('../proto/text/print.ts');
    return printModelText(await decode(source, path), maxElements === undefined ? {} : { maxElements });
  } finally {
    close();
  }
};
