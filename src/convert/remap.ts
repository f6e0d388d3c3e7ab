/**
 * Renames, selects, transforms and casts the tensors of a state dict. Pure: no data is read; what is to be computed is
 * computed when the result is read.
 *
 * Order: `select` and `drop` judge the original keys; then the `presets`, each on what the ones before it have left; then
 * each of `stripPrefix`, in order, is taken off once where a key begins with it (as a prefix, never in the middle; give
 * `module.` twice to strip two levels), and the first fitting `rename` applies; then the `rules` of a mapping, one after
 * the other; then `addPrefix`; then `matchKeys`; then the cast to `dtype`.
 */
import { type CastTally, castTensor, type FloatDType, isFloatDType } from '../core/cast.ts';
import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { globMatcher } from '../core/glob.ts';
import type { Tensor } from '../core/tensor.ts';
import type { StateDict, WeightTensor } from '../formats/state-dict.ts';
import { applyRule } from './mapping/apply-rule.ts';
import { ruleFaults } from './mapping/check-rule.ts';
import {
  type Application,
  type Entries,
  type Entry,
  entriesOf,
  Makings,
  renameEntries,
} from './mapping/entry.ts';
import { invertRules } from './mapping/invert-rule.ts';
import type { Rule } from './mapping/rule.ts';
import { type PresetName, presets } from './presets/index.ts';

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
  /** Rules for what well-known wrappers leave in keys. */
  readonly presets?: readonly PresetName[];
  readonly stripPrefix?: readonly string[];
  readonly rename?: readonly Rename[];
  /** The rules of a mapping. */
  readonly rules?: readonly Rule[];
  /** Run the rules backwards: the last one first, each by its inverse. */
  readonly invert?: boolean;
  readonly addPrefix?: string | undefined;
  /** New names by key, given the tensors as they then are. */
  readonly matchKeys?:
    | ((tensors: ReadonlyMap<string, WeightTensor>) => ReadonlyMap<string, string>)
    | undefined;
  /** Float tensors are cast to this type; integers and booleans stay as they are. */
  readonly dtype?: FloatDType | undefined;
  /** New keys that may be left out where their tensors cannot be read; none when not given. */
  readonly mayLack?: (key: string) => boolean;
}

/** A transform that was applied: what went in, and what it had a part in. */
export interface Transformed {
  readonly rule: string;
  /** Keys of the state dict. */
  readonly from: readonly string[];
  /** Keys of the result. */
  readonly to: readonly string[];
}

/** A tensor that is rounded to another type when it is read. */
export interface RemapCast {
  readonly key: string;
  readonly dtype: string;
  /** Values that overflow, known once the tensor has been read. */
  readonly tally: CastTally;
}

export interface RemapResult {
  /** By new key, in the order of the state dict; `sharedWith` names new keys. */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  /** Keys whose name changed; those that were joined or split are in `transformed`. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** Keys that were left out. */
  readonly dropped: readonly string[];
  /** In the order of the result, without what a later rule dropped. */
  readonly transformed: readonly Transformed[];
  /** Prefixes, renames (as FROM=TO), globs, presets and rules that fitted no key. */
  readonly unused: readonly string[];
  readonly casts: readonly RemapCast[];
}

/** The options that each name keys by themselves. */
class Selection {
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
    const { stripPrefix = [], rename = [] } = this.#options;
    let name = key;
    for (const prefix of stripPrefix) {
      if (!name.startsWith(prefix) || name.length === prefix.length) continue;
      name = name.slice(prefix.length);
      this.#used.add(prefix);
    }
    const rule = rename.find(({ from }) => name === from || (from.endsWith('.') && name.startsWith(from)));
    if (rule === undefined) return name;
    this.#used.add(`${rule.from}=${rule.to}`);
    return rule.to + name.slice(rule.from.length);
  }

  get unused(): string[] {
    const { select = [], drop = [], stripPrefix = [], rename = [] } = this.#options;
    const all = [...select, ...drop, ...stripPrefix, ...rename.map(({ from, to }) => `${from}=${to}`)];
    return [...new Set(all)].filter((rule) => !this.#used.has(rule));
  }
}

const applyPresets = (given: Entries, names: readonly PresetName[], unused: string[]): Entries => {
  let entries = given;
  for (const name of names) {
    const rules = presets[name].rules(new Map([...entries].map(([key, { tensor }]) => [key, tensor])));
    let isUsed = false;
    for (const rule of rules) {
      const applied = applyRule(rule, `preset ${name} (${rule.op})`, entries);
      entries = applied.entries;
      isUsed ||= applied.isUsed;
    }
    if (!isUsed) unused.push(`--preset ${name}`);
  }
  return entries;
};

const ruleLabel = (index: number, rule: Rule): string => `rules[${index}] (${rule.op})`;

/** @throws OrthoError config/invalid naming every fault of the rules */
const checkRules = (rules: readonly Rule[]): void => {
  const faults = rules.flatMap((rule, i) =>
    ruleFaults(rule).map(({ path, message }) => `${ruleLabel(i, rule)} ${path.join('.')}: ${message}`),
  );
  if (faults.length > 0) throw new OrthoError('config/invalid', faults.join('; '));
};

const applyRules = (
  given: Entries,
  rules: readonly Rule[],
  isInverted: boolean,
  unused: string[],
): Entries => {
  checkRules(rules);
  const labelled = isInverted
    ? invertRules(rules, (index) => ruleLabel(index, rules[index]!)).map(({ rule, index }) => ({
        rule,
        label: `${ruleLabel(index, rules[index]!)}, inverted`,
      }))
    : rules.map((rule, index) => ({ rule, label: ruleLabel(index, rule) }));
  let entries = given;
  for (const { rule, label } of labelled) {
    const applied = applyRule(rule, label, entries);
    entries = applied.entries;
    if (!applied.isUsed) unused.push(label);
  }
  return entries;
};

const castFloat = (key: string, tensor: Tensor, dtype: FloatDType, tally: CastTally): Tensor => {
  if (isFloatDType(tensor.dtype)) return castTensor(tensor, dtype, tally);
  throw new OrthoError('dtype/unsupported', `"${key}" is ${tensor.dtype}, which cannot be cast to ${dtype}`, {
    hint: `leave it out with --drop ${JSON.stringify(key)}`,
    at: { key },
  });
};

/** The cast of --dtype, which is no transform of its own in the result. */
const castEntries = (entries: Entries, dtype: FloatDType): Entries => {
  const makings = new Makings('');
  return new Map(
    [...entries].map(([key, entry]): [string, Entry] => {
      const { tensor, applications } = entry;
      if (dtypeInfo(tensor.dtype).kind !== 'float' || tensor.dtype === dtype) return [key, entry];
      const made = makings.make([entry], '', (casts) => {
        const tally = { overflowed: 0 };
        casts.push({ dtype, tally });
        return castFloat(entry.origins[0] ?? key, tensor, dtype, tally);
      });
      return [key, { ...made, applications }];
    }),
  );
};

/**
 * A tensor that the file names but that has no values here must not get lost in silence: it stops the job unless its key
 * is left out on purpose. Gives the keys that are.
 */
const dropRefused = (
  { refused }: StateDict,
  selection: Selection,
  mayLack: (key: string) => boolean,
): string[] => {
  const dropped: string[] = [];
  const kept: string[] = [];
  for (const key of refused?.keys() ?? []) {
    if (selection.keeps(key) && !mayLack(selection.newKey(key))) kept.push(key);
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

/** Tensors by key; the first key of several that have one tensor owns it. */
const tensorsOf = (entries: Entries): Map<string, WeightTensor> => {
  const owners = new Map<number, string>();
  const tensors = new Map<string, WeightTensor>();
  for (const [key, { tensor, identity }] of entries) {
    const owner = owners.get(identity);
    if (owner === undefined) owners.set(identity, key);
    tensors.set(key, owner === undefined ? tensor : { ...tensors.get(owner)!, sharedWith: owner });
  }
  return tensors;
};

const transformsOf = (entries: Entries): Transformed[] => {
  const targets = new Map<Application, string[]>();
  for (const [key, { applications }] of entries) {
    for (const application of applications) {
      const to = targets.get(application);
      if (to === undefined) targets.set(application, [key]);
      else to.push(key);
    }
  }
  return [...targets].map(([{ rule, from }, to]) => ({ rule, from, to }));
};

/**
 * The tensors under their new keys.
 * @throws OrthoError weights/key-collision when two keys get the same name, or a name is empty; dtype/unsupported for casts of
 *   8-bit floats; checkpoint/unsupported for a kept key whose tensor cannot be read; config/invalid for rules with faults,
 *   or without an inverse where one is asked for; and what applyRule throws
 */
export const remap = (dict: StateDict, options: RemapOptions): RemapResult => {
  const { tensors: given } = dict;
  const selection = new Selection(options);
  const { rules = [], invert = false, addPrefix = '', matchKeys, dtype } = options;
  const refused = dropRefused(dict, selection, (key) => options.mayLack?.(addPrefix + key) === true);
  const unused: string[] = [];
  let entries: Entries = new Map([...entriesOf(given)].filter(([key]) => selection.keeps(key)));
  entries = applyPresets(entries, options.presets ?? [], unused);
  entries = renameEntries(entries, (key) => selection.newKey(key));
  entries = applyRules(entries, rules, invert, unused);
  if (addPrefix !== '') entries = renameEntries(entries, (key) => addPrefix + key);
  if (matchKeys !== undefined) {
    const names = matchKeys(tensorsOf(entries));
    entries = renameEntries(entries, (key) => names.get(key) ?? key);
  }
  if (dtype !== undefined) entries = castEntries(entries, dtype);
  const tensors = tensorsOf(entries);
  const kept = new Set([...new Set([...entries.values()].map(({ origins }) => origins))].flat());
  const isOwner = (key: string): boolean => tensors.get(key)?.sharedWith === undefined;
  return {
    tensors,
    renamed: [...entries].flatMap(([key, { origins, isComposed }]) =>
      isComposed || origins[0] === undefined || origins[0] === key ? [] : [{ from: origins[0], to: key }],
    ),
    dropped: [...refused, ...[...given.keys()].filter((key) => !kept.has(key))],
    transformed: transformsOf(entries),
    unused: [...selection.unused, ...unused],
    casts: [...entries].flatMap(([key, { casts }]) =>
      isOwner(key) ? casts.map((one) => ({ key, ...one })) : [],
    ),
  };
};
