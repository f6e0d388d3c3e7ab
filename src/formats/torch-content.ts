/**
 * From the object of a PyTorch pickle to state dicts and metadata. All walks are iterative, visit every container once
 * (pickles may be cyclic) and stop at documented depths.
 *
 * What counts as a state dict:
 *  - a dict with string keys, more than half of whose values are tensors, and none of whose values is one itself
 *    (so `{state_dict: {...}, best_acc: tensor}` is a checkpoint around a state dict);
 *  - where nothing else is one: the tensors of the outermost dict, however few;
 *  - a pickled torch.nn.Module: its `_parameters` and persistent `_buffers`, through `_modules`;
 *  - a bare tensor, and the tensors of a list, under the names `tensor` and `0`, `1`, ….
 * Optimizer states (dicts with `state` and `param_groups`) are none.
 *
 * The order of several is that of state-dict-order.ts.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { Tensor } from '../core/tensor.ts';
import { toJson } from './pickle-json.ts';
import { NumpyArray } from './pickle-numpy.ts';
import {
  PickleDict,
  PickleObject,
  PickleSet,
  PickleTuple,
  type PickleValue,
  textOf,
} from './pickle-values.ts';
import type { Json, StateDict, WeightTensor } from './state-dict.ts';
import { stateDictRank } from './state-dict-order.ts';
import { storageFindings } from './storage-use.ts';
import { RefusedTensor, TensorRecord, tensorFromRecord } from './torch-tensor.ts';

/** How deep state dicts are looked for; Lightning and mmcv nest three levels. */
const MAX_DEPTH = 16;
/** How deep the modules of one pickled model nest, and how many there are, shared ones counted each time. */
const MAX_MODULE_DEPTH = 100;
const MAX_MODULES = 100_000;
/** Letters of all keys of one module together. */
const MAX_KEY_LETTERS = 16 * 1024 * 1024;

export type TensorLike = TensorRecord | RefusedTensor | NumpyArray;
export const isTensor = (value: PickleValue | undefined): value is TensorLike =>
  value instanceof TensorRecord || value instanceof RefusedTensor || value instanceof NumpyArray;

/** Tensors that form a state dict, and where. */
interface Found {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorLike>;
}

export interface TorchContent {
  readonly stateDicts: readonly StateDict[];
  readonly metadata: ReadonlyMap<string, Json>;
  readonly findings: readonly Finding[];
  /** Whether the file holds a pickled module, whose classes and calls are recorded and never run. */
  readonly hasModule: boolean;
}

const dictOf = (value: PickleValue | undefined): ReadonlyMap<PickleValue, PickleValue> | undefined => {
  if (value instanceof PickleDict) return value.entries;
  return value instanceof PickleObject ? value.entries : undefined;
};

const isModule = (value: PickleValue): value is PickleObject =>
  value instanceof PickleObject &&
  dictOf(value.attribute('_modules')) !== undefined &&
  dictOf(value.attribute('_parameters')) !== undefined;

const isOptimizer = (entries: ReadonlyMap<PickleValue, PickleValue>): boolean =>
  entries.has('param_groups') && entries.has('state');

/** The tensors of a dict with string keys, when they are more than `share` of it. */
const tensorsOfDict = (
  entries: ReadonlyMap<PickleValue, PickleValue>,
  share = 0.5,
): Map<string, TensorLike> | undefined => {
  const tensors = new Map<string, TensorLike>();
  for (const [key, value] of entries) {
    if (typeof key !== 'string') return undefined;
    if (isTensor(value)) tensors.set(key, value);
  }
  return tensors.size > entries.size * share ? tensors : undefined;
};

/** What torch's Module.state_dict() would list, in its order: parameters, buffers, then children. */
const tensorsOfModule = (root: PickleObject): Map<string, TensorLike> => {
  const tensors = new Map<string, TensorLike>();
  const open = new Set<PickleObject>();
  const steps: { module: PickleObject; prefix: string; leave: boolean; depth: number }[] = [
    { module: root, prefix: '', leave: false, depth: 0 },
  ];
  let visited = 0;
  let letters = 0;
  for (let step = steps.pop(); step !== undefined && visited < MAX_MODULES; step = steps.pop()) {
    const { module, prefix, leave, depth } = step;
    if (leave) {
      open.delete(module);
      continue;
    }
    if (open.has(module) || depth > MAX_MODULE_DEPTH) continue;
    open.add(module);
    visited++;
    letters += prefix.length;
    if (letters > MAX_KEY_LETTERS) {
      throw new OrthoError('file/limit', 'the keys of the pickled model are too long', {
        hint: 'no real module nests like this; the file is hostile',
      });
    }
    steps.push({ module, prefix, leave: true, depth });
    const skipped = module.attribute('_non_persistent_buffers_set');
    const hidden = new Set(skipped instanceof PickleSet ? skipped.items : []);
    for (const [name, value] of dictOf(module.attribute('_parameters')) ?? []) {
      if (isTensor(value)) tensors.set(`${prefix}${textOf(name)}`, value);
    }
    for (const [name, value] of dictOf(module.attribute('_buffers')) ?? []) {
      if (isTensor(value) && !hidden.has(name)) tensors.set(`${prefix}${textOf(name)}`, value);
    }
    const children = [...(dictOf(module.attribute('_modules')) ?? [])].reverse();
    for (const [name, child] of children) {
      if (!isModule(child)) continue;
      steps.push({ module: child, prefix: `${prefix}${textOf(name)}.`, leave: false, depth: depth + 1 });
    }
  }
  return tensors;
};

const join = (path: string, key: PickleValue): string =>
  path === '' ? textOf(key) : `${path}.${textOf(key)}`;

/** Every state dict under `root`, in file order. */
const findAll = (
  root: PickleValue,
): { found: Found[]; hasModule: boolean; claimed: Map<PickleValue, string> } => {
  const found: Found[] = [];
  const claimed = new Map<PickleValue, string>();
  let hasModule = false;
  const seen = new Set<PickleValue>();
  const work: { value: PickleValue; path: string; depth: number }[] = [{ value: root, path: '', depth: 0 }];
  if (isTensor(root))
    return { found: [{ path: '', entries: new Map([['tensor', root]]) }], hasModule, claimed };
  for (let item = work.pop(); item !== undefined; item = work.pop()) {
    const { value, path, depth } = item;
    if (typeof value !== 'object' || value === null || seen.has(value) || depth > MAX_DEPTH) continue;
    seen.add(value);
    if (isModule(value)) {
      hasModule = true;
      const entries = tensorsOfModule(value);
      claimed.set(value, 'state dict');
      if (entries.size > 0) found.push({ path, entries });
      continue;
    }
    const entries = dictOf(value);
    const list = listOf(value);
    if (entries !== undefined) {
      if (isOptimizer(entries)) {
        const state = dictOf(entries.get('state'));
        if (state !== undefined) claimed.set(entries.get('state')!, `state of ${state.size} parameters`);
        continue;
      }
      const tensors = tensorsOfDict(entries);
      const nested = [...entries].filter(([, inner]) => isContainer(inner));
      if (tensors !== undefined && !nested.some(([, inner]) => holdsStateDict(inner))) {
        claimed.set(value, 'state dict');
        found.push({ path, entries: tensors });
        continue;
      }
      for (const [key, inner] of nested.reverse())
        work.push({ value: inner, path: join(path, key), depth: depth + 1 });
    } else if (list !== undefined) {
      const tensors = new Map<string, TensorLike>();
      list.forEach((each, i) => {
        if (isTensor(each)) tensors.set(String(i), each);
      });
      if (tensors.size > 0 && path === '') found.push({ path, entries: tensors });
      [...list.entries()].reverse().forEach(([i, inner]) => {
        if (isContainer(inner)) work.push({ value: inner, path: join(path, i), depth: depth + 1 });
      });
    } else if (value instanceof PickleObject) {
      for (const [key, inner] of dictOf(value.state) ?? []) {
        if (isContainer(inner)) work.push({ value: inner, path: join(path, key), depth: depth + 1 });
      }
    }
  }
  const outermost = found.length === 0 ? dictOf(root) : undefined;
  const few = outermost === undefined ? undefined : tensorsOfDict(outermost, 0);
  if (few !== undefined) {
    claimed.set(root, 'state dict');
    found.push({ path: '', entries: few });
  }
  return { found, hasModule, claimed };
};

const listOf = (value: PickleValue): readonly PickleValue[] | undefined => {
  if (Array.isArray(value)) return value as PickleValue[];
  return value instanceof PickleTuple ? value.items : undefined;
};
const isContainer = (value: PickleValue): boolean =>
  Array.isArray(value) ||
  value instanceof PickleDict ||
  value instanceof PickleTuple ||
  value instanceof PickleObject;
const holdsStateDict = (value: PickleValue): boolean => {
  const entries = dictOf(value);
  return isModule(value) || (entries !== undefined && tensorsOfDict(entries) !== undefined);
};

/** Tensors with their aliases named; refused ones become findings and are left out. */
export const toStateDict = ({ path, entries }: Found, label: string, findings: Finding[]): StateDict => {
  const tensors = new Map<string, WeightTensor>();
  const views = new Map<string | NumpyArray, string>();
  for (const [key, value] of entries) {
    const tensor = tensorOf(value);
    if (tensor instanceof RefusedTensor) {
      findings.push({
        level: 'warning',
        rule: 'refused-tensor',
        message: `"${key}" is ${tensor.what}; it was left out`,
        hint: tensor.hint,
        at: { file: label, key },
      });
      continue;
    }
    const view = value instanceof TensorRecord ? value.viewKey : (value as NumpyArray);
    const first = views.get(view);
    const shared = first === undefined ? undefined : tensors.get(first);
    if (first === undefined || shared === undefined) {
      views.set(view, key);
      tensors.set(key, tensor);
    } else tensors.set(key, { ...shared, sharedWith: first });
  }
  return { path, tensors };
};

const tensorOf = (value: TensorLike): Tensor | RefusedTensor => {
  if (value instanceof TensorRecord) return tensorFromRecord(value);
  if (value instanceof RefusedTensor) return value;
  if (value.tensor !== undefined) return value.tensor;
  return new RefusedTensor(value.refused ?? 'an empty numpy array', 'save it as a plain numeric array');
};

/** What the object of a pickle holds; `label` names the file in findings. Storages must have their data by now. */
export const contentOf = (root: PickleValue, label: string): TorchContent => {
  const { found, hasModule, claimed } = findAll(root);
  const findings: Finding[] = [];
  const ordered = found
    .map((each, index) => ({ each, index, rank: stateDictRank(each.path) }))
    .sort((a, b) => a.rank - b.rank || a.index - b.index)
    .map(({ each }) => each);
  const stateDicts = ordered
    .map((each) => toStateDict(each, label, findings))
    .filter(({ tensors }) => tensors.size > 0);
  const records = ordered.flatMap(({ entries }) =>
    [...entries].flatMap(([key, value]) => (value instanceof TensorRecord ? [[key, value] as const] : [])),
  );
  findings.push(...storageFindings(records, label));
  if (stateDicts.length === 0) {
    findings.push({
      level: 'warning',
      rule: 'no-tensors',
      message: 'the checkpoint holds no state dict that can be read',
      at: { file: label },
    });
  }
  const metadata = new Map<string, Json>();
  const top = dictOf(root);
  if (top !== undefined) {
    for (const [key, value] of top) {
      if (claimed.get(value) === 'state dict' || (claimed.has(root) && isTensor(value))) continue;
      metadata.set(textOf(key), toJson(value, claimed));
    }
  }
  return { stateDicts, metadata, findings, hasModule };
};
