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
}

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
    entries.set(key, { ...one, origins: [key], applications: [], isComposed: false, casts: [] });
  }
  return entries;
};

const describe = (entry: Entry): string =>
  entry.origins.length === 1 ? `"${entry.origins[0]}"` : `what is made of "${entry.origins[0]}"`;

/**
 * Entries under new keys, in the order in which they are put.
 * @throws OrthoError weights/key-collision when a name is empty or taken
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
    const origins = [...new Set(from.flatMap((entry) => entry.origins))];
    const before = [...new Set(from.flatMap(({ applications }) => applications))];
    return { ...made, origins, isComposed, applications: [...before, { rule: this.#rule, from: origins }] };
  }
}
