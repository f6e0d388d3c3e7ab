/**
 * Renames, selects and casts the tensors of a state dict. Pure: no data is read; casts happen when the result is.
 *
 * Order: `select` and `drop` judge the original keys; then each of `stripPrefix`, in order, is taken off once where a
 * key begins with it (as a prefix, never in the middle; give `module.` twice to strip two levels); then the first
 * fitting `rename` applies; then `addPrefix`.
 */
import { type CastTally, castTensor, type FloatDType, isFloatDType } from '../core/cast.ts';
import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { globMatcher } from '../core/glob.ts';
import type { StateDict, WeightTensor } from '../formats/state-dict.ts';

/** `from` names a key, or, ending in a dot, everything that begins with it; `to` takes its place. */
export interface Rename {
  readonly from: string;
  readonly to: string;
}

export interface RemapOptions {
  /** Globs of keys to keep; all when empty. */
  readonly select?: readonly string[];
  /** Globs of keys to leave out. */
  readonly drop?: readonly string[];
  readonly stripPrefix?: readonly string[];
  readonly rename?: readonly Rename[];
  readonly addPrefix?: string | undefined;
  /** Float tensors are cast to this type; integers and booleans stay as they are. */
  readonly dtype?: FloatDType | undefined;
  /** New keys that may be left out where their tensors cannot be read; none when not given. */
  readonly mayLack?: (key: string) => boolean;
}

export interface RemapResult {
  /** By new key, in the order of the state dict; `sharedWith` names new keys. */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  /** Keys whose name changed. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** Keys that were left out. */
  readonly dropped: readonly string[];
  /** Prefixes, renames (as FROM=TO) and globs that fitted no key. */
  readonly unused: readonly string[];
  /** For each tensor that is cast, by new key: values that overflow, known once the tensor has been read. */
  readonly casts: ReadonlyMap<string, CastTally>;
}

class Rules {
  readonly #options: RemapOptions;
  readonly #used = new Set<string>();

  constructor(options: RemapOptions) {
    this.#options = options;
  }

  #matches(globs: readonly string[], key: string): boolean {
    let found = false;
    for (const glob of globs) {
      if (!globMatcher([glob])(key)) continue;
      this.#used.add(glob);
      found = true;
    }
    return found;
  }

  keeps(key: string): boolean {
    const { select = [], drop = [] } = this.#options;
    const isSelected = select.length === 0 || this.#matches(select, key);
    return isSelected && !this.#matches(drop, key);
  }

  newKey(key: string): string {
    const { stripPrefix = [], rename = [], addPrefix = '' } = this.#options;
    let name = key;
    for (const prefix of stripPrefix) {
      if (!name.startsWith(prefix) || name.length === prefix.length) continue;
      name = name.slice(prefix.length);
      this.#used.add(prefix);
    }
    const rule = rename.find(({ from }) => name === from || (from.endsWith('.') && name.startsWith(from)));
    if (rule !== undefined) {
      name = rule.to + name.slice(rule.from.length);
      this.#used.add(`${rule.from}=${rule.to}`);
    }
    return addPrefix + name;
  }

  get unused(): string[] {
    const { select = [], drop = [], stripPrefix = [], rename = [] } = this.#options;
    const all = [...select, ...drop, ...stripPrefix, ...rename.map(({ from, to }) => `${from}=${to}`)];
    return [...new Set(all)].filter((rule) => !this.#used.has(rule));
  }
}

const castFloat = (key: string, tensor: WeightTensor, dtype: FloatDType, tally: CastTally): WeightTensor => {
  if (dtypeInfo(tensor.dtype).kind !== 'float' || tensor.dtype === dtype) return tensor;
  if (isFloatDType(tensor.dtype)) return castTensor(tensor, dtype, tally);
  throw new OrthoError('dtype/unsupported', `"${key}" is ${tensor.dtype}, which cannot be cast to ${dtype}`, {
    hint: `leave it out with --drop ${JSON.stringify(key)}`,
    at: { key },
  });
};

/**
 * A tensor that the file names but that has no values here must not get lost in silence: it stops the job unless its key
 * is left out on purpose. Gives the keys that are.
 */
const dropRefused = ({ refused }: StateDict, rules: Rules, { mayLack }: RemapOptions): string[] => {
  const dropped: string[] = [];
  const kept: string[] = [];
  for (const key of refused?.keys() ?? []) {
    if (rules.keeps(key) && mayLack?.(rules.newKey(key)) !== true) kept.push(key);
    else dropped.push(key);
  }
  const [first] = kept;
  if (first === undefined) return dropped;
  const { what = '', hint = '' } = refused?.get(first) ?? {};
  const others = kept.length > 1 ? ` (and ${kept.length - 1} more that cannot be read)` : '';
  throw new OrthoError('checkpoint/unsupported', `"${first}" is ${what}${others}`, {
    hint: `${hint}; or leave it out (remap --drop, convert --allow-unexpected)`,
    at: { key: first },
  });
};

/**
 * The tensors under their new keys.
 * @throws OrthoError weights/key-collision when two keys get the same name, or a name is empty; dtype/unsupported for casts of
 *   8-bit floats; checkpoint/unsupported for a kept key whose tensor cannot be read
 */
export const remap = (dict: StateDict, options: RemapOptions): RemapResult => {
  const { tensors: given } = dict;
  const rules = new Rules(options);
  const tensors = new Map<string, WeightTensor>();
  const origins = new Map<string, string>();
  const owners = new Map<string, string>();
  const casts = new Map<string, CastTally>();
  const renamed: { from: string; to: string }[] = [];
  const dropped: string[] = dropRefused(dict, rules, options);
  for (const [key, tensor] of given) {
    if (!rules.keeps(key)) {
      dropped.push(key);
      continue;
    }
    const name = rules.newKey(key);
    const other = origins.get(name);
    if (other !== undefined || name === '') {
      const what =
        name === ''
          ? `"${key}" would get an empty name`
          : `"${other}" and "${key}" would both become "${name}"`;
      throw new OrthoError('weights/key-collision', what, {
        hint: 'drop one of them (--drop), or rename it',
        at: { key },
      });
    }
    origins.set(name, key);
    if (name !== key) renamed.push({ from: key, to: name });
    // The first kept name of a shared tensor owns it, whatever became of the name before it.
    const group = tensor.sharedWith ?? key;
    const owner = owners.get(group);
    const shared = owner === undefined ? undefined : tensors.get(owner);
    if (owner !== undefined && shared !== undefined) {
      tensors.set(name, { ...shared, sharedWith: owner });
      continue;
    }
    owners.set(group, name);
    const { dtype, dims, data, strings } = tensor;
    const own: WeightTensor = strings === undefined ? { dtype, dims, data } : { dtype, dims, data, strings };
    const tally = { overflowed: 0 };
    const cast = options.dtype === undefined ? own : castFloat(key, own, options.dtype, tally);
    if (cast !== own) casts.set(name, tally);
    tensors.set(name, cast);
  }
  return { tensors, renamed, dropped, unused: rules.unused, casts };
};
