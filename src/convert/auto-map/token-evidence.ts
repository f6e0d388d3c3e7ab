/**
 * Tells keys apart by where else their segments occur. A rule that gives every segment one new name, however
 * meaningless, keeps this: the segment that 16 convolutions and 16 norms of the target share corresponds to the one
 * that theirs share in the source.
 *
 * It is used only where the rule holds: nine in ten segments must have a counterpart of the same use.
 */
import { type Alignment, mixA, mixB, multisetNumber } from './alignment.ts';
import { segmenterFor } from './key-words.ts';

/** The segments of a key that one hypothesis speaks of. */
type Family = (segments: readonly string[]) => readonly string[];

const lastButOf =
  (count: number): Family =>
  (segments) =>
    segments.length > count ? [segments.at(-1 - count)!] : [];

/** All segments wherever they stand; or those in one place, counted from the end, as prefixes come and go. */
const FAMILIES: readonly Family[] = [(segments) => segments, ...[0, 1, 2, 3].map(lastButOf)];

/** The share of segments that must have a counterpart. */
const MIN_SHARE = 0.9;

interface Token {
  sumA: number;
  sumB: number;
  /** Of the keys themselves: segments that always come together are one. */
  place: number;
}

const tokensOf = (
  lists: readonly (readonly string[])[],
  colour: Int32Array,
  isUsed: Uint8Array,
): Map<string, Token> => {
  const tokens = new Map<string, Token>();
  lists.forEach((segments, key) => {
    if (isUsed[key] === 0) return;
    for (const segment of segments) {
      const token = tokens.get(segment) ?? { sumA: 0, sumB: 0, place: 0 };
      tokens.set(segment, token);
      token.sumA = (token.sumA + mixA(colour[key]!)) >>> 0;
      token.sumB = (token.sumB + mixB(colour[key]!)) >>> 0;
      token.place = (token.place + mixA(key) * 2097152 + mixB(key)) % 0x1fffffffffffff;
    }
  });
  return tokens;
};

/** For each key a number for its segments' uses, 0 where they say nothing; undefined when the rule does not hold. */
const marksOf = (
  alignment: Alignment,
  segments: readonly (readonly (readonly string[])[])[],
  isUsed: readonly Uint8Array[],
): [Int32Array, Int32Array] | undefined => {
  const counts = new Map<number, [number, number]>();
  let all = 0;
  const sides = alignment.sides.map(({ colour }, i) => {
    const tokens = tokensOf(segments[i]!, colour, isUsed[i]!);
    const places = new Map<number, number>();
    for (const { place, sumA, sumB } of tokens.values()) places.set(place, multisetNumber(sumA, sumB));
    for (const use of places.values()) {
      const count = counts.get(use) ?? [0, 0];
      counts.set(use, count);
      count[i]!++;
    }
    all += places.size;
    return tokens;
  });
  const shared = [...counts.values()].reduce((sum, [from, to]) => sum + 2 * Math.min(from, to), 0);
  if (shared < MIN_SHARE * all) return undefined;
  const numbers = new Map<number, number>();
  const [from, to] = sides.map((tokens, i) =>
    Int32Array.from(segments[i]!, (list, key) => {
      if (isUsed[i]![key] === 0) return 0;
      let sumA = 0;
      let sumB = 0;
      // Segments that always come together (a prefix of two levels) count once.
      const uses = new Map(list.map((segment) => [tokens.get(segment)!.place, tokens.get(segment)!]));
      for (const token of uses.values()) {
        const use = multisetNumber(token.sumA, token.sumB);
        const [ours, theirs] = counts.get(use)!;
        if (ours !== theirs) continue;
        const number = numbers.get(use) ?? numbers.size + 1;
        numbers.set(use, number);
        sumA = (sumA + mixA(number)) >>> 0;
        sumB = (sumB + mixB(number)) >>> 0;
      }
      const whole = multisetNumber(sumA, sumB) + 0.5;
      const number = numbers.get(whole) ?? numbers.size + 1;
      numbers.set(whole, number);
      return number;
    }),
  );
  return [from!, to!];
};

/** Takes the marks back from colours that they would split unevenly. */
const keepEven = (alignment: Alignment, marks: readonly [Int32Array, Int32Array]): boolean => {
  let hasSplit = false;
  for (const { from, to } of alignment.classes().values()) {
    const counts = new Map<number, number>();
    for (const key of from) counts.set(marks[0][key]!, (counts.get(marks[0][key]!) ?? 0) + 1);
    for (const key of to) counts.set(marks[1][key]!, (counts.get(marks[1][key]!) ?? 0) - 1);
    const isEven = [...counts.values()].every((count) => count === 0);
    if (isEven && counts.size > 1) hasSplit = true;
    if (isEven) continue;
    for (const key of from) marks[0][key] = 0;
    for (const key of to) marks[1][key] = 0;
  }
  return hasSplit;
};

/** Splits colours by the uses of segments; true when any was split. */
export const splitByTokens = (alignment: Alignment): boolean => {
  if (alignment.isSettled) return false;
  const segments = alignment.sides.map(({ names }) => names.map(segmenterFor(names)));
  for (const family of FAMILIES) {
    const isUsed = alignment.sides.map(({ names }) => new Uint8Array(names.length));
    for (const { from, to } of alignment.classes().values()) {
      if (from.length !== to.length) continue;
      for (const key of from) isUsed[0]![key] = 1;
      for (const key of to) isUsed[1]![key] = 1;
    }
    const chosen = segments.map((lists) => lists.map(family));
    const marks = marksOf(alignment, chosen, isUsed);
    if (marks === undefined || !keepEven(alignment, marks)) continue;
    alignment.split(marks);
    return true;
  }
  return false;
};
