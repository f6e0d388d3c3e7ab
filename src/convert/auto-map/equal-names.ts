/**
 * The last step of the map: partners of what is alone with its counterpart, of aliases of one tensor, and of keys whose
 * names agree where the names of all certain pairs agree in the same way (a prefix put before or taken off, another
 * style of separators and capitals).
 */
import type { Owners } from './alias-evidence.ts';
import type { Alignment } from './alignment.ts';
import { plainKey } from './key-words.ts';

const plain = (name: string): string => plainKey(name).join('.');

/** The prefixes in which all certain pairs differ; undefined when they differ in something else. */
const prefixesOf = (pairs: readonly (readonly [string, string])[]): readonly [string, string] | undefined => {
  const [first] = pairs;
  if (first === undefined) return ['', ''];
  const [a, b] = [first[0].split('.'), first[1].split('.')];
  let common = 0;
  while (common < a.length && common < b.length && a.at(-1 - common) === b.at(-1 - common)) common++;
  const head = (words: readonly string[]): string =>
    words
      .slice(0, words.length - common)
      .map((word) => `${word}.`)
      .join('');
  const [from, to] = [head(a), head(b)];
  const fits = pairs.every(
    ([ours, theirs]) =>
      ours.startsWith(from) && theirs.startsWith(to) && ours.slice(from.length) === theirs.slice(to.length),
  );
  return common > 0 && fits ? [from, to] : undefined;
};

/**
 * For each key of the source its partner, −1 for none.
 * @param first the first colours of the keys of both sides: keys of different types and shapes are never paired
 */
export const pairByEqualNames = (
  alignment: Alignment,
  ...first: readonly [readonly string[], readonly string[]]
): Int32Array => {
  const [ours, theirs] = alignment.sides;
  const partner = new Int32Array(ours.names.length).fill(-1);
  const taken = new Set<number>();
  const certain: [string, string][] = [];
  for (const { from, to } of alignment.classes().values()) {
    if (from.length !== 1 || to.length !== 1) continue;
    partner[from[0]!] = to[0]!;
    taken.add(to[0]!);
    certain.push([plain(ours.names[from[0]!]!), plain(theirs.names[to[0]!]!)]);
  }
  const prefixes = prefixesOf(certain);
  if (prefixes === undefined) return partner;
  const places = new Map<string, number>();
  theirs.names.forEach((name, to) => {
    if (taken.has(to)) return;
    const place = `${first[1][to]} ${plain(name)}`;
    places.set(place, places.has(place) ? -1 : to);
  });
  ours.names.forEach((name, from) => {
    const text = plain(name);
    if (partner[from] !== -1 || !text.startsWith(prefixes[0])) return;
    const to = places.get(`${first[0][from]} ${prefixes[1]}${text.slice(prefixes[0].length)}`) ?? -1;
    if (to < 0 || taken.has(to)) return;
    partner[from] = to;
    taken.add(to);
  });
  return partner;
};

/** Pairs the names of one tensor with those of another in their order: it does not matter which is which. */
export const pairAliases = (alignment: Alignment, partner: Int32Array, owners: Owners | undefined): void => {
  if (owners === undefined) return;
  const taken = new Set(partner);
  for (const { from, to } of alignment.classes().values()) {
    const isOneTensor =
      from.length === to.length &&
      from.every((key) => partner[key] === -1 && owners[0][key] === owners[0][from[0]!]) &&
      to.every((key) => !taken.has(key) && owners[1][key] === owners[1][to[0]!]);
    if (!isOneTensor) continue;
    from.forEach((key, i) => {
      partner[key] = to[i]!;
    });
  }
};
