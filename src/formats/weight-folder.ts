/**
 * Folders that hold weights, in the layouts of Hugging Face's libraries. What is taken, the first that is there:
 *
 *  1. `.metadata`: a folder of torch.distributed.checkpoint;
 *  2. `model.safetensors.index.json`, `model.safetensors`, `pytorch_model.bin.index.json`, `pytorch_model.bin`;
 *  3. the same four of diffusers, whose files begin with `diffusion_pytorch_model`;
 *  4. `adapter_model.safetensors`, `adapter_model.bin` (LoRA and other adapters);
 *  5. the only index of shards under another name;
 *  6. the parts of a distributed checkpoint that every process saved as safetensors;
 *  7. the only weight file, by its extension (files that trainers leave beside the weights do not count).
 *
 * Several files without one of these names are an error that lists them. The content of `config.json` becomes the
 * metadata entry `config`.
 */
import { type Dirent, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { FileSource } from '../core/source.ts';
import { areRankShards, openRankShards } from './dcp-safetensors.ts';
import { locateInside } from './inside-folder.ts';
import type { Json, WeightFile } from './state-dict.ts';
import { type JsonLimits, parseStrictJson } from './strict-json.ts';

/** Bytes and levels of a config.json; real ones have a few thousand and about five. */
const MAX_CONFIG = 1024 * 1024;
const CONFIG_LIMITS: JsonLimits = { depth: 32, values: 100_000 };
/** Files that a message lists. */
const SHOWN = 8;

const layoutOf = (stem: string, torchStem = stem): string[] => [
  `${stem}.safetensors.index.json`,
  `${stem}.safetensors`,
  `${torchStem}.bin.index.json`,
  `${torchStem}.bin`,
];
const PREFERRED: readonly string[] = [
  '.metadata',
  ...layoutOf('model', 'pytorch_model'),
  ...layoutOf('diffusion_pytorch_model'),
  'adapter_model.safetensors',
  'adapter_model.bin',
];
const INDEX = /\.(safetensors|bin)\.index\.json$/;
const WEIGHTS = /\.(safetensors|pth|pt|bin|ckpt|tar|npz|npy|pt2|ptl)$/i;
/** What trainers save beside the weights, and the caches of tokenizers. */
const BESIDE =
  /^(training_args\.bin|(optimizer|scheduler|scaler|sampler)(_\d+)?\.(pt|bin|pth)|rng_state.*|random_states.*|.*\.tar\.gz)$/;

const namesIn = (folder: string): { files: string[]; folders: string[] } => {
  let entries: Dirent[];
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch (cause) {
    throw new OrthoError('file/not-found', `${folder}: ${(cause as NodeJS.ErrnoException).code}`, {
      hint: 'check the permissions of the folder',
      at: { file: folder },
      cause,
    });
  }
  const sorted = entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    files: sorted.filter((entry) => !entry.isDirectory()).map(({ name }) => name),
    folders: sorted.filter((entry) => entry.isDirectory()).map(({ name }) => name),
  };
};

const isCandidate = (name: string): boolean => WEIGHTS.test(name) && !BESIDE.test(name);

const listed = (names: readonly string[]): string =>
  names.length > SHOWN
    ? `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`
    : names.join(', ');

const noWeights = (folder: string, folders: readonly string[]): OrthoError => {
  const inner = folders.filter((name) => {
    try {
      return namesIn(join(folder, name)).files.some((file) => isCandidate(file) || INDEX.test(file));
    } catch {
      return false;
    }
  });
  return new OrthoError('file/unknown-format', `${folder}: no weights in this folder`, {
    hint:
      inner.length > 0
        ? `give one of its folders: ${listed(inner)}`
        : 'give a weight file, or a folder with one (model.safetensors, pytorch_model.bin, an index of shards)',
    at: { file: folder },
  });
};

const ambiguous = (folder: string, names: readonly string[]): OrthoError => {
  const areShards = names.every((name) => /-\d{5}-of-\d{5}\./.test(name));
  return new OrthoError('file/ambiguous', `${folder}: ${names.length} weight files: ${listed(names)}`, {
    hint: areShards
      ? 'these are shards; their index (….index.json) is missing'
      : 'give one of them, or name it model.safetensors',
    at: { file: folder },
  });
};

/** The name of what is opened (all of them: files of one tensor), and the weight files beside it that are not. */
const choose = (folder: string): { name: string | string[]; others: string[] } => {
  const { files, folders } = namesIn(folder);
  const candidates = files.filter(isCandidate);
  const indexes = files.filter((name) => INDEX.test(name));
  const preferred = PREFERRED.find((name) => files.includes(name));
  const known = PREFERRED.filter((name) => name !== preferred && files.includes(name));
  if (preferred !== undefined) return { name: preferred, others: known };
  if (indexes.length > 1) throw ambiguous(folder, indexes);
  if (indexes.length === 1) return { name: indexes[0]!, others: [] };
  if (areRankShards(candidates)) return { name: candidates, others: [] };
  if (candidates.length > 1) throw ambiguous(folder, candidates);
  if (candidates.length === 0) throw noWeights(folder, folders);
  return { name: candidates[0]!, others: [] };
};

/** The content of config.json, and what is wrong with it; neither where there is none. */
const readConfig = (folder: string): { config?: Json; finding?: Finding } => {
  const path = join(folder, 'config.json');
  const invalid = (message: string, cause?: unknown): OrthoError =>
    new OrthoError('checkpoint/invalid', message, cause === undefined ? {} : { cause });
  try {
    if (!namesIn(folder).files.includes('config.json')) return {};
    const source = new FileSource(locateInside(folder, 'config.json', folder));
    try {
      if (source.size > MAX_CONFIG) throw invalid(`it has ${source.size} bytes (at most ${MAX_CONFIG})`);
      return { config: parseStrictJson(source.read(0, source.size), CONFIG_LIMITS, invalid) as Json };
    } finally {
      source.close();
    }
  } catch (error) {
    if (!(error instanceof OrthoError)) throw error;
    return {
      finding: {
        level: 'warning',
        rule: 'config-unreadable',
        message: `config.json was left out: ${error.message}`,
        at: { file: path },
      },
    };
  }
};

/**
 * Opens the weights of a folder; `openFile` opens what was chosen.
 * @throws OrthoError file/not-found, file/unknown-format without weights, file/ambiguous, and what opening throws
 */
export const openWeightFolder = (folder: string, openFile: (path: string) => WeightFile): WeightFile => {
  const { name, others } = choose(folder);
  const file =
    typeof name === 'string' ? openFile(locateInside(folder, name, folder)) : openRankShards(folder, name);
  const { config, finding } = readConfig(folder);
  const findings: Finding[] = [...file.findings, ...(finding === undefined ? [] : [finding])];
  if (others.length > 0) {
    findings.push({
      level: 'note',
      rule: 'other-weights',
      message: `"${String(name)}" was taken; the folder also has ${listed(others)}`,
      hint: 'give the file itself to take another one',
      at: { file: folder },
    });
  }
  const metadata =
    config === undefined || file.metadata.has('config')
      ? file.metadata
      : new Map([...file.metadata, ['config', config] as const]);
  return { ...file, findings, metadata };
};
