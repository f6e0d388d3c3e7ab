/**
 * Where the state dicts of a PyTorch pickle are. All walks are iterative, visit every container once (pickles may be
 * cyclic) and stop at documented depths.
 *
 * What counts as a state dict:
 *  - a dict whose keys are strings or integers (listed as text), more than half of whose values are tensors or tuples of
 *    tensors, and none of whose values is a state dict itself (so `{state_dict: {...}, best_acc: tensor}` is a checkpoint
 *    around a state dict); tensors of its tuples and lists are listed as `key.0`, `key.1`, …;
 *  - a pickled torch.nn.Module: its `_parameters` and persistent `_buffers`, through `_modules`;
 *  - a bare tensor, under the name `tensor`;
 *  - where nothing else is one: the tensors of the outermost dict, however few, and of the outermost list or tuple, under
 *    `0`, `1`, ….
 * What is taken last, after all others: lists that are more than half tensors (averaged parameters), and the tensors with
 * more than one element that lie beside a state dict.
 * Optimizer states (dicts with `state` and `param_groups`) are none. A storage counts as a tensor of one dimension.
 */
import { OrthoError } from '../core/errors.ts';
import { NumpyArray } from './pickle-numpy.ts';
import {
  childrenOf,
  PickleDict,
  PickleObject,
  PickleSet,
  PickleTuple,
  type PickleValue,
  textOf,
} from './pickle-values.ts';
import type { RefusedReason } from './state-dict.ts';
import { ConvertedTensor, RefusedTensor, StorageRecord, TensorRecord } from './torch-tensor.ts';

/** How deep state dicts are looked for; Lightning and mmcv nest three levels. */
const MAX_DEPTH = 16;
/** How deep the modules of one pickled model nest, and how many there are, shared ones counted each time. */
const MAX_MODULE_DEPTH = 100;
const MAX_MODULES = 50_000;
/** Letters of all keys of one state dict. */
const MAX_KEY_LETTERS = 16 * 1024 * 1024;
/** Values that are looked at to tell whether what lies in a state dict and is no tensor holds some. */
const MAX_SEARCHED = 1_000_000;

export type TensorLike = TensorRecord | RefusedTensor | ConvertedTensor | NumpyArray | StorageRecord;
export const isTensor = (value: PickleValue | undefined): value is TensorLike =>
  value instanceof TensorRecord ||
  value instanceof RefusedTensor ||
  value instanceof ConvertedTensor ||
  value instanceof NumpyArray ||
  value instanceof StorageRecord;

/** Tensors that form a state dict, and where. */
export interface Found {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorLike>;
  /** Entries that are no tensors but hold some, with what they are. */
  readonly opaque?: ReadonlyMap<string, RefusedReason>;
  /** Entries that are neither. */
  readonly others?: readonly string[];
  /** Whether it is only taken where there is nothing better. */
  readonly isRest?: boolean;
}

export interface Structure {
  /** In file order. */
  readonly found: readonly Found[];
  readonly hasModule: boolean;
  /** Containers that metadata need not spell out, and what it says instead. */
  readonly claimed: ReadonlyMap<PickleValue, string>;
  /** Whether containers below MAX_DEPTH were left out. */
  readonly isCut: boolean;
}

export const dictOf = (value: PickleValue | undefined): ReadonlyMap<PickleValue, PickleValue> | undefined => {
  if (value instanceof PickleDict) return value.entries;
  return value instanceof PickleObject ? value.entries : undefined;
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

const isModule = (value: PickleValue): value is PickleObject =>
  value instanceof PickleObject &&
  dictOf(value.attribute('_modules')) !== undefined &&
  dictOf(value.attribute('_parameters')) !== undefined;

const isOptimizer = (entries: ReadonlyMap<PickleValue, PickleValue>): boolean =>
  entries.has('param_groups') && entries.has('state');

/** A key of a state dict in full; keys that are neither text nor integers have none. */
const keyOf = (key: PickleValue): string | undefined => {
  if (typeof key === 'string') return key;
  const isInteger = typeof key === 'bigint' || (typeof key === 'number' && Number.isInteger(key));
  return isInteger ? String(key) : undefined;
};

/** Tensors by key; no two may get the same one, and all keys together stay short. */
class Entries {
  readonly tensors = new Map<string, TensorLike>();
  #letters = 0;

  add(key: string, value: TensorLike): void {
    this.#letters += key.length;
    if (this.#letters > MAX_KEY_LETTERS) {
      throw new OrthoError('file/limit', 'the keys of a state dict are too long', {
        hint: 'no real model nests like this; the file is hostile',
      });
    }
    if (this.tensors.has(key)) {
      throw new OrthoError('checkpoint/unsupported', `two tensors of one state dict are called "${key}"`, {
        hint: 'rename one of them in Python; a key may be written as text and as a number, or with dots and nested',
      });
    }
    this.tensors.set(key, value);
  }
}

const hasTensor = (items: readonly PickleValue[]): boolean => items.some(isTensor);

/** Whether a dict with such entries is a state dict: tensors, and tuples of them, are more than `share` of it. */
const isStateDict = (entries: ReadonlyMap<PickleValue, PickleValue>, share = 0.5): boolean => {
  let tensors = 0;
  for (const [key, value] of entries) {
    if (keyOf(key) === undefined) return false;
    if (isTensor(value) || (value instanceof PickleTuple && hasTensor(value.items))) tensors++;
  }
  return tensors > entries.size * share;
};

/** Tells whether tensors lie anywhere inside a value. What was found to hold none is not looked through again. */
class TensorSearch {
  readonly #without = new Set<PickleValue>();
  #left = MAX_SEARCHED;

  holdsTensors(root: PickleValue): boolean {
    const seen = new Set<PickleValue>();
    const work: PickleValue[] = [root];
    for (let value = work.pop(); value !== undefined; value = work.pop()) {
      if (isTensor(value)) return true;
      if (typeof value !== 'object' || value === null) continue;
      if (seen.has(value) || this.#without.has(value)) continue;
      if (this.#left-- <= 0) return true;
      seen.add(value);
      for (const child of childrenOf(value))
        if (typeof child === 'object' && child !== null) work.push(child);
    }
    for (const value of seen) this.#without.add(value);
    return false;
  }
}

/** What a dict has as a state dict. Values that hold tensors in a way that has no keys are named, and refused. */
const readStateDict = (
  entries: ReadonlyMap<PickleValue, PickleValue>,
  path: string,
  search: TensorSearch,
): Found => {
  const found = new Entries();
  const opaque = new Map<string, RefusedReason>();
  const others: string[] = [];
  for (const [name, value] of entries) {
    const key = keyOf(name) ?? textOf(name);
    const items = listOf(value);
    if (isTensor(value)) found.add(key, value);
    else if (items !== undefined && hasTensor(items)) {
      for (const [i, item] of items.entries()) {
        if (isTensor(item)) found.add(`${key}.${i}`, item);
        else if (search.holdsTensors(item)) opaque.set(`${key}.${i}`, reasonOf(item));
      }
    } else if (isContainer(value) && search.holdsTensors(value)) opaque.set(key, reasonOf(value));
    else others.push(textOf(name));
  }
  return { path, entries: found.tensors, opaque, others };
};

const reasonOf = (value: PickleValue): RefusedReason => ({
  what: `no tensor but ${value instanceof PickleObject ? `an object (${textOf(value.type)})` : `a ${textOf(value)}`} that holds tensors`,
  hint: 'save its tensors under keys of their own',
});

/** What torch's Module.state_dict() would list, in its order: parameters, buffers, then children. */
const tensorsOfModule = (root: PickleObject): ReadonlyMap<string, TensorLike> => {
  const found = new Entries();
  const open = new Set<PickleObject>();
  const steps: { module: PickleObject; prefix: string; leave: boolean; depth: number }[] = [
    { module: root, prefix: '', leave: false, depth: 0 },
  ];
  let visited = 0;
  let letters = 0;
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    const { module, prefix, leave, depth } = step;
    if (leave) {
      open.delete(module);
      continue;
    }
    if (open.has(module)) continue;
    open.add(module);
    visited++;
    letters += prefix.length;
    if (visited > MAX_MODULES || depth > MAX_MODULE_DEPTH || letters > MAX_KEY_LETTERS) {
      throw new OrthoError('file/limit', `the pickled model has too many modules (at ${textOf(prefix)})`, {
        hint: 'no real module nests like this; the file is hostile',
      });
    }
    steps.push({ module, prefix, leave: true, depth });
    const skipped = module.attribute('_non_persistent_buffers_set');
    const hidden = new Set(skipped instanceof PickleSet ? skipped.items : []);
    const nameOf = (name: PickleValue): string => `${prefix}${keyOf(name) ?? textOf(name)}`;
    for (const [name, value] of dictOf(module.attribute('_parameters')) ?? []) {
      if (isTensor(value)) found.add(nameOf(name), value);
    }
    for (const [name, value] of dictOf(module.attribute('_buffers')) ?? []) {
      if (isTensor(value) && !hidden.has(name)) found.add(nameOf(name), value);
    }
    const children = [...(dictOf(module.attribute('_modules')) ?? [])].reverse();
    for (const [name, child] of children) {
      if (!isModule(child)) continue;
      steps.push({ module: child, prefix: `${nameOf(name)}.`, leave: false, depth: depth + 1 });
    }
  }
  return found.tensors;
};

const join = (path: string, key: PickleValue): string =>
  path === '' ? textOf(key) : `${path}.${textOf(key)}`;

const isLarge = (value: TensorLike): boolean => {
  if (value instanceof NumpyArray) return (value.tensor?.dims ?? []).some((dim) => dim > 1);
  return (
    (value instanceof TensorRecord || value instanceof ConvertedTensor) && value.dims.some((dim) => dim > 1)
  );
};

/** The tensors of a list by their places. */
const tensorsOfList = (items: readonly PickleValue[]): ReadonlyMap<string, TensorLike> =>
  new Map([...items.entries()].flatMap(([i, item]) => (isTensor(item) ? [[String(i), item]] : [])));

interface Step {
  readonly value: PickleValue;
  readonly path: string;
  readonly depth: number;
}

/** One walk through a pickle. */
class Finder {
  readonly found: Found[] = [];
  readonly claimed = new Map<PickleValue, string>();
  readonly search = new TensorSearch();
  hasModule = false;
  isCut = false;
  readonly #seen = new Set<PickleValue>();
  readonly #work: Step[] = [];

  walk(root: PickleValue): void {
    this.#work.push({ value: root, path: '', depth: 0 });
    for (let step = this.#work.pop(); step !== undefined; step = this.#work.pop()) {
      const { value } = step;
      if (typeof value !== 'object' || value === null || this.#seen.has(value)) continue;
      this.#seen.add(value);
      if (step.depth > MAX_DEPTH) this.isCut = true;
      else this.#visit(step);
    }
  }

  /** Looks at the containers among these later, in their order. */
  #later(inner: Iterable<readonly [PickleValue, PickleValue]>, { path, depth }: Step): void {
    const steps = [...inner]
      .filter(([, value]) => isContainer(value))
      .map(([key, value]) => ({ value, path: join(path, key), depth: depth + 1 }));
    for (const step of steps.reverse()) this.#work.push(step);
  }

  #visit(step: Step): void {
    const { value, path } = step;
    if (isModule(value)) {
      this.hasModule = true;
      const entries = tensorsOfModule(value);
      this.claimed.set(value, 'state dict');
      if (entries.size > 0) this.found.push({ path, entries });
      return;
    }
    const entries = dictOf(value);
    const list = listOf(value);
    if (entries !== undefined) this.#visitDict(entries, step);
    else if (list !== undefined) {
      const tensors = tensorsOfList(list);
      const isMany = path === '' || tensors.size > list.length / 2;
      if (isMany && [...tensors.values()].some(isLarge)) {
        this.claimed.set(value, `list of ${tensors.size} tensors`);
        this.found.push({ path, entries: tensors, isRest: true });
      }
      this.#later(list.entries(), step);
    } else if (value instanceof PickleObject) {
      this.#later(dictOf(value.state) ?? [], step);
      const parts = value.state instanceof PickleTuple ? value.state.items : [];
      for (const part of parts) this.#later(dictOf(part) ?? [], step);
    }
  }

  #visitDict(entries: ReadonlyMap<PickleValue, PickleValue>, step: Step): void {
    const { value, path } = step;
    if (isOptimizer(entries)) {
      const state = dictOf(entries.get('state'));
      if (state !== undefined) this.claimed.set(entries.get('state')!, `state of ${state.size} parameters`);
      return;
    }
    const isOne = isStateDict(entries);
    if (isOne && ![...entries.values()].some(holdsStateDict)) {
      this.claimed.set(value, 'state dict');
      this.found.push(readStateDict(entries, path, this.search));
      return;
    }
    if (isOne) {
      const large = [...entries].filter(([, inner]) => isTensor(inner) && isLarge(inner));
      const rest = readStateDict(new Map(large), path, this.search);
      if (large.length > 0) this.found.push({ path, entries: rest.entries, isRest: true });
    }
    this.#later(entries, step);
    // A subclass of dict may have attributes as well.
    if (value instanceof PickleObject) this.#later(dictOf(value.state) ?? [], step);
  }
}

const holdsStateDict = (value: PickleValue): boolean => {
  const entries = dictOf(value);
  return isModule(value) || (entries !== undefined && isStateDict(entries));
};

/**
 * Every state dict under `root`.
 * @throws OrthoError file/limit, and checkpoint/unsupported when two tensors would get one key
 */
export const findStateDicts = (root: PickleValue): Structure => {
  if (isTensor(root)) {
    const found = [{ path: '', entries: new Map([['tensor', root]]) }];
    return { found, hasModule: false, claimed: new Map(), isCut: false };
  }
  const finder = new Finder();
  finder.walk(root);
  const { found, claimed } = finder;
  const outermost = dictOf(root);
  const list = listOf(root);
  if (found.every(({ isRest }) => isRest) && outermost !== undefined && isStateDict(outermost, 0)) {
    claimed.set(root, 'state dict');
    found.push(readStateDict(outermost, '', finder.search));
  } else if (found.length === 0 && list !== undefined && hasTensor(list)) {
    found.push({ path: '', entries: tensorsOfList(list) });
  }
  return { found, claimed, hasModule: finder.hasModule, isCut: finder.isCut };
};
