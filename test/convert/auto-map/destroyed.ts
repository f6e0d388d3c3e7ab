/**
 * Which keys a renaming has really made exchangeable: a second, slow and separate look at the truth.
 *
 * From the truth it is known which modules, segments and places in the file exist on both sides. Keys are told apart by
 * everything of that until nothing changes; what then still looks the same has lost what told it apart.
 */
import type { ExpectedKey } from '../../../src/convert/compare-keys.ts';
import type { Renaming } from './renaming.ts';

const segmentsOf = (keys: Iterable<string>): ((key: string) => string[]) => {
  const hasLevels = [...keys].some((key) => /[./]/.test(key));
  return (key) => key.split(hasLevels ? /[./]/ : /[_.]/);
};

/** Sets of keys by what they have in common. */
const setsOf = (
  keys: readonly string[],
  traitsOf: (key: string) => readonly string[],
): Map<string, string[]> => {
  const sets = new Map<string, string[]>();
  for (const key of keys) {
    for (const trait of new Set(traitsOf(key))) {
      const set = sets.get(trait) ?? [];
      sets.set(trait, set);
      set.push(key);
    }
  }
  return sets;
};

const prefixesOf = (segments: readonly string[]): string[] =>
  segments.slice(0, -1).map((_, depth) => JSON.stringify(segments.slice(0, depth + 1)));

/** A text for each key of the target; keys with equal texts have become exchangeable. */
export const remainingInformation = (
  keys: readonly ExpectedKey[],
  { rule, source, names }: Renaming,
): Map<string, string> => {
  const target = keys.map(({ name }) => name);
  const back = new Map([...names].map(([name, renamed]) => [renamed, name]));
  const renamed = [...source.keys()];
  const [ours, theirs] = [segmentsOf(renamed), segmentsOf(target)];
  const traits: ((segments: readonly string[]) => readonly string[])[] = [prefixesOf];
  if (rule.naming === 'tokens') traits.push((segments) => segments);
  if (rule.suffixes === 'tokens') traits.push((segments) => segments.slice(-1));
  /** Sets that both sides have, and sets that one side has alone: with those, the others may be confused. */
  const common: string[][] = [];
  const single: string[][] = [];
  for (const traitsOf of traits) {
    const textOf = (set: readonly string[]): string => [...set].sort().join(' ');
    const inSource = [...setsOf(renamed, (key) => traitsOf(ours(key))).values()].map((set) =>
      set.map((key) => back.get(key)!),
    );
    const inTarget = [...setsOf(target, (key) => traitsOf(theirs(key))).values()];
    const [there, here] = [new Set(inSource.map(textOf)), new Set(inTarget.map(textOf))];
    common.push(...inTarget.filter((set) => there.has(textOf(set))));
    single.push(...inTarget.filter((set) => !there.has(textOf(set))));
    single.push(...inSource.filter((set) => !here.has(textOf(set))));
  }

  const places = new Map<string, number>();
  const colours = new Map(
    keys.map(({ name, shape, dtype }, index) => {
      const module = name.slice(0, Math.max(0, name.lastIndexOf('.')));
      const place = places.get(module) ?? 0;
      places.set(module, place + 1);
      const known: unknown[] = [shape, dtype];
      if (rule.order === 'same') known.push(index);
      if (rule.order !== 'sorted') known.push(place);
      if (rule.naming === 'same' || rule.naming === 'words') known.push(module);
      if (rule.suffixes !== 'tokens') known.push(name.slice(module.length));
      return [name, JSON.stringify(known)];
    }),
  );
  const memberships = new Map(target.map((name) => [name, [] as number[]]));
  common.forEach((set, index) => {
    for (const name of set) memberships.get(name)!.push(index);
  });
  for (let before = 0; before !== new Set(colours.values()).size; ) {
    before = new Set(colours.values()).size;
    const ids = new Map([...new Set(colours.values())].sort().map((colour, id) => [colour, id]));
    const contentOf = (set: readonly string[]): string =>
      set
        .map((name) => ids.get(colours.get(name)!)!)
        .sort((a, b) => a - b)
        .join();
    const contents = common.map(contentOf);
    const confused = new Set(single.map(contentOf));
    const contentIds = new Map([...new Set(contents)].sort().map((content, id) => [content, id]));
    for (const name of target) {
      const around = memberships
        .get(name)!
        .filter((index) => !confused.has(contents[index]!))
        .map((index) => contentIds.get(contents[index]!)!)
        .sort((a, b) => a - b);
      colours.set(name, `${ids.get(colours.get(name)!)} ${around.join()}`);
    }
  }
  return colours;
};
