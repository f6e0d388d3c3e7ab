/**
 * Pairs that the rest of the map speaks against. Where both sides lack something, each in another place, damaged
 * modules can look alike and find each other by their contents. When nearly all pairs come in one order, a module that is
 * somewhere else is doubted, unless a shape that nothing else has proves it; and so is a segment that stands for another
 * one than everywhere else.
 */
import type { AutoEvidence } from '../auto-map.ts';
import { hasLevels, segmenterFor } from './key-words.ts';

export interface Pairing {
  /** Of the source and of the target. */
  readonly names: readonly [readonly string[], readonly string[]];
  /** First colours of the keys: what is of one type and shape. */
  readonly types: readonly [readonly string[], readonly string[]];
  /** For each key of the source its partner, −1 for none. */
  readonly partner: Int32Array;
  /** What decided each pair. */
  readonly kinds: readonly (keyof AutoEvidence | undefined)[];
}

/** The share of pairs that must come in one order for the others to be doubted. */
const MIN_ORDERED = 0.8;
/** The share of uses in which a segment must stand for one other for the rest to be odd. */
const MIN_USUAL = 0.8;

/** Which items of the sequence belong to a longest rising subsequence (patience sorting). */
const risingItems = (values: readonly number[]): boolean[] => {
  const tails: number[] = [];
  const before: number[] = [];
  values.forEach((value, i) => {
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[tails[middle]!]! < value) low = middle + 1;
      else high = middle;
    }
    before[i] = low > 0 ? tails[low - 1]! : -1;
    tails[low] = i;
  });
  const isRising = values.map(() => false);
  for (let i = tails.at(-1) ?? -1; i >= 0; i = before[i]!) isRising[i] = true;
  return isRising;
};

const groupBy = <T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(nameOf(item)) ?? [];
    groups.set(nameOf(item), group);
    group.push(item);
  }
  return groups;
};

/** Keys that follow each other out of order. */
const runsOutside = (keys: readonly number[], partner: Int32Array): number[][] => {
  const isRising = risingItems(keys.map((key) => partner[key]!));
  const runs: number[][] = [];
  keys.forEach((key, i) => {
    if (isRising[i]) return;
    if (i > 0 && !isRising[i - 1]) runs.at(-1)!.push(key);
    else runs.push([key]);
  });
  return runs;
};

/**
 * Where nearly all pairs come in one order: runs out of order that shapes alone have placed there, with what they have
 * changed places with; and pairs that shapes have made of, say, the second key of a type and the fourth.
 */
const outOfOrder = ({ types, partner, kinds }: Pairing): number[] => {
  const keys = [...partner.keys()].filter((key) => partner[key]! >= 0);
  const runs = runsOutside(keys, partner);
  const few = (1 - MIN_ORDERED) * keys.length;
  if (runs.flat().length > few) return [];
  const [ours, theirs] = types.map((list) => groupBy([...list.keys()], (key) => list[key]!));
  const isProved = (run: readonly number[]): boolean =>
    run.some((key) => ours!.get(types[0][key]!)!.length === 1);
  const crossed = runs
    .filter((run) => !isProved(run) && run.some((key) => kinds[key] === 'shape'))
    .flatMap((run) =>
      run.flatMap((key) => [
        key,
        ...ours!
          .get(types[0][key]!)!
          .filter((other) => partner[other]! >= 0 && other < key !== partner[other]! < partner[key]!),
      ]),
    );

  // A module that has really moved takes its keys out of the count.
  const moved = new Set(runs.filter(isProved).flat());
  const movedTo = new Set([...moved].map((key) => partner[key]!));
  const shifted = [...ours!].flatMap(([type, all]) => {
    const from = all.filter((key) => !moved.has(key));
    const to = (theirs!.get(type) ?? []).filter((key) => !movedTo.has(key));
    if (from.length !== to.length) return [];
    return from.filter((key, rank) => partner[key]! >= 0 && partner[key] !== to[rank]);
  });
  const isDoubtful = shifted.length <= few && shifted.some((key) => kinds[key] === 'shape');
  return isDoubtful ? [...crossed, ...shifted] : crossed;
};

/** Keys with a segment that stands for one segment in the same place of nearly all other keys, and for another in theirs. */
const oddlyTranslated = ({ names, types, partner }: Pairing): number[] => {
  // Where one side has no levels, segments cannot be told from words.
  if (names.some((list) => !hasLevels(list))) return [];
  const [ours, theirs] = names.map((list) => list.map(segmenterFor(list)));
  const rankOf = (key: number): number => types[0][key]!.split('×').length;
  const uses = new Map<string, Map<string, number[]>>();
  partner.forEach((to, key) => {
    if (to < 0) return;
    const [from, wanted] = [ours![key]!, theirs![to]!];
    for (let i = 1; i <= Math.min(from.length, wanted.length); i++) {
      const place = `${i} ${from.length} ${from.at(-i)}`;
      const translations = uses.get(place) ?? new Map<string, number[]>();
      uses.set(place, translations);
      const keys = translations.get(wanted.at(-i)!) ?? [];
      translations.set(wanted.at(-i)!, keys);
      keys.push(key);
    }
  });
  return [...uses.values()].flatMap((translations) => {
    const [usual = [], ...others] = [...translations.values()].sort((a, b) => b.length - a.length);
    const odd = others.flat();
    if (odd.length > (1 - MIN_USUAL) * (usual.length + odd.length)) return [];
    // A kernel and a scale may both be called weight on one side.
    const ranks = new Set(usual.map(rankOf));
    return odd.filter((key) => ranks.has(rankOf(key)));
  });
};

/** The block that a parameter's module stands in: its name without the last two segments. */
const blockOf = (key: string): string => {
  const module = Math.max(key.lastIndexOf('.'), key.lastIndexOf('/'));
  const block =
    module <= 0 ? -1 : Math.max(key.lastIndexOf('.', module - 1), key.lastIndexOf('/', module - 1));
  return key.slice(0, Math.max(block, 0));
};

/** Keys of the source whose pairs are doubtful: a doubt about one key is a doubt about its block. */
export const doubtfulPairs = (pairing: Pairing): Set<number> => {
  const { names, partner } = pairing;
  const doubtful = new Set([...outOfOrder(pairing), ...oddlyTranslated(pairing)]);
  const blockAt = (key: number): string => blockOf(names[1][partner[key]!]!);
  const blocks = new Set([...doubtful].map(blockAt));
  blocks.delete('');
  if (blocks.size > 0) {
    partner.forEach((to, key) => {
      if (to >= 0 && blocks.has(blockAt(key))) doubtful.add(key);
    });
  }
  return doubtful;
};
