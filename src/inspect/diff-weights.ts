/**
 * What differs between two state dicts, A and B: keys, shapes, element types, values, and which names share a tensor. Pure
 * but for reading tensors, piece by piece; `diffWeights` is a generator that yields the share that is done, so that its
 * caller decides when something else may run.
 */
import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { globMatcher } from '../core/glob.ts';
import type { RefusedReason, StateDict, WeightTensor } from '../formats/state-dict.ts';
import type { DiffChange, DiffData } from '../report/schemas/diff.ts';
import { summariseModules } from './diff-modules.ts';
import { byGravity, comparePair, type JudgedChange } from './diff-pair.ts';
import { DiffMemory, type DiffTolerance } from './diff-tensor.ts';
import { applyPrefix, bytesToMatch, findPrefix, matchRenamed, type RenamedPair } from './match-renamed.ts';

export interface DiffWeightsOptions {
  /** Only keys that match one of these globs, after prefixes are off; all when empty. */
  readonly keys?: readonly string[];
  /** Each, in turn, is taken off once where a key of either side begins with it. */
  readonly stripPrefix?: readonly string[];
  /** Which differences of values do not count; none by default. */
  readonly toleranceFor?: (key: string, dtype: WeightTensor['dtype']) => DiffTolerance;
}

/** The part of the report that follows from the state dicts alone. */
export type WeightDiff = Omit<DiffData, 'a' | 'b' | 'metadata'> & {
  readonly tensors: { readonly a: number; readonly b: number };
};

const EXACT: DiffTolerance = { atol: 0, rtol: 0, ofMax: 0 };

interface Entry {
  readonly tensor: WeightTensor;
  /** The key, as in the file, of the first name of this tensor. */
  readonly owner: string;
}

interface Side {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  readonly refused: ReadonlyMap<string, RefusedReason>;
}

/** The keys that take part, under the names they are compared by. */
const select = (dict: StateDict, { keys = [], stripPrefix = [] }: DiffWeightsOptions): Side => {
  const matches = keys.length === 0 ? () => true : globMatcher(keys);
  const origins = new Map<string, string>();
  const nameOf = (key: string): string | undefined => {
    let name = key;
    for (const prefix of stripPrefix) {
      if (name.startsWith(prefix) && name.length > prefix.length) name = name.slice(prefix.length);
    }
    if (!matches(name)) return undefined;
    const other = origins.get(name);
    if (other !== undefined) {
      throw new OrthoError('weights/key-collision', `"${other}" and "${key}" would both become "${name}"`, {
        hint: 'leave --strip-prefix out, or compare the other state dict',
        at: { key },
      });
    }
    origins.set(name, key);
    return name;
  };
  const entries = new Map<string, Entry>();
  for (const [key, tensor] of dict.tensors) {
    const name = nameOf(key);
    if (name !== undefined) entries.set(name, { tensor, owner: tensor.sharedWith ?? key });
  }
  const refused = new Map<string, RefusedReason>();
  for (const [key, reason] of dict.refused ?? []) {
    const name = nameOf(key);
    if (name !== undefined) refused.set(name, reason);
  }
  return { entries, tensors: new Map([...entries].map(([name, { tensor }]) => [name, tensor])), refused };
};

/** Tolerances speak of floats: of a float and an integer, the float decides. */
const finerType = ({ tensor: a }: Entry, { tensor: b }: Entry): WeightTensor['dtype'] =>
  dtypeInfo(a.dtype).kind === 'float' ? a.dtype : b.dtype;

/** Groups of names that are one tensor on one side and several on the other. */
const compareSharing = (
  a: Side,
  b: Side,
  pairs: readonly (readonly [nameA: string, nameB: string])[],
): DiffData['sharing'] => {
  const found: { keys: string[]; sharedIn: 'a' | 'b' }[] = [];
  const owners = pairs.map(([nameA, nameB]) => ({
    key: nameA,
    a: a.entries.get(nameA)!.owner,
    b: b.entries.get(nameB)!.owner,
  }));
  for (const [mine, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    const groups = new Map<string, { keys: string[]; others: Set<string> }>();
    for (const owner of owners) {
      const group = groups.get(owner[mine]) ?? { keys: [], others: new Set() };
      groups.set(owner[mine], group);
      group.keys.push(owner.key);
      group.others.add(owner[other]);
    }
    for (const { keys, others } of groups.values()) if (others.size > 1) found.push({ keys, sharedIn: mine });
  }
  return found;
};

const hasKey = ({ tensors, refused }: Side, name: string): boolean => tensors.has(name) || refused.has(name);

/** Keys that both sides have, but not both with values, and why. */
const notComparable = (a: Side, b: Side): { name: string; reason: string }[] =>
  [...new Set([...a.refused.keys(), ...b.refused.keys()])].flatMap((name) => {
    const [inA, inB] = [a.refused.get(name), b.refused.get(name)];
    if (inA !== undefined && inB !== undefined) return { name, reason: `in both: ${inA.what}` };
    if (!hasKey(a, name) || !hasKey(b, name)) return [];
    return { name, reason: inA !== undefined ? `in A: ${inA.what}` : `in B: ${inB!.what}` };
  });

/** Keys of one side that the other lacks, and their tensors as far as they have values. */
const onlyIn = (side: Side, other: Side) => ({
  keys: [...side.tensors.keys(), ...side.refused.keys()].filter((name) => !hasKey(other, name)),
  tensors: new Map([...side.tensors].filter(([name]) => !hasKey(other, name))),
});

const verdictOf = ({
  added,
  removed,
  renamed,
  changed,
  tolerated,
  notCompared,
  sharing,
}: Omit<WeightDiff, 'verdict' | 'tensors'>): DiffData['verdict'] => {
  const isGrave = changed.some(({ what }) => what === 'shape' || what === 'values');
  if (isGrave || added.length + removed.length + notCompared.length > 0) return 'different';
  if (changed.length + tolerated.length + sharing.length > 0) return 'equal-values';
  return renamed.length > 0 ? 'renamed' : 'identical';
};

/**
 * Compares two state dicts. Yields the share that is done, 0 to 1, after every megabyte or so.
 * @throws OrthoError weights/key-collision when taking prefixes off gives two keys one name, and what reading throws
 */
export function* diffWeights(
  dictA: StateDict,
  dictB: StateDict,
  options: DiffWeightsOptions = {},
): Generator<number, WeightDiff> {
  const { toleranceFor = () => EXACT } = options;
  const a = select(dictA, options);
  const b = select(dictB, options);
  const notCompared = notComparable(a, b);
  const onlyA = onlyIn(a, b);
  const onlyB = onlyIn(b, a);
  const common = [...a.tensors.keys()].filter((name) => b.tensors.has(name));

  const total =
    common.reduce((sum, name) => sum + a.tensors.get(name)!.data.size, 0) +
    bytesToMatch(onlyA.tensors, onlyB.tensors);
  let done = 0;
  function* counted<R>(steps: Generator<number, R>): Generator<number, R> {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      done += step.value;
      yield Math.min(1, done / Math.max(1, total));
    }
  }

  const prefix = findPrefix(onlyA.tensors, onlyB.tensors);
  const renamed: readonly RenamedPair[] = yield* counted(matchRenamed(onlyA.tensors, onlyB.tensors, prefix));

  const memory = new DiffMemory();
  const changed: DiffChange[] = [];
  const tolerated: DiffChange[] = [];
  const equal: string[] = [];
  /** What came of a pair of tensors, by their first names: other names of the same pair are not compared again. */
  const known = new Map<string, { readonly name: string; readonly result: JudgedChange | null }>();
  for (const name of common) {
    const [inA, inB] = [a.entries.get(name)!, b.entries.get(name)!];
    const pair = JSON.stringify([inA.owner, inB.owner]);
    let outcome = known.get(pair);
    if (outcome === undefined) {
      const tolerance = toleranceFor(name, finerType(inA, inB));
      const result = yield* counted(comparePair(name, inA.tensor, inB.tensor, tolerance, memory));
      outcome = { name, result };
      known.set(pair, outcome);
    }
    const { name: first, result } = outcome;
    if (result === null) {
      equal.push(name);
      continue;
    }
    const change = first === name ? result.change : { ...result.change, name, sharedWith: first };
    (result.isTolerated ? tolerated : changed).push(change);
  }
  changed.sort(byGravity);
  tolerated.sort(byGravity);

  const renamedFrom = new Set(renamed.map(({ from }) => from));
  const renamedTo = new Set(renamed.map(({ to }) => to));
  const removed = onlyA.keys.filter((name) => !renamedFrom.has(name));
  const added = onlyB.keys.filter((name) => !renamedTo.has(name));
  const pairs = [
    ...common.map((name) => [name, name] as const),
    ...renamed.map(({ from, to }) => [from, to] as const),
  ];
  const parts = {
    removed,
    added,
    renamed,
    changed,
    tolerated,
    notCompared,
    sharing: compareSharing(a, b, pairs),
    prefix:
      prefix === undefined
        ? null
        : { ...prefix, equal: renamed.filter(({ from, to }) => applyPrefix(from, prefix) === to).length },
    totals: {
      equal: equal.length,
      changed: changed.length,
      tolerated: tolerated.length,
      added: added.length,
      removed: removed.length,
      renamed: renamed.length,
      notCompared: notCompared.length,
    },
    modules: summariseModules({ equal, changed, tolerated, added, removed, renamed, notCompared }, [
      ...a.tensors.keys(),
      ...a.refused.keys(),
      ...notCompared.map(({ name }) => name),
      ...added,
    ]),
  };
  return {
    verdict: verdictOf(parts),
    ...parts,
    tensors: { a: a.tensors.size + a.refused.size, b: b.tensors.size + b.refused.size },
  };
}
