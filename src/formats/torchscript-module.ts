/**
 * The tensors and attributes of a pickled TorchScript module: what torch.jit.load(...).state_dict() lists, in its
 * order (parameters, buffers, then submodules), and beside it the attributes that are neither. The walk is iterative,
 * goes through cycles once, and is limited.
 */
import { OrthoError } from '../core/errors.ts';
import { NumpyArray } from './pickle-numpy.ts';
import { PickleDict, PickleObject, PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import { isTensor, type TensorLike } from './torch-structure.ts';
import type { ScriptClasses } from './torchscript-classes.ts';

/** Values in modules and containers, shared ones counted each time they are reached; letters of all their paths. */
const MAX_VISITED = 100_000;
const MAX_LETTERS = 32 * 1024 * 1024;
/** Attributes that every module has, and that say nothing about it. */
const ROUTINE: ReadonlySet<string> = new Set(['training', '_is_full_backward_hook']);

export interface ScriptContent {
  /** Parameters and buffers by their dotted names. */
  readonly weights: ReadonlyMap<string, TensorLike>;
  /** Tensors in other attributes: plain ones, and those in lists, dicts and objects that are no modules. */
  readonly tensors: ReadonlyMap<string, TensorLike>;
  /** Attributes without tensors, by their dotted names; None is left out. */
  readonly attributes: ReadonlyMap<string, PickleValue>;
}

interface Step {
  readonly value: PickleValue;
  readonly path: string;
  /** Set when everything inside `value` was visited. */
  readonly isDone: boolean;
}

const join = (path: string, name: PickleValue): string =>
  path === '' ? textOf(name) : `${path}.${textOf(name)}`;

/** What a container that is no module holds, by key or index. */
const itemsOf = (value: PickleValue): Iterable<[PickleValue, PickleValue]> => {
  if (Array.isArray(value)) return (value as PickleValue[]).entries();
  if (value instanceof PickleTuple) return value.items.entries();
  if (value instanceof PickleDict) return value.entries;
  if (value instanceof PickleObject && value.state !== undefined) {
    return value.state instanceof PickleDict ? value.state.entries : [['state', value.state]];
  }
  return [];
};

const isContainer = (value: PickleValue): boolean =>
  Array.isArray(value) ||
  value instanceof PickleTuple ||
  value instanceof PickleDict ||
  // Without a state it is a plain value: a member of an enumeration.
  (value instanceof PickleObject && value.state !== undefined);

class Walk {
  readonly weights = new Map<string, TensorLike>();
  readonly tensors = new Map<string, TensorLike>();
  readonly attributes = new Map<string, PickleValue>();
  readonly #classes: ScriptClasses;
  readonly #label: string;
  readonly #steps: Step[] = [];
  readonly #open = new Set<PickleValue>();
  #letters = 0;
  #visited = 0;

  constructor(classes: ScriptClasses, label: string) {
    this.#classes = classes;
    this.#label = label;
  }

  run(root: PickleObject): void {
    this.#steps.push({ value: root, path: '', isDone: false });
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const { value, path, isDone } = step;
      if (isDone) {
        this.#open.delete(value);
        continue;
      }
      if (this.#open.has(value)) continue;
      this.#open.add(value);
      this.#steps.push({ value, path, isDone: true });
      const children = this.#visit(value, path);
      for (const [name, child] of children.reverse()) {
        this.#steps.push({ value: child, path: join(path, name), isDone: false });
      }
    }
  }

  #count(key: string): void {
    this.#visited++;
    this.#letters += key.length;
    if (this.#visited > MAX_VISITED || this.#letters > MAX_LETTERS) {
      throw new OrthoError('file/limit', `${this.#label}: the TorchScript module has too many parts`, {
        hint: `at most ${MAX_VISITED} attributes and items; no real module nests like this`,
      });
    }
  }

  /** Whether a container holds nothing but plain values, as far as one look tells. */
  #isPlain(value: PickleValue): boolean {
    if (value instanceof PickleObject) return false;
    for (const [, item] of itemsOf(value)) {
      this.#count('');
      if (isTensor(item) || isContainer(item)) return false;
    }
    return true;
  }

  /** Takes what lies in a container directly; returns the containers inside. */
  #visit(value: PickleValue, path: string): [PickleValue, PickleValue][] {
    const module = value instanceof PickleObject && value.state instanceof PickleDict ? value : undefined;
    const type = module === undefined ? undefined : this.#classes.find(module.type);
    const isModule = module !== undefined && type?.isModule !== false;
    const children: [PickleValue, PickleValue][] = [];
    const buffers: [string, TensorLike][] = [];
    for (const [name, item] of itemsOf(value)) {
      const key = join(path, name);
      this.#count(key);
      if (isTensor(item)) {
        const text = textOf(name);
        if (isModule && type?.buffers.has(text)) buffers.push([key, item]);
        else if (isModule && (type === undefined || type.parameters.has(text))) this.weights.set(key, item);
        else this.tensors.set(key, item);
      } else if (isContainer(item) && !this.#isPlain(item)) children.push([name, item]);
      else if (item !== null && !(item instanceof NumpyArray) && !ROUTINE.has(textOf(name))) {
        this.attributes.set(key, item);
      }
    }
    for (const [key, item] of buffers) this.weights.set(key, item);
    return children;
  }
}

/** @throws OrthoError file/limit for modules with more parts than real ones have */
export const scriptContentOf = (root: PickleObject, classes: ScriptClasses, label: string): ScriptContent => {
  const walk = new Walk(classes, label);
  walk.run(root);
  return walk;
};
