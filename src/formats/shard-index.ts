/**
 * Sharded checkpoints as Hugging Face's libraries write them: `model.safetensors.index.json` or
 * `pytorch_model.bin.index.json` maps every key to the file that holds it. The shards become one state dict, in the
 * order of the index; at most a bounded number of them is open at a time.
 *
 * Damage is an error: a shard that is missing, a key that its shard lacks, a path that leaves the folder. What can be
 * shown without guessing is a finding: tensors that the index leaves out, another total size.
 */
import { readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { FilePool, FileSource } from '../core/source.ts';
import { locateInside } from './inside-folder.ts';
import type {
  GlobalKind,
  GlobalUse,
  Json,
  OpenOptions,
  RefusedReason,
  WeightFile,
  WeightTensor,
} from './state-dict.ts';
import { type JsonLimits, parseStrictJson } from './strict-json.ts';

/** Bytes of an index: a line a tensor; the largest published ones have a few hundred thousand. */
const MAX_INDEX = 32 * 1024 * 1024;
const MAX_SHARDS = 10_000;
/** Keys of an index, and anything that its metadata says; tensors of all its shards. */
const MAX_KEYS = 500_000;
/** Letters of one key. */
const MAX_KEY = 4096;
/** `{metadata: {…}, weight_map: {…}}`, with some room in the metadata. */
const INDEX_LIMITS: JsonLimits = { depth: 16, values: MAX_KEYS };
/** How many keys or files a message lists. */
const SHOWN = 5;

/** Opens one file; the pool decides when it is really open. */
export type OpenShard = (path: string, pool: FilePool) => WeightFile;

const listed = (names: readonly string[]): string => {
  const shown = names.slice(0, SHOWN).map((name) => `"${name}"`);
  return names.length > SHOWN ? `${shown.join(', ')} and ${names.length - SHOWN} more` : shown.join(', ');
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

interface ShardIndex {
  /** Key to file name. */
  readonly weightMap: ReadonlyMap<string, string>;
  readonly metadata: ReadonlyMap<string, Json>;
}

const readIndex = (path: string): ShardIndex => {
  const invalid = (message: string, cause?: unknown): OrthoError =>
    new OrthoError('checkpoint/invalid', `${path}: ${message}`, {
      hint: 'an index maps every key to a file: {"metadata": {}, "weight_map": {"KEY": "FILE"}}',
      at: { file: path },
      ...(cause === undefined ? {} : { cause }),
    });
  const source = new FileSource(path);
  try {
    if (source.size > MAX_INDEX) {
      throw new OrthoError('file/limit', `${path}: an index of ${source.size} bytes (at most ${MAX_INDEX})`);
    }
    const value = parseStrictJson(source.read(0, source.size), INDEX_LIMITS, invalid);
    if (!isRecord(value)) throw invalid('it is no JSON object');
    const { weight_map: map, metadata = {} } = value;
    if (!isRecord(map)) throw invalid('it has no "weight_map"');
    const weightMap = new Map<string, string>();
    for (const [key, file] of Object.entries(map)) {
      if (typeof file !== 'string') {
        throw invalid(`the file of "${key.slice(0, 200)}" is ${JSON.stringify(file).slice(0, 200)}`);
      }
      if (key.length > MAX_KEY) throw invalid(`a key of ${key.length} letters (at most ${MAX_KEY})`);
      weightMap.set(key, file);
    }
    if (weightMap.size === 0) throw invalid('its "weight_map" is empty');
    if (!isRecord(metadata)) throw invalid('its "metadata" is no object');
    return { weightMap, metadata: new Map(Object.entries(metadata as Record<string, Json>)) };
  } finally {
    source.close();
  }
};

/** Entries that all shards have alike (safetensors' `format`). */
const commonMetadata = (shards: readonly WeightFile[]): [string, Json][] =>
  [...(shards[0]?.metadata ?? [])].filter(([key, value]) =>
    shards.every((shard) => JSON.stringify(shard.metadata.get(key)) === JSON.stringify(value)),
  );

/** From harmless to worst. */
const KINDS: readonly GlobalKind[] = ['data', 'opaque', 'dangerous'];

/** The globals of all files: calls added up, each as what it is at its worst. */
export const mergedGlobals = (files: readonly Pick<WeightFile, 'globals'>[]): GlobalUse[] => {
  const merged = new Map<string, GlobalUse>();
  for (const { globals } of files) {
    for (const use of globals) {
      const known = merged.get(use.name);
      const isWorse = known === undefined || KINDS.indexOf(use.kind) > KINDS.indexOf(known.kind);
      merged.set(use.name, { ...(isWorse ? use : known), calls: use.calls + (known?.calls ?? 0) });
    }
  }
  return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
};

interface Shard {
  readonly name: string;
  readonly file: WeightFile;
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  readonly refused: ReadonlyMap<string, RefusedReason>;
}

/** The tensors of all shards in the order of the index; aliases name the first key of their group in that order. */
const joined = (
  index: ShardIndex,
  shards: ReadonlyMap<string, Shard>,
  path: string,
): { tensors: Map<string, WeightTensor>; refused: Map<string, RefusedReason> } => {
  const tensors = new Map<string, WeightTensor>();
  const refused = new Map<string, RefusedReason>();
  const owners = new Map<Shard, Map<string, string>>();
  const missing: string[] = [];
  let where = '';
  for (const [key, name] of index.weightMap) {
    const shard = shards.get(name)!;
    const tensor = shard.tensors.get(key);
    if (tensor === undefined) {
      const reason = shard.refused.get(key);
      if (reason !== undefined) refused.set(key, reason);
      else {
        missing.push(key);
        where ||= name;
      }
      continue;
    }
    const groups = owners.get(shard) ?? new Map<string, string>();
    owners.set(shard, groups);
    const group = tensor.sharedWith ?? key;
    const owner = groups.get(group);
    const { sharedWith: _, ...own } = tensor;
    if (owner === undefined) groups.set(group, key);
    tensors.set(key, owner === undefined ? own : { ...own, sharedWith: owner });
  }
  if (missing.length > 0) {
    throw new OrthoError(
      'checkpoint/invalid',
      `${path}: the shards lack keys that the index names: ${listed(missing)} (expected in "${where}")`,
      {
        hint: 'the index and the shards belong to different checkpoints; download them together',
        at: { file: path },
      },
    );
  }
  return { tensors, refused };
};

/** What the shards hold beyond the index, and whether the stated size is right. */
const indexFindings = (
  index: ShardIndex,
  shards: ReadonlyMap<string, Shard>,
  tensors: ReadonlyMap<string, WeightTensor>,
  path: string,
): Finding[] => {
  const findings: Finding[] = [];
  for (const [name, shard] of shards) {
    const extra = [...shard.tensors.keys()].filter((key) => index.weightMap.get(key) !== name);
    if (extra.length === 0) continue;
    findings.push({
      level: 'warning',
      rule: 'unlisted-tensors',
      message: `"${name}" holds tensors that the index does not place there; they were left out: ${listed(extra)}`,
      at: { file: path },
    });
  }
  const suffix = /\.index\.json$/.test(path)
    ? basename(path).replace(/^.*?(\.[^.]+)\.index\.json$/, '$1')
    : '';
  const strays = readdirSync(dirname(path)).filter(
    (name) => /-\d{5}-of-\d{5}\./.test(name) && name.endsWith(suffix) && suffix !== '' && !shards.has(name),
  );
  if (strays.length > 0) {
    findings.push({
      level: 'warning',
      rule: 'unlisted-shards',
      message: `the index does not name these shards beside it; they were not read: ${listed(strays.sort())}`,
      at: { file: path },
    });
  }
  const sizes = [...tensors.values()].map(({ data, sharedWith }) => ({
    bytes: data.size,
    isOwn: !sharedWith,
  }));
  const all = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  const own = sizes.reduce((sum, { bytes, isOwn }) => sum + (isOwn ? bytes : 0), 0);
  const stated = index.metadata.get('total_size');
  // Writers disagree whether a shared tensor counts once.
  if (stated !== undefined && stated !== all && stated !== own) {
    findings.push({
      level: 'warning',
      rule: 'total-size',
      message: `the index states ${JSON.stringify(stated)} bytes in all, the tensors have ${own}`,
      hint: 'a shard may be of another version; download the checkpoint again',
      at: { file: path },
    });
  }
  return findings;
};

/**
 * Opens a set of shards by its index.
 * @throws OrthoError checkpoint/invalid, file/limit, and what opening a shard throws
 */
export const openShardIndex = (path: string, _: OpenOptions, openShard: OpenShard): WeightFile => {
  const index = readIndex(path);
  const names = [...new Set(index.weightMap.values())];
  if (names.length > MAX_SHARDS) {
    throw new OrthoError('file/limit', `${path}: ${names.length} shards (at most ${MAX_SHARDS})`);
  }
  const pool = new FilePool();
  const shards = new Map<string, Shard>();
  let held = 0;
  const close = (): void => {
    for (const { file } of shards.values()) file.close();
  };
  try {
    for (const name of names) {
      const file = openShard(locateInside(dirname(path), name, path), pool);
      const { tensors = new Map(), refused = new Map() } = file.stateDicts[0] ?? {};
      held += tensors.size + refused.size;
      if (held > MAX_KEYS) {
        file.close();
        throw new OrthoError('file/limit', `${path}: its shards hold more than ${MAX_KEYS} tensors`, {
          hint: 'no model has as many; the index may name one file again and again',
          at: { file: path },
        });
      }
      shards.set(name, { name, file, tensors, refused });
    }
    const files = [...shards.values()].map(({ file }) => file);
    const { tensors, refused } = joined(index, shards, path);
    const metadata = new Map(commonMetadata(files));
    // The total size follows from the tensors.
    const stated = [...index.metadata].filter(([key]) => key !== 'total_size');
    if (stated.length > 0) metadata.set('index', Object.fromEntries(stated));
    return {
      format: files[0]!.format,
      stateDicts: [{ path: '', tensors, ...(refused.size === 0 ? {} : { refused }) }],
      globals: mergedGlobals(files),
      metadata,
      findings: [
        ...files.flatMap(({ findings }) => findings),
        ...indexFindings(index, shards, tensors, path),
      ],
      checkIntegrity: () => files.flatMap((file) => file.checkIntegrity?.() ?? []),
      readFaults: () => files.flatMap((file) => file.readFaults?.() ?? []),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
};
