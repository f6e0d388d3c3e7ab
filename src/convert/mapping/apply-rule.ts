/** Applies one rule to the tensors that the rules before it have left. */
import type { DType } from '../../core/dtype.ts';
import { OrthoError } from '../../core/errors.ts';
import { globMatcher } from '../../core/glob.ts';
import type { Tensor } from '../../core/tensor.ts';
import { cast, scale, weightNorm } from './arithmetic.ts';
import { type Entries, type Entry, EntryMap, Makings, type PendingCast, renameEntries } from './entry.ts';
import { type Captures, KeyPattern } from './key-pattern.ts';
import { type KeyTemplate, parseTemplate, renderTemplate, templateOf } from './key-template.ts';
import {
  concat,
  flip,
  permute,
  reshape,
  slice,
  split,
  squeeze,
  TransformError,
  transpose,
  unsqueeze,
} from './layout.ts';
import { PatternError } from './pattern-syntax.ts';
import type {
  ConcatRule,
  JoinRule,
  NamingRule,
  Rule,
  SplitRule,
  TensorRule,
  WeightNormRule,
} from './rule.ts';

export interface Applied {
  readonly entries: Entries;
  /** Whether any key fitted. */
  readonly isUsed: boolean;
}

const pendingCast = (dtype: DType, casts: PendingCast[]): PendingCast['tally'] => {
  const tally = { overflowed: 0 };
  casts.push({ dtype, tally });
  return tally;
};

/** What a rule makes of one tensor; the same tensor where it leaves it alone. */
const transformed = (rule: TensorRule, tensor: Tensor, casts: PendingCast[]): Tensor => {
  switch (rule.op) {
    case 'transpose':
      return transpose(tensor, rule.dims);
    case 'permute':
      return permute(tensor, rule.order);
    case 'reshape':
      return reshape(tensor, rule.shape, rule.from);
    case 'squeeze':
      return squeeze(tensor, rule.dim);
    case 'unsqueeze':
      return unsqueeze(tensor, rule.dim);
    case 'flip':
      return flip(tensor, rule.dims);
    case 'slice':
      return slice(tensor, rule.dim, rule.start, rule.end, rule.step);
    case 'cast':
      if (rule.from !== undefined && tensor.dtype !== rule.from) return tensor;
      return cast(tensor, rule.dtype, pendingCast(rule.dtype, casts));
    case 'scale':
      return scale(tensor, rule.factor, pendingCast(tensor.dtype, casts));
  }
};

/** Runs a transform of these keys; what it does not take becomes an error that names rule and keys. */
const explained = <T>(
  label: string,
  keys: readonly string[],
  tensors: readonly Tensor[],
  run: () => T,
): T => {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof TransformError)) throw error;
    const shown = keys.map((key, i) => `"${key}" [${tensors[i]!.dims.join(', ')}]`).join(', ');
    throw new OrthoError(error.code, `${label}: ${shown}: ${error.message}`, {
      hint: 'narrow the keys of the rule, or its "rank"',
      at: { key: keys[0]! },
    });
  }
};

const applyToTensors = (rule: TensorRule, label: string, entries: Entries): Applied => {
  const pattern = new KeyPattern(rule.keys);
  const makings = new Makings(label);
  const result = new Map<string, Entry>();
  let isUsed = false;
  for (const [key, entry] of entries) {
    const { tensor } = entry;
    const fits =
      (rule.rank === undefined || tensor.dims.length === rule.rank) && pattern.match(key) !== undefined;
    if (!fits) {
      result.set(key, entry);
      continue;
    }
    isUsed = true;
    const made = makings.make([entry], '', (casts) =>
      explained(label, [key], [tensor], () => transformed(rule, tensor, casts)),
    );
    result.set(key, made.tensor === tensor ? entry : made);
  }
  return { entries: result, isUsed };
};

const applyNaming = (rule: NamingRule, entries: Entries): Applied => {
  let isUsed = false;
  const rename = (newKey: (key: string) => string | undefined): Applied => {
    const renamed = renameEntries(entries, (key) => {
      const name = newKey(key);
      isUsed ||= name !== undefined;
      return name ?? key;
    });
    return { entries: renamed, isUsed };
  };
  switch (rule.op) {
    case 'table': {
      const table = new Map(Object.entries(rule.keys));
      return rename((key) => table.get(key));
    }
    case 'prefix': {
      const { from, to } = rule;
      return rename((key) =>
        key.startsWith(from) && key.length > from.length ? to + key.slice(from.length) : undefined,
      );
    }
    case 'rename': {
      const pattern = new KeyPattern(rule.keys);
      const template = parseTemplate(rule.to, pattern.parsed);
      return rename((key) => {
        const captures = pattern.match(key);
        return captures && renderTemplate(template, captures);
      });
    }
    case 'select':
    case 'drop': {
      const fits = globMatcher(rule.globs);
      const kept = [...entries].filter(([key]) => {
        const isFit = fits(key);
        isUsed ||= isFit;
        return isFit === (rule.op === 'select');
      });
      return { entries: new Map(kept), isUsed };
    }
  }
};

/** The keys that the patterns of a joining rule find for one set of captures. */
interface Binding {
  /** In the order of the groups of the first pattern. */
  readonly captures: Captures;
  /** The key that comes first: what is made takes its place. */
  readonly first: string;
  /** One for each pattern. */
  readonly keys: (string | undefined)[];
}

/** Bindings in the order in which their first key comes. */
const bind = (patterns: readonly KeyPattern[], label: string, entries: Entries): Binding[] => {
  const names = patterns[0]!.parsed.groups.map((name, i) => name ?? String(i + 1));
  const bindings = new Map<string, Binding>();
  for (const key of entries.keys()) {
    patterns.forEach((pattern, member) => {
      const found = pattern.match(key);
      if (found === undefined) return;
      const own = pattern.parsed.groups.map((name, i) => name ?? String(i + 1));
      const captures = names.map((name) => found[own.indexOf(name)] ?? '');
      const id = JSON.stringify(captures);
      const binding = bindings.get(id) ?? { captures, first: key, keys: patterns.map(() => undefined) };
      bindings.set(id, binding);
      const other = binding.keys[member];
      if (other !== undefined) {
        throw new OrthoError(
          'weights/key-collision',
          `${label}: "${other}" and "${key}" fit the same place`,
          {
            hint: 'put what tells them apart into a group',
            at: { key },
          },
        );
      }
      binding.keys[member] = key;
    });
  }
  return [...bindings.values()];
};

/** The key that a member without one would have: its pattern filled in, or the pattern itself. */
const missingName = (pattern: KeyPattern, first: KeyPattern, captures: Captures): string => {
  const names = first.parsed.groups.map((name, i) => name ?? String(i + 1));
  const own = pattern.parsed.groups.map((name, i) => captures[names.indexOf(name ?? String(i + 1))] ?? '');
  try {
    return renderTemplate(templateOf(pattern.parsed), own);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return pattern.source;
  }
};

const applyJoining = (
  rule: ConcatRule | WeightNormRule,
  label: string,
  entries: Entries,
  join: (tensors: readonly Tensor[]) => Tensor,
): Applied => {
  const sources = rule.op === 'concat' ? rule.keys : [rule.g, rule.v];
  const patterns = sources.map((source) => new KeyPattern(source));
  const template = parseTemplate(rule.to, patterns[0]!.parsed);
  const bindings = bind(patterns, label, entries);
  const makings = new Makings(label);
  const made = new Map<string, { name: string; entry: Entry }>();
  const taken = new Set<string>();
  for (const { captures, first, keys } of bindings) {
    const missing = keys.indexOf(undefined);
    if (missing >= 0) {
      const name = missingName(patterns[missing]!, patterns[0]!, captures);
      const present = keys.find((key) => key !== undefined)!;
      throw new OrthoError('weights/missing-key', `${label}: there is "${present}", but no "${name}"`, {
        hint: 'a part that is missing: narrow the keys of the rule, or drop the others first',
        at: { key: present },
      });
    }
    const members = keys as string[];
    const parts = members.map((key) => entries.get(key)!);
    const tensors = parts.map(({ tensor }) => tensor);
    const entry = makings.make(
      parts,
      '',
      () => explained(label, members, tensors, () => join(tensors)),
      true,
    );
    made.set(first, { name: renderTemplate(template, captures), entry });
    for (const key of members) taken.add(key);
  }
  const result = new EntryMap();
  for (const [key, entry] of entries) {
    const whole = made.get(key);
    if (whole !== undefined) result.put(whole.name, whole.entry);
    else if (!taken.has(key)) result.put(key, entry);
  }
  return { entries: result.entries, isUsed: bindings.length > 0 };
};

const concatRule = (rule: ConcatRule, tensors: readonly Tensor[]): Tensor => {
  const { dim = 0, sizes, groups = 1 } = rule;
  const actual = tensors.map(({ dims }) => dims.at(dim));
  const expected = sizes === 'equal' ? actual.map(() => actual[0]) : (sizes ?? actual);
  if (actual.some((size, i) => size !== expected[i])) {
    throw new TransformError(`sizes along ${dim} are ${actual.join(', ')}, not ${sizes}`);
  }
  return concat(tensors, dim, groups);
};

const splitRule = (rule: SplitRule, tensor: Tensor): readonly Tensor[] => {
  const { dim = 0, groups = 1 } = rule;
  const size = tensor.dims.at(dim) ?? 0;
  const parts = rule.to.length;
  if (rule.op === 'chunk' && size % parts !== 0) {
    throw new TransformError(`dimension ${dim} of ${size} has no ${parts} equal parts`);
  }
  return split(tensor, dim, rule.sizes ?? rule.to.map(() => size / parts), groups);
};

const applySplitting = (rule: SplitRule, label: string, entries: Entries): Applied => {
  const pattern = new KeyPattern(rule.keys);
  const templates: KeyTemplate[] = rule.to.map((to) => parseTemplate(to, pattern.parsed));
  const makings = new Makings(label);
  const result = new EntryMap();
  let isUsed = false;
  for (const [key, entry] of entries) {
    const captures = pattern.match(key);
    if (captures === undefined) {
      result.put(key, entry);
      continue;
    }
    isUsed = true;
    const { tensor } = entry;
    const parts = explained(label, [key], [tensor], () => splitRule(rule, tensor));
    templates.forEach((template, i) => {
      result.put(
        renderTemplate(template, captures),
        makings.make([entry], String(i), () => parts[i]!, true),
      );
    });
  }
  return { entries: result.entries, isUsed };
};

const isJoin = (rule: Rule): rule is JoinRule =>
  rule.op === 'concat' || rule.op === 'split' || rule.op === 'chunk' || rule.op === 'weight-norm';
const isNaming = (rule: Rule): rule is NamingRule =>
  rule.op === 'table' ||
  rule.op === 'prefix' ||
  rule.op === 'rename' ||
  rule.op === 'select' ||
  rule.op === 'drop';

/**
 * The entries after the rule, which has no faults (check-rule.ts). No data is read.
 * @param label names the rule in messages and reports
 * @throws OrthoError weights/key-collision, weights/missing-key (a part of a concat), weights/shape-mismatch and
 *   dtype/unsupported (a tensor that the rule cannot take), file/limit (a key too long for a pattern)
 */
export const applyRule = (rule: Rule, label: string, entries: Entries): Applied => {
  if (isNaming(rule)) return applyNaming(rule, entries);
  if (!isJoin(rule)) return applyToTensors(rule, label, entries);
  if (rule.op === 'concat') return applyJoining(rule, label, entries, (tensors) => concatRule(rule, tensors));
  if (rule.op === 'weight-norm') return applyJoining(rule, label, entries, ([g, v]) => weightNorm(g!, v!));
  return applySplitting(rule, label, entries);
};
