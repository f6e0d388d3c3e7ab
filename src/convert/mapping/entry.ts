/**
 * The tensors of a state dict on their way through the rules: each under its present key, with where it came from and
 * what was done to it. Entries of equal `identity` are aliases; rules that treat them alike keep them so.
 */
import type { CastTally } from '../../core/cast.ts';
import type { DType } from '../../core/dtype.ts';
import { OrthoError } from '../../core/errors.ts';
import type { Tensor } from '../../core/tensor.ts';
import type { WeightTensor } from '../../formats/state-dict.ts';

/** A transform that was applied once: by which rule, to what. */
export interface Application {
  readonly rule: string;
  /** Keys of the state dict that went in. */
  readonly from: readonly string[];
}

/** Values that are rounded to this type when they are read, and may overflow. */
export interface PendingCast {
  readonly dtype: DType;
  /** Filled while the tensor is read. */
  readonly tally: CastTally;
}

export interface Entry {
  readonly tensor: Tensor;
  readonly identity: number;
  /** Keys of the state dict whose elements are in it. */
  readonly origins: readonly string[];
  readonly applications: readonly Application[];
  /** Made of several tensors, or a part of one: its key is no new name of the old one. */
  readonly isComposed: boolean;
  readonly casts: readonly PendingCast[];
  /** Transforms that are stacked up: what is read goes through all of them. */
  readonly depth: number;
}

/** Keys that rules may make: a split of an empty tensor could go on forever. */
const MAX_KEYS = 200_000;
/** Characters of a key that rules make. */
const MAX_NEW_KEY = 4096;
/** Transforms of one tensor, stacked up. */
const MAX_DEPTH = 64;

const limit = (message: string, key: string): OrthoError =>
  new OrthoError('file/limit', message, { hint: 'the mapping asks for too much', at: { key } });

/** By present key. */
export type Entries = ReadonlyMap<string, Entry>;

let identities = 0;
/** An identity that no entry has yet. */
export const newIdentity = (): number => identities++;

/** The tensors of a state dict; those that are shared are one, under one identity. */
export const entriesOf = (tensors: ReadonlyMap<string, WeightTensor>): Entries => {
  const owned = new Map<string, Pick<Entry, 'tensor' | 'identity'>>();
  const entries = new Map<string, Entry>();
  for (const [key, { sharedWith, ...tensor }] of tensors) {
    const group = sharedWith ?? key;
    const one = owned.get(group) ?? { tensor, identity: newIdentity() };
    owned.set(group, one);
    entries.set(key, { ...one, origins: [key], applications: [], isComposed: false, casts: [], depth: 0 });
  }
  return entries;
};

const describe = (entry: Entry): string =>
  entry.origins.length === 1 ? `"${entry.origins[0]}"` : `what is made of "${entry.origins[0]}"`;

/**
 * Entries under new keys, in the order in which they are put.
 * @throws OrthoError weights/key-collision when a name is empty or taken; file/limit
 */
export class EntryMap {
  readonly entries = new Map<string, Entry>();

  put(key: string, entry: Entry): void {
    const other = this.entries.get(key);
    if (other !== undefined || key === '') {
      const what =
        other === undefined
          ? `${describe(entry)} would get an empty name`
          : `${describe(other)} and ${describe(entry)} would both become "${key}"`;
      throw new OrthoError('weights/key-collision', what, {
        hint: 'drop one of them (--drop), or rename it',
        at: { key: entry.origins[0] ?? key },
      });
    }
    if (key.length > MAX_NEW_KEY && key !== entry.origins[0]) {
      const short = `${key.slice(0, 60)}…`;
      throw limit(
        `a new key would have ${key.length} characters (at most ${MAX_NEW_KEY}): "${short}"`,
        short,
      );
    }
    if (entry.isComposed && this.entries.size >= MAX_KEYS) {
      throw limit(`more than ${MAX_KEYS} keys would be made`, key);
    }
    this.entries.set(key, entry);
  }
}

/** Every entry under the name that `rename` gives its key. */
export const renameEntries = (entries: Entries, rename: (key: string) => string): Entries => {
  const renamed = new EntryMap();
  for (const [key, entry] of entries) renamed.put(rename(key), entry);
  return renamed.entries;
};

/**
 * Gives what is made of the same entries in the same way once, under one identity, so that aliases stay aliases. One of
 * these lives as long as one rule is applied.
 */
export class Makings {
  readonly #made = new Map<string, Pick<Entry, 'tensor' | 'identity' | 'casts'>>();
  readonly #applications = new Map<readonly string[], Application>();
  readonly #rule: string;

  constructor(rule: string) {
    this.#rule = rule;
  }

  /** `part` tells apart what the rule makes of the same entries. */
  make(
    from: readonly Entry[],
    part: string,
    compute: (casts: PendingCast[]) => Tensor,
    isComposed = from.some((entry) => entry.isComposed),
  ): Entry {
    const name = `${from.map(({ identity }) => identity).join(',')} ${part}`;
    let made = this.#made.get(name);
    if (made === undefined) {
      const casts = [...new Set(from.flatMap((entry) => entry.casts))];
      made = { tensor: compute(casts), identity: newIdentity(), casts };
      this.#made.set(name, made);
    }
    // Parts of one entry share its list: there may be many of both.
    const [first, ...others] = from;
    const isOne = others.length === 0 && first !== undefined;
    const origins = isOne ? first.origins : [...new Set(from.flatMap((entry) => entry.origins))];
    const before = isOne ? first.applications : new Set(from.flatMap(({ applications }) => applications));
    const depth = 1 + Math.max(...from.map((entry) => entry.depth));
    if (depth > MAX_DEPTH) {
      throw limit(`${this.#rule}: more than ${MAX_DEPTH} transforms of one tensor`, origins[0] ?? '');
    }
    // What is made of the same keys is one application: a split has many parts.
    const application = this.#applications.get(origins) ?? { rule: this.#rule, from: origins };
    this.#applications.set(origins, application);
    const applications = [...before, application];
    return { ...made, origins, isComposed, applications, depth };
  }
}
