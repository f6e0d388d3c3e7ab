/**
 * From the object of a PyTorch pickle to state dicts and metadata. torch-structure.ts says what counts as a state dict,
 * state-dict-order.ts in what order they come.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { Tensor } from '../core/tensor.ts';
import { toJson } from './pickle-json.ts';
import { NumpyArray } from './pickle-numpy.ts';
import { PickleObject, type PickleValue, textOf } from './pickle-values.ts';
import type { Json, RefusedReason, StateDict, WeightTensor } from './state-dict.ts';
import { stateDictRank } from './state-dict-order.ts';
import { storageFindings } from './storage-use.ts';
import { dictOf, type Found, findStateDicts, type TensorLike } from './torch-structure.ts';
import {
  ConvertedTensor,
  RefusedTensor,
  StorageRecord,
  TensorRecord,
  tensorFromRecord,
  tensorOfStorage,
} from './torch-tensor.ts';

/** Bytes that the tensors of one state dict may have beyond those of their storages (expanded, overlapping, sparse). */
const MAX_BEYOND_STORAGES = 4 * 1024 * 1024 * 1024;
/** Letters of one key. */
const MAX_KEY = 4096;
/** Keys that one finding names, and findings about single keys. */
const MAX_NAMED = 5;
const MAX_FINDINGS = 20;

export interface TorchContent {
  readonly stateDicts: readonly StateDict[];
  readonly metadata: ReadonlyMap<string, Json>;
  readonly findings: readonly Finding[];
  /** Whether the file holds a pickled module, whose classes and calls are recorded and never run. */
  readonly hasModule: boolean;
}

const named = (keys: readonly string[]): string => {
  const shown = keys.slice(0, MAX_NAMED).map((key) => `"${textOf(key)}"`);
  return keys.length > MAX_NAMED
    ? `${shown.join(', ')} and ${keys.length - MAX_NAMED} more`
    : shown.join(', ');
};

const refusedFindings = (refused: ReadonlyMap<string, RefusedReason>, label: string): Finding[] => {
  const findings = [...refused].slice(0, MAX_FINDINGS).map(
    ([key, { what, hint }]): Finding => ({
      level: 'warning',
      rule: 'refused-tensor',
      message: `"${textOf(key)}" is ${what}; it cannot be read`,
      hint,
      at: { file: label, key },
    }),
  );
  const others = [...refused.keys()].slice(MAX_FINDINGS);
  if (others.length > 0) {
    findings.push({
      level: 'warning',
      rule: 'refused-tensor',
      message: `${others.length} more tensors cannot be read: ${named(others)}`,
      at: { file: label },
    });
  }
  return findings;
};

/** One note for each kind of tensors that are read in another form than the file's. */
const convertedFindings = (entries: Found['entries'], label: string): Finding[] => {
  const kinds = new Map<string, { form: string; keys: string[] }>();
  for (const [key, value] of entries) {
    if (!(value instanceof ConvertedTensor)) continue;
    const kind = kinds.get(value.what) ?? { form: value.form, keys: [] };
    kinds.set(value.what, kind);
    kind.keys.push(key);
  }
  return [...kinds].map(([what, { form, keys }]) => ({
    level: 'note',
    rule: 'converted-tensor',
    message: `${what}, read as ${form}: ${named(keys)}`,
    at: { file: label },
  }));
};

/** Two values with equal keys show the same elements. */
const viewKeyOf = (value: TensorLike): PickleValue => {
  if (value instanceof TensorRecord) return value.viewKey;
  return value instanceof StorageRecord ? `storage ${value.key}` : value;
};

const tensorOf = (value: TensorLike): Tensor | RefusedTensor => {
  if (value instanceof TensorRecord) return tensorFromRecord(value);
  if (value instanceof StorageRecord) return tensorOfStorage(value);
  if (value instanceof ConvertedTensor) return value.tensor;
  if (value instanceof RefusedTensor) return value;
  if (value.tensor !== undefined) return value.tensor;
  return new RefusedTensor(value.refused ?? 'an empty numpy array', 'save it as a plain numeric array');
};

/** A small file must not stand for endless tensors. @throws OrthoError file/limit */
const checkAmount = (bytes: number, { entries, path }: Found, label: string): void => {
  const storages = new Set(
    [...entries.values()].flatMap((value) => (value instanceof TensorRecord ? [value.storage] : [])),
  );
  let stored = 0;
  for (const { byteLength } of storages) stored += byteLength;
  // Arrays have bytes of their own.
  for (const value of entries.values())
    if (value instanceof NumpyArray) stored += value.tensor?.data.size ?? 0;
  if (bytes <= stored + MAX_BEYOND_STORAGES) return;
  throw new OrthoError(
    'file/limit',
    `${label}: the tensors of the state dict "${textOf(path)}" pretend to have ${bytes} bytes over storages of ${stored}`,
    { hint: 'save its tensors unexpanded and dense' },
  );
};

/**
 * Tensors with their aliases named, refused ones apart; findings about both are added to `findings`.
 * @throws OrthoError file/limit
 */
export const toStateDict = (found: Found, label: string, findings: Finding[]): StateDict => {
  const { path, entries } = found;
  const tensors = new Map<string, WeightTensor>();
  const refused = new Map<string, RefusedReason>();
  const views = new Map<PickleValue, string>();
  const seen = new Map<TensorLike, string>();
  let bytes = 0;
  for (const [key, value] of entries) {
    if (key.length > MAX_KEY) {
      throw new OrthoError('file/limit', `${label}: a key of ${key.length} letters (at most ${MAX_KEY})`, {
        hint: 'no real model nests like this; the file is hostile',
        at: { file: label },
      });
    }
    const known = tensors.get(seen.get(value) ?? key);
    if (known !== undefined) {
      tensors.set(key, { ...known, sharedWith: seen.get(value)! });
      continue;
    }
    const tensor = tensorOf(value);
    if (tensor instanceof RefusedTensor) {
      refused.set(key, { what: tensor.what, hint: tensor.hint });
      continue;
    }
    const view = viewKeyOf(value);
    const first = views.get(view);
    const shared = first === undefined ? undefined : tensors.get(first);
    if (first === undefined || shared === undefined) {
      views.set(view, key);
      seen.set(value, key);
      tensors.set(key, tensor);
      bytes += tensor.data.size;
    } else tensors.set(key, { ...shared, sharedWith: first });
  }
  checkAmount(bytes, found, label);
  for (const [key, reason] of found.opaque ?? []) refused.set(key, reason);
  findings.push(...refusedFindings(refused, label), ...convertedFindings(entries, label));
  return refused.size === 0 ? { path, tensors } : { path, tensors, refused };
};

/** The entries of the outermost object, or its attributes. */
const topOf = (root: PickleValue): Iterable<readonly [PickleValue, PickleValue]> => {
  const isPlainObject = root instanceof PickleObject && root.entries === undefined;
  return dictOf(isPlainObject ? (root.state ?? null) : root) ?? [];
};

/** What lies beside the state dicts, in the outermost dict. */
const metadataOf = (
  root: PickleValue,
  claimed: ReadonlyMap<PickleValue, string>,
  found: readonly Found[],
): Map<string, Json> => {
  const metadata = new Map<string, Json>();
  const isClaimed = claimed.get(root) === 'state dict';
  const shown = isClaimed ? new Set(found.find(({ path }) => path === '')?.others) : undefined;
  for (const [name, value] of topOf(root)) {
    const key = textOf(name);
    if (claimed.get(value) === 'state dict' || shown?.has(key) === false) continue;
    metadata.set(key, toJson(value, claimed));
  }
  return metadata;
};

/** Values of state dicts that are no tensors, where metadata does not show them. */
const otherFindings = (found: readonly Found[], label: string): Finding[] =>
  found
    .filter(({ path, others = [] }) => path !== '' && others.length > 0)
    .map(({ path, others = [] }) => ({
      level: 'note',
      rule: 'no-tensor-entries',
      message: `the state dict "${textOf(path)}" has ${others.length} values that are no tensors: ${named(others)}`,
      at: { file: label },
    }));

/**
 * What the object of a pickle holds; `label` names the file in findings. Storages must have their data by now.
 * @throws OrthoError file/limit, and checkpoint/unsupported when two tensors of a state dict would get one key
 */
export const contentOf = (root: PickleValue, label: string): TorchContent => {
  const { found, hasModule, claimed, isCut } = findStateDicts(root, label);
  const findings: Finding[] = [];
  const ordered = found
    .map((each, index) => ({ each, index, rank: stateDictRank(each.path) }))
    .sort(
      (a, b) =>
        Number(a.each.isRest ?? false) - Number(b.each.isRest ?? false) ||
        a.rank - b.rank ||
        a.index - b.index,
    )
    .map(({ each }) => each);
  const stateDicts = ordered
    .map((each) => toStateDict(each, label, findings))
    .filter(({ tensors, refused }) => tensors.size > 0 || refused !== undefined);
  const records = ordered.flatMap(({ entries }) =>
    [...entries].flatMap(([key, value]) => (value instanceof TensorRecord ? [[key, value] as const] : [])),
  );
  findings.push(...storageFindings(records, label), ...otherFindings(ordered, label));
  if (stateDicts.every(({ tensors }) => tensors.size === 0)) {
    findings.push({
      level: 'warning',
      rule: 'no-tensors',
      message: 'the checkpoint holds no state dict that can be read',
      at: { file: label },
    });
  }
  if (isCut) {
    findings.push({
      level: 'warning',
      rule: 'nested-too-deep',
      message: 'the checkpoint nests too deep; what lies at the bottom was not looked at',
      at: { file: label },
    });
  }
  return { stateDicts, metadata: metadataOf(root, claimed, found), findings, hasModule };
};
