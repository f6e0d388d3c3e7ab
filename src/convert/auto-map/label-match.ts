/**
 * Which of several labels is which: the names of modules or parameters that nothing but their names tells apart.
 * An answer is given only where it is complete and there is no second one.
 */
import { isNumber, isSameWord, plainWords } from './key-words.ts';

/**
 * How far numbers are believed: not at all; where they are all shifted by the same amount; or wherever they come in
 * the same order.
 */
export type NumberTrust = 'none' | 'shift' | 'rank';

export interface LabelMatch {
  /** For each label, the index of its partner. */
  readonly partner: readonly number[];
  /** Numbers decided that were not simply equal under equal words. */
  readonly byNumber: boolean;
}

type Words = readonly string[];

/** Without the words that all labels begin or end with. */
export const withoutCommonAffixes = (labels: readonly Words[]): Words[] => {
  const shortest = labels.reduce((min, { length }) => Math.min(min, length), Infinity);
  const first = labels[0] ?? [];
  let start = 0;
  while (start < shortest && labels.every((words) => words[start] === first[start])) start++;
  let end = 0;
  const isCommonEnd = (words: Words): boolean => words.at(-1 - end) === first.at(-1 - end);
  while (end < shortest - start && labels.every(isCommonEnd)) end++;
  return labels.map((words) => words.slice(start, words.length - end));
};

/** The partner of each text, when both lists hold the same texts, each once. */
const matchEqual = (from: readonly string[], to: readonly string[]): number[] | undefined => {
  const places = new Map(to.map((text, i) => [text, i]));
  const partner = from.map((text) => places.get(text) ?? -1);
  const isComplete = places.size === to.length && new Set(partner).size === from.length;
  return isComplete && !partner.includes(-1) ? partner : undefined;
};

/** Numbers by their rank. */
const matchNumbers = (
  from: readonly string[],
  to: readonly string[],
  trust: NumberTrust,
): number[] | undefined => {
  const order = (texts: readonly string[]): number[] =>
    [...texts.keys()].sort((a, b) => Number(texts[a]) - Number(texts[b]));
  const ranked = order(to);
  const partner: number[] = [];
  const shifts = new Set<number>();
  order(from).forEach((index, rank) => {
    partner[index] = ranked[rank]!;
    shifts.add(Number(from[index]) - Number(to[ranked[rank]!]));
  });
  return trust === 'rank' || (trust === 'shift' && shifts.size === 1) ? partner : undefined;
};

/** More labels than this are not compared each with each. */
const MAX_MEANINGS = 64;

/**
 * Labels without numbers that both sides have, then labels that each have most words in common with one other (the
 * same or of one meaning). A single pair may be left over, which then belongs together.
 */
const matchMeanings = (from: readonly Words[], to: readonly Words[]): number[] | undefined => {
  if (from.length < 2 || from.length > MAX_MEANINGS) return undefined;
  const texts = new Map(to.map((words, i) => [words.join(' '), i]));
  const equal = from.map((words) => (words.some(isNumber) ? undefined : texts.get(words.join(' '))));
  const taken = new Set(equal);
  const common = (a: Words, b: Words): number =>
    a.filter((x) => !isNumber(x) && b.some((y) => !isNumber(y) && isSameWord(x, y))).length;
  const found = from.map((words, i) => {
    if (equal[i] !== undefined) return [equal[i]];
    const counts = to.map((others, j) => (taken.has(j) ? 0 : common(words, others)));
    const most = counts.reduce((max, count) => Math.max(max, count), 1);
    return counts.flatMap((count, j) => (count === most ? [j] : []));
  });
  const certain = new Set(found.flat());
  const rest = found.filter(({ length }) => length === 0).length;
  if (found.some(({ length }) => length > 1) || rest > 1 || certain.size !== from.length - rest)
    return undefined;
  const free = [...to.keys()].find((i) => !certain.has(i)) ?? -1;
  return found.map(([index]) => index ?? free);
};

/** Whether texts that stand for each other do so everywhere: one partner for each, and no partner for two. */
const isTranslation = (pairs: readonly (readonly [string, string])[]): boolean => {
  const there = new Map(pairs);
  const back = new Map(pairs.map(([a, b]) => [b, a]));
  return pairs.every(([a, b]) => there.get(a) === b && back.get(b) === a);
};

/** `groupedblock` is `block` with something before it, where there is a `block` as well. */
const stems = (words: readonly string[]): string[] =>
  words.map((word) => words.reduce((stem, other) => (stem.endsWith(other) ? other : stem), word));

/**
 * Labels of several parts each, all of one form: the numbers, part by part, say which is which (or the words, where
 * they are the same), and the words translate without contradiction.
 */
const matchParts = (
  from: readonly Words[],
  to: readonly Words[],
  trust: NumberTrust,
): number[] | undefined => {
  const length = from[0]?.length ?? 0;
  if (length === 0 || length > 8 || [...from, ...to].some((words) => words.length !== length))
    return undefined;
  const chosen: { ours: string[]; theirs: string[] }[] = [];
  const rest: number[] = [];
  for (let part = 0; part < length; part++) {
    const [ours, theirs] = [from.map((words) => words[part]!), to.map((words) => words[part]!)];
    const [own, other] = [[...new Set(ours)], [...new Set(theirs)]];
    const areNumbers = [...own, ...other].every(isNumber);
    const isEven = own.length === other.length;
    const match = areNumbers ? matchNumbers : matchEqual;
    const partner = isEven ? match(own, other, trust) : undefined;
    if (partner === undefined && areNumbers) return undefined;
    if (partner === undefined) rest.push(part);
    else {
      const translation = new Map(own.map((text, i) => [text, other[partner[i]!]!]));
      chosen.push({ ours: ours.map((text) => translation.get(text)!), theirs });
    }
  }
  const joined = (which: 'ours' | 'theirs'): string[] =>
    from.map((_, i) => chosen.map((part) => part[which][i]).join(' '));
  const partner = matchEqual(joined('ours'), joined('theirs'));
  if (partner === undefined) return undefined;
  const isConsistent = rest.every((part) => {
    const [ours, theirs] = [stems(from.map((words) => words[part]!)), stems(to.map((words) => words[part]!))];
    return isTranslation(ours.map((word, i) => [word, theirs[partner[i]!]!]));
  });
  return isConsistent ? partner : undefined;
};

/** Labels of different lengths by what they end with: some modules may have got a level more than others. */
const matchEnds = (
  from: readonly Words[],
  to: readonly Words[],
  trust: NumberTrust,
): number[] | undefined => {
  const lengths = [...from, ...to].map(({ length }) => length).sort((a, b) => a - b);
  const shortest = lengths[0] ?? 0;
  if (shortest === 0 || shortest === lengths.at(-1)) return undefined;
  // One level more or none: different words before the ends mean that the ends are not all there is to say.
  const heads = (labels: readonly Words[]): Set<string> =>
    new Set(stems(labels.map((words) => words.slice(0, -shortest).join(' ')).filter((head) => head !== '')));
  if (heads(from).size > 1 || heads(to).size > 1) return undefined;
  const ends = (labels: readonly Words[]): Words[] => labels.map((words) => words.slice(-shortest));
  const isDistinct = (labels: readonly Words[]): boolean =>
    new Set(labels.map((words) => words.join(' '))).size === labels.length;
  const [ours, theirs] = [ends(from), ends(to)];
  return isDistinct(ours) && isDistinct(theirs) ? matchParts(ours, theirs, trust) : undefined;
};

/** Keras counts `conv`, `conv_1`, `conv_2`: no number is the number 0. */
const withZero = (labels: readonly Words[]): readonly Words[] => {
  const numbered = labels.filter(({ length }) => length > 0);
  const isCounted =
    numbered.length === labels.length - 1 &&
    numbered.every(([word = '', ...more]) => isNumber(word) && more.length === 0);
  return isCounted && numbered.every(([word]) => word !== '0')
    ? labels.map((words) => (words.length === 0 ? ['0'] : words))
    : labels;
};

/** Pairs labels (lists of words, all different on each side, as many on both); undefined when their names do not decide. */
export const matchLabels = (
  from: readonly Words[],
  to: readonly Words[],
  trust: NumberTrust,
): LabelMatch | undefined => {
  const plain = [from.map(plainWords), to.map(plainWords)] as const;
  const texts = plain.map((labels) => labels.map((words) => words.join(' ')));
  const equal = matchEqual(texts[0]!, texts[1]!);
  if (equal !== undefined) return { partner: equal, byNumber: false };
  const [ours, theirs] = plain.map((labels) => withZero(withoutCommonAffixes(labels)));
  const byParts = matchParts(ours!, theirs!, trust) ?? matchEnds(ours!, theirs!, trust);
  if (byParts !== undefined) return { partner: byParts, byNumber: true };
  const lower = (labels: readonly Words[]): Words[] =>
    withoutCommonAffixes(labels.map((words) => words.map((word) => word.toLowerCase())));
  const byMeaning = matchMeanings(lower(from), lower(to));
  return byMeaning === undefined ? undefined : { partner: byMeaning, byNumber: false };
};
