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
/** Tensors of all state dicts: a hundred times what large checkpoints have. */
const MAX_TENSORS = 200_000;
/** Letters of all keys of one state dict. */
const MAX_KEY_LETTERS = 16 * 1024 * 1024;
/** Values that are looked at to tell whether what lies in a state dict and is no tensor holds some. */
const MAX_SEARCHED = 250_000;

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

/** The tensors of all state dicts of a file, aliases counted each time. */
class TensorCount {
  readonly #label: string;
  #tensors = 0;

  constructor(label: string) {
    this.#label = label;
  }

  /** @throws OrthoError file/limit */
  add(): void {
    if (++this.#tensors > MAX_TENSORS)
      throw this.limit(`the state dicts have more than ${MAX_TENSORS} tensors`);
  }

  limit(message: string): OrthoError {
    return new OrthoError('file/limit', `${this.#label}: ${message}`, {
      hint: 'no real checkpoint is like this; the file is hostile',
      at: { file: this.#label },
    });
  }

  twice(key: string): OrthoError {
    return new OrthoError(
      'checkpoint/unsupported',
      `${this.#label}: two tensors of one state dict are called "${textOf(key)}"`,
      {
        hint: 'rename one of them in Python; a key may be written as text and as a number, or with dots and nested',
        at: { file: this.#label },
      },
    );
  }
}

/** Tensors by key; no two may get the same one, and all keys together stay short. */
class Entries {
  readonly tensors = new Map<string, TensorLike>();
  readonly #count: TensorCount;
  #letters = 0;

  constructor(count: TensorCount) {
    this.#count = count;
  }

  add(key: string, value: TensorLike): void {
    this.#letters += key.length;
    this.#count.add();
    if (this.#letters > MAX_KEY_LETTERS) throw this.#count.limit('the keys of a state dict are too long');
    if (this.tensors.has(key)) throw this.#count.twice(key);
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
  count: TensorCount,
): Found => {
  const found = new Entries(count);
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
const tensorsOfModule = (root: PickleObject, count: TensorCount): ReadonlyMap<string, TensorLike> => {
  const found = new Entries(count);
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
      throw count.limit(`the pickled model has too many modules (at ${textOf(prefix)})`);
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
const tensorsOfList = (
  items: readonly PickleValue[],
  count: TensorCount,
): ReadonlyMap<string, TensorLike> => {
  const found = new Entries(count);
  for (const [i, item] of items.entries()) if (isTensor(item)) found.add(String(i), item);
  return found.tensors;
};

interface Step {
  readonly value: PickleValue;
  readonly path: string;
  readonly depth: number;
}

/** The containers among these, one after the other: a list may have millions of items. */
function* containersIn(
  inner: Iterable<readonly [PickleValue, PickleValue]>,
  path: string,
  depth: number,
): Generator<Step, undefined> {
  for (const [key, value] of inner) {
    if (isContainer(value)) yield { value, path: join(path, key), depth };
  }
}

/** One walk through a pickle. */
class Finder {
  readonly found: Found[] = [];
  readonly claimed = new Map<PickleValue, string>();
  readonly search = new TensorSearch();
  readonly count: TensorCount;
  hasModule = false;
  isCut = false;
  readonly #seen = new Set<PickleValue>();
  /** The containers that are being looked through, the innermost last; each gives its own as they are asked for. */
  readonly #work: Iterator<Step, undefined>[] = [];

  constructor(label: string) {
    this.count = new TensorCount(label);
  }

  walk(root: PickleValue): void {
    this.#work.push([{ value: root, path: '', depth: 0 }].values());
    for (let steps = this.#work.at(-1); steps !== undefined; steps = this.#work.at(-1)) {
      const { value: step, done } = steps.next();
      if (done) {
        // Its containers may have put others on top, but those are done by now.
        this.#work.pop();
        continue;
      }
      const { value } = step;
      if (typeof value !== 'object' || value === null || this.#seen.has(value)) continue;
      this.#seen.add(value);
      if (step.depth > MAX_DEPTH) this.isCut = true;
      else this.#visit(step);
    }
  }

  /** Looks at the containers among these later, in their order. */
  #later(inner: Iterable<readonly [PickleValue, PickleValue]>, { path, depth }: Step): void {
    this.#work.push(containersIn(inner, path, depth + 1));
  }

  #visit(step: Step): void {
    const { value, path } = step;
    if (isModule(value)) {
      this.hasModule = true;
      const entries = tensorsOfModule(value, this.count);
      this.claimed.set(value, 'state dict');
      if (entries.size > 0) this.found.push({ path, entries });
      return;
    }
    const entries = dictOf(value);
    const list = listOf(value);
    if (entries !== undefined) this.#visitDict(entries, step);
    else if (list !== undefined) {
      const tensors = tensorsOfList(list, this.count);
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
      this.found.push(readStateDict(entries, path, this.search, this.count));
      return;
    }
    if (isOne) {
      const large = [...entries].filter(([, inner]) => isTensor(inner) && isLarge(inner));
      const rest = readStateDict(new Map(large), path, this.search, this.count);
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
 * Every state dict under `root`; `label` names the file in errors.
 * @throws OrthoError file/limit, and checkpoint/unsupported when two tensors would get one key
 */
export const findStateDicts = (root: PickleValue, label: string): Structure => {
  if (isTensor(root)) {
    const found = [{ path: '', entries: new Map([['tensor', root]]) }];
    return { found, hasModule: false, claimed: new Map(), isCut: false };
  }
  const finder = new Finder(label);
  finder.walk(root);
  const { found, claimed } = finder;
  const outermost = dictOf(root);
  const list = listOf(root);
  if (found.every(({ isRest }) => isRest) && outermost !== undefined && isStateDict(outermost, 0)) {
    claimed.set(root, 'state dict');
    found.push(readStateDict(outermost, '', finder.search, finder.count));
  } else if (found.length === 0 && list !== undefined && hasTensor(list)) {
    found.push({ path: '', entries: tensorsOfList(list, finder.count) });
  }
  return { found, claimed, hasModule: finder.hasModule, isCut: finder.isCut };
};
