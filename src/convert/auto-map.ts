/**
 * The best one-to-one map between the keys of a checkpoint and those of a target, found by shapes, names and order.
 * Pure: no data is read. Where two maps are equally good, none is chosen: the keys are declared ambiguous.
 *
 * Evidence is used in the order of its strength, and each kind only splits what the ones before it leave open:
 * 1. contents: type and shape of a key, and of everything in the modules it lies in (auto-map/alignment.ts);
 * 2. names: labels of siblings that decide (equal, shifted numbers, synonyms), then the uses of segments elsewhere;
 * 3. order: places in the file, where the sequence of everything else agrees.
 * A pair is what is alone with its partner in the end, unless everything else speaks against it
 * (auto-map/contradictions.ts). What remains: where both sides lack different modules of one kind, and names and order
 * say nothing, a module can be taken for its damaged sister.
 */
import { type DType, dtypeInfo } from '../core/dtype.ts';
import { type Owners, splitByAliases } from './auto-map/alias-evidence.ts';
import { Alignment } from './auto-map/alignment.ts';
import { ambiguousGroups, doubtfulGroup } from './auto-map/ambiguity.ts';
import { carriedNames } from './auto-map/carry.ts';
import { doubtfulPairs } from './auto-map/contradictions.ts';
import { pairAliases, pairByEqualNames } from './auto-map/equal-names.ts';
import { splitByNames } from './auto-map/name-evidence.ts';
import { orderOpinion, splitByOrder } from './auto-map/order-evidence.ts';
import { splitByTokens } from './auto-map/token-evidence.ts';
import { transposedHints } from './auto-map/transposed.ts';
import type { ExpectedKey } from './compare-keys.ts';

/** What is known of a key of the checkpoint. */
export interface SourceKey {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** An earlier key that shows the same tensor. */
  readonly sharedWith?: string;
}

/** Keys that can be exchanged for each other without any evidence against it. */
export interface AmbiguousGroup {
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** One sentence: what speaks for no choice among them. */
  readonly reason: string;
}

/** How many pairs each kind of evidence decided; they add up to the number of pairs. */
export interface AutoEvidence {
  readonly shape: number;
  readonly names: number;
  readonly order: number;
}

export interface AutoMap {
  /** New name by key of the source, in the order of the source. */
  readonly pairs: ReadonlyMap<string, string>;
  /** New names of keys without a partner whose neighbours all moved to another prefix; no names of the target. */
  readonly carried: ReadonlyMap<string, string>;
  /** 0 to 1: 2·pairs over the keys of both sides (target keys that are not needed and got no partner not counted). */
  readonly score: number;
  readonly evidence: AutoEvidence;
  readonly ambiguous: readonly AmbiguousGroup[];
  readonly unmatchedSource: readonly string[];
  /** Needed keys only. */
  readonly unmatchedTarget: readonly string[];
  /** What may be wrong, one sentence each (transposed shapes…). */
  readonly hints: readonly string[];
}

/** A key of either side. */
export interface AutoKey {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly sharedWith?: string | undefined;
  readonly isNeeded: boolean;
}

const kindText = ({ dtype, dims }: AutoKey): string => `${dtypeInfo(dtype).kind} ${dims.join('×')}`;
const typeText = ({ dtype, dims }: AutoKey): string => `${dtype} ${dims.join('×')}`;

const countsOf = (texts: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
};

/** Types are told apart exactly where both sides have the same ones; a half checkpoint of a float network is matched by kind. */
const colourText = (source: readonly AutoKey[], target: readonly AutoKey[]): ((key: AutoKey) => string) => {
  const [from, to] = [countsOf(source.map(typeText)), countsOf(target.map(typeText))];
  const isEqual = from.size === to.size && [...from].every(([text, count]) => to.get(text) === count);
  return isEqual ? typeText : kindText;
};

const ownersOf = (keys: readonly AutoKey[]): Int32Array => {
  const places = new Map(keys.map(({ name }, i) => [name, i]));
  return Int32Array.from(keys, ({ name, sharedWith }) => places.get(sharedWith ?? name) ?? places.get(name)!);
};

const aliasCount = (keys: readonly AutoKey[]): number =>
  keys.filter(({ sharedWith }) => sharedWith !== undefined).length;

type Kind = keyof AutoEvidence;

/** Notes what decided the pairs that are there by now. */
const note = (alignment: Alignment, kinds: (Kind | undefined)[], kind: Kind): void => {
  for (const { from, to } of alignment.classes().values()) {
    const [key] = from;
    if (key !== undefined && from.length === 1 && to.length === 1) kinds[key] ??= kind;
  }
};

const useNames = (alignment: Alignment, owners: Owners | undefined): Set<number> => {
  const disputed = new Set<number>();
  for (let isOpen = true; isOpen; ) {
    if (owners !== undefined) while (splitByAliases(alignment, owners));
    const before = alignment.classes().size;
    const names = splitByNames(alignment, orderOpinion(alignment));
    for (const key of names.disputed) disputed.add(key);
    isOpen = names.hasSplit && alignment.classes().size > before;
    if (!isOpen) isOpen = splitByTokens(alignment);
  }
  return disputed;
};

const attempt = (allSource: readonly AutoKey[], allTarget: readonly AutoKey[]): AutoMap => {
  const textOf = colourText(allSource, allTarget);
  const [fromTexts, toTexts] = [new Set(allSource.map(textOf)), new Set(allTarget.map(textOf))];
  const source = allSource.filter((key) => toTexts.has(textOf(key)));
  const target = allTarget.filter((key) => fromTexts.has(textOf(key)));
  const names = [source.map(({ name }) => name), target.map(({ name }) => name)] as const;
  const types = [source.map(textOf), target.map(textOf)] as const;
  const alignment = new Alignment(names, types);
  const kinds: (Kind | undefined)[] = source.map(() => undefined);
  const hasAliases = aliasCount(source) > 0 && aliasCount(source) === aliasCount(target);
  const owners: Owners | undefined = hasAliases ? [ownersOf(source), ownersOf(target)] : undefined;
  if (owners !== undefined) while (splitByAliases(alignment, owners));
  note(alignment, kinds, 'shape');
  const disputed = useNames(alignment, owners);
  note(alignment, kinds, 'names');
  while (splitByOrder(alignment, disputed)) {
    note(alignment, kinds, 'order');
    for (const key of useNames(alignment, owners)) disputed.add(key);
    note(alignment, kinds, 'names');
  }
  const partner = pairByEqualNames(alignment, ...types);
  pairAliases(alignment, partner, owners);
  const groups = ambiguousGroups(alignment, { source, target, partner, disputed });
  const doubts = doubtfulPairs({ names, types, partner, kinds });
  const ambiguous = [...groups, ...doubtfulGroup(doubts, { source, target, partner })];
  for (const key of doubts) partner[key] = -1;

  const pairs = new Map<string, string>();
  const evidence = { shape: 0, names: 0, order: 0 };
  partner.forEach((to, from) => {
    if (to < 0) return;
    pairs.set(source[from]!.name, target[to]!.name);
    evidence[kinds[from] ?? 'names']++;
  });
  const used = new Set(pairs.values());
  const open = new Set(ambiguous.flatMap(({ from }) => from));
  const openTarget = new Set(ambiguous.flatMap(({ to }) => to));
  const restSource = allSource.filter(({ name }) => !pairs.has(name) && !open.has(name));
  const restTarget = allTarget.filter(
    ({ name, isNeeded }) => isNeeded && !used.has(name) && !openTarget.has(name),
  );
  const counted = allTarget.filter(({ name, isNeeded }) => isNeeded || used.has(name)).length;
  const unmatchedSource = restSource.map(({ name }) => name);
  return {
    pairs,
    carried: carriedNames(pairs, unmatchedSource, new Set(allTarget.map(({ name }) => name))),
    score: (2 * pairs.size) / Math.max(1, allSource.length + counted),
    evidence,
    ambiguous,
    unmatchedSource,
    unmatchedTarget: restTarget.map(({ name }) => name),
    hints: transposedHints(restSource, restTarget),
  };
};

const isComplete = ({ ambiguous, unmatchedSource, unmatchedTarget }: AutoMap): boolean =>
  ambiguous.length + unmatchedSource.length + unmatchedTarget.length === 0;

/**
 * Finds the map. Deterministic; reads keys, types and shapes only. Second names of a tensor take part where both sides
 * have them; where one side has each tensor once, the other's second names are left out.
 */
export const autoMap = (source: ReadonlyMap<string, SourceKey>, target: readonly ExpectedKey[]): AutoMap => {
  const from = [...source].map(
    ([name, { dtype, dims, sharedWith }]): AutoKey => ({ name, dtype, dims, sharedWith, isNeeded: true }),
  );
  const to = target.map(
    ({ name, dtype = 'float32', shape, sharedWith, needed = true }): AutoKey => ({
      name,
      dtype,
      dims: shape,
      sharedWith,
      isNeeded: needed,
    }),
  );
  let best = attempt(from, to);
  const isOwn = ({ sharedWith }: AutoKey): boolean => sharedWith === undefined;
  const variants: [AutoKey[], AutoKey[], number][] = [
    [from, to.filter(isOwn), 0],
    [from.filter(isOwn), to.filter(isOwn), aliasCount(from)],
  ];
  for (const [ours, theirs, left] of variants) {
    if (isComplete(best) || aliasCount(from) === aliasCount(to)) break;
    if (ours.length === from.length && theirs.length === to.length) continue;
    const other = attempt(ours, theirs);
    if (other.score <= best.score) continue;
    const hint = `${left} second names of tensors are left out: the target names each tensor once`;
    best = left === 0 ? other : { ...other, hints: [...other.hints, hint] };
  }
  return best;
};
