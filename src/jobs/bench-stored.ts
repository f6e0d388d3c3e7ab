/** Baselines that are stored: measured and written with --save-baseline, read and compared with by --baseline FILE.json. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { compareWithStored } from '../bench/compare.ts';
import type { Environment } from '../bench/environment.ts';
import type { Latency, Target } from '../bench/measure.ts';
import { measurePairs } from '../bench/pair-sessions.ts';
import { yardstick } from '../bench/yardstick.ts';
import { byteLengthOf, DTYPES, type DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { BytesSource, FileSource } from '../core/source.ts';
import { elementCount, type Tensor, tensorBytes } from '../core/tensor.ts';
import { VERSION } from '../core/version.ts';
import {
  type BaselineFile,
  baselineDifferences,
  machineOf,
  readBaselineFile,
  type StoredModel,
} from './baseline-file.ts';
import type { Baseline } from './bench-baseline.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';
import type { BenchModel, BenchOptions } from './bench-options.ts';
import { type Answers, answersOf, compareAnswers, randomOf } from './bench-parity.ts';
import { writeModel } from './model-file.ts';
import { writeAtomically } from './output.ts';
import { sha256Of } from './subject.ts';
import { withTempFolder } from './temp-files.ts';

/** Outputs larger than this are not stored. */
const MOST_OUTPUT_BYTES = 256 << 10;

const fileSha256 = (path: string): string => {
  const source = new FileSource(path);
  try {
    return sha256Of(source);
  } finally {
    source.close();
  }
};

const feedsSha256 = (feeds: ReadonlyMap<string, Tensor>): string => {
  const hash = createHash('sha256');
  for (const [name, tensor] of [...feeds].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([name, tensor.dtype, tensor.dims]));
    if (tensor.strings === undefined) hash.update(tensorBytes(tensor));
    else for (const text of tensor.strings) hash.update(`${text.length}:`).update(text);
  }
  return hash.digest('hex');
};

/** Writes the yardstick where a process can load it. */
const withYardstick = <T>(use: (target: Target, sha256: string) => Promise<T>): Promise<T> =>
  withTempFolder(async (folder) => {
    const { model, feeds } = yardstick();
    const path = join(folder, 'yardstick.onnx');
    await writeModel(path, model);
    return use({ name: 'the yardstick', path, feeds }, fileSha256(path));
  });

/** What stored numbers hold for. */
const placeOf = async (
  lab: BenchLab,
  environment: Environment,
): Promise<Pick<BaselineFile, 'machine' | 'session' | 'yardstick'>> => {
  const { level = 'all', threads = null, spinning = 'default' } = lab.session;
  return {
    machine: machineOf(environment),
    session: { level, threads, spinning },
    yardstick: await withYardstick(async (_, sha256) => sha256),
  };
};

const storeOutputs = ({ outputs, skipped }: Answers): StoredModel['outputs'] => {
  const tensors = [...outputs];
  if (skipped.size > 0 || tensors.some(([, { strings }]) => strings !== undefined)) return null;
  const stored = tensors.map(([name, tensor]) => ({
    name,
    dtype: tensor.dtype,
    shape: [...tensor.dims],
    bytes: tensorBytes(tensor),
  }));
  if (stored.reduce((sum, { bytes }) => sum + bytes.length, 0) > MOST_OUTPUT_BYTES) return null;
  return stored.map(({ bytes, ...rest }) => ({ ...rest, base64: Buffer.from(bytes).toString('base64') }));
};

const forwardSlashes = (path: string): string => path.split(sep).join('/');

/**
 * Measures models for a stored baseline and writes it.
 * @param takeMs the time for the next model.
 * @throws output/*, and OrthoError of the runtime.
 */
export const saveBaseline = async (
  lab: BenchLab,
  environment: Environment,
  measured: readonly (readonly [BenchTarget, Latency])[],
  output: { readonly path: string; readonly force: boolean },
  takeMs: () => number,
): Promise<void> => {
  const { session, seed } = lab;
  const models: StoredModel[] = [];
  for (const [target, { summary }] of measured) {
    lab.io.progress(`${target.name} for the stored baseline`);
    const { name, path, feeds } = target;
    const answers = await answersOf(lab, target);
    const sessions = await withYardstick((ruler) =>
      measurePairs(lab.start, ruler, target, { session, seed, budgetMs: takeMs() }),
    );
    const { n, p50, mad, ci95 } = summary;
    models.push({
      name,
      file: forwardSlashes(relative(dirname(resolve(output.path)), resolve(path))),
      sha256: fileSha256(path),
      inputs: [...feeds].map(([input, { dtype, dims }]) => ({ name: input, dtype, shape: [...dims] })),
      feedsSha256: feedsSha256(feeds),
      summary: { n, p50, mad, ci95: [...ci95] },
      sessions: sessions.map(({ candidateMs, logRatio, pairs }) => ({
        ms: candidateMs,
        ratio: Math.exp(logRatio),
        pairs,
      })),
      outputs: storeOutputs(answers),
    });
  }
  const place = await placeOf(lab, environment);
  const file: BaselineFile = {
    schema: 'bench-baseline@1',
    tool: 'ortho',
    version: VERSION,
    ...place,
    models,
  };
  const text = `${JSON.stringify(file, undefined, 2)}\n`;
  await writeAtomically(output.path, (sink) => sink.write(new TextEncoder().encode(text)), {
    force: output.force,
  });
};

/** The stored model that a candidate is compared with: the only one, or the one of its name. */
const entryFor = (path: string, { models }: BaselineFile, candidate: BenchModel): StoredModel => {
  const { file, name = basename(file) } = candidate;
  const found = models.length === 1 ? models[0] : models.find((model) => model.name === name);
  if (found !== undefined) return found;
  throw new OrthoError('usage/unknown-name', `${path} has no model "${name}"`, {
    hint: `it has ${models.map((model) => `"${model.name}"`).join(', ')}`,
    at: { file: path },
  });
};

const damaged = (path: string, why: string): OrthoError =>
  new OrthoError('baseline/invalid', `${path}: ${why}`, { at: { file: path } });

const isKnown = (dtype: string | null): dtype is DType => dtype !== null && Object.hasOwn(DTYPES, dtype);

/** @throws baseline/invalid */
const storedTensors = (path: string, outputs: NonNullable<StoredModel['outputs']>): Map<string, Tensor> =>
  new Map(
    outputs.map(({ name, dtype, shape, base64 }) => {
      const bytes = Buffer.from(base64, 'base64');
      const dims = (shape ?? []).map(Number);
      if (!isKnown(dtype) || byteLengthOf(dtype, elementCount(dims)) !== bytes.length) {
        throw damaged(path, `output "${name}" has ${bytes.length} bytes, which is not what its shape needs`);
      }
      return [name, { dtype, dims, data: new BytesSource(bytes) }];
    }),
  );

/**
 * The model that a stored baseline was measured on, to be measured again.
 * @throws baseline/refused when it is not there any more or has changed; usage/conflict, usage/unknown-name
 */
const storedModelFile = (path: string, candidates: readonly BenchModel[]): BenchModel => {
  const stored = readBaselineFile(path);
  const entries = new Set(candidates.map((candidate) => entryFor(path, stored, candidate)));
  const [entry] = entries;
  if (entry === undefined || entries.size > 1) {
    throw new OrthoError(
      'usage/conflict',
      `--remeasure compares with one model, ${path} has ${entries.size}`,
      {
        hint: 'give one model at a time',
      },
    );
  }
  const file = resolve(dirname(path), entry.file);
  const refused = (why: string): OrthoError =>
    new OrthoError('baseline/refused', `${path}: "${entry.name}" cannot be measured again: ${why}`, {
      hint: 'give the model itself with --baseline',
      at: { file },
    });
  if (!existsSync(file)) throw refused(`${file} is not there`);
  if (fileSha256(file) !== entry.sha256) throw refused(`${file} is not the file that was measured`);
  return { file, name: entry.name };
};

/**
 * What to compare with: a model that is measured, or a file of stored numbers.
 * @throws see `storedModelFile`; usage/conflict for --remeasure without a stored baseline
 */
export const chooseBaseline = ({
  baseline,
  remeasure = false,
  models,
}: BenchOptions): { readonly live?: BenchModel | undefined; readonly stored?: string } => {
  const isStored = baseline?.file.toLowerCase().endsWith('.json') === true;
  if (remeasure && !isStored) {
    throw new OrthoError('usage/conflict', '--remeasure is for a --baseline that is stored (.json)');
  }
  if (baseline === undefined || !isStored) return { live: baseline };
  return remeasure ? { live: storedModelFile(baseline.file, models) } : { stored: baseline.file };
};

/**
 * A baseline that was measured before.
 * @throws baseline/refused when it was measured on another machine, runtime, or with other options; baseline/invalid
 */
export const storedBaseline = async (
  lab: BenchLab,
  environment: Environment,
  path: string,
): Promise<Baseline> => {
  const stored = readBaselineFile(path);
  const differences = baselineDifferences(stored, await placeOf(lab, environment));
  if (differences.length > 0) {
    throw new OrthoError('baseline/refused', `${path} holds for another place: ${differences.join('; ')}`, {
      hint: '--remeasure measures its model again, where the file is still there',
      at: { file: path },
    });
  }
  const entryOf = ({ path: file, name }: BenchTarget): StoredModel => entryFor(path, stored, { file, name });
  return {
    nameFor: (candidate) => entryOf(candidate).name,
    checkParity: async (candidate, tolerances) => {
      const entry = entryOf(candidate);
      if (feedsSha256(candidate.feeds) !== entry.feedsSha256) {
        const inputs = entry.inputs.map(
          ({ name, dtype, shape }) => `"${name}" ${dtype}[${shape?.join(', ')}]`,
        );
        return {
          parity: undefined,
          reason: `it was not fed what the baseline was (${inputs.join(', ')}): give the same --seed, --shape and --input`,
        };
      }
      if (entry.outputs === null) {
        lab.findings.push({
          level: 'warning',
          rule: 'parity-not-checked',
          message: `whether ${candidate.name} computes what ${entry.name} does was not checked: the outputs were too large to store`,
          hint: '--remeasure runs both',
          at: { file: candidate.path },
        });
        return { parity: undefined, reason: undefined };
      }
      lab.io.progress(`parity of ${candidate.name} with ${entry.name}`);
      const actual = await answersOf(lab, candidate);
      const expected = { outputs: storedTensors(path, entry.outputs), skipped: new Map<string, string>() };
      const baseline = { name: entry.name, answers: expected, random: randomOf(candidate.path) };
      return compareAnswers(lab, baseline, { name: candidate.name, answers: actual }, tolerances);
    },
    compare: (candidate, options) => {
      const ratios = entryOf(candidate).sessions.map(({ ratio }) => ratio);
      return withYardstick((ruler) => compareWithStored(lab.start, ruler, ratios, candidate, options));
    },
  };
};
