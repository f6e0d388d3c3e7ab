/**
 * Random consistent renamings of a state dict, with the truth beside them: what every key is called now, and which
 * information the rule has destroyed.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { SourceKey } from '../../../src/convert/auto-map.ts';
import type { ExpectedKey } from '../../../src/convert/compare-keys.ts';
import type { DType } from '../../../src/core/dtype.ts';
import { createRng, type Rng } from '../../../src/core/rng.ts';

const file = fileURLToPath(new URL('../../fixtures/convert/key-lists.tsv.gz', import.meta.url));

/** The keys of 23 networks, in the order of their state dicts. */
export const networks: ReadonlyMap<string, readonly ExpectedKey[]> = new Map(
  gunzipSync(readFileSync(file))
    .toString()
    .split('# ')
    .slice(1)
    .map((text) => {
      const [name = '', ...lines] = text.trimEnd().split('\n');
      return [
        name,
        lines.map((line): ExpectedKey => {
          const [key = '', shape = '[]', dtype = 'float32', alias] = line.split('\t');
          return {
            name: key,
            shape: JSON.parse(shape),
            dtype: dtype as DType,
            ...(alias === undefined ? {} : { sharedWith: alias.slice(2) }),
          };
        }),
      ];
    }),
);

/** How modules are called: the same; by other words; by a random token for each segment, or for each module. */
export type Naming = 'same' | 'words' | 'tokens' | 'modules';
/** How parameters are called: the same; by the words of other libraries; by random tokens. */
export type Suffixes = 'same' | 'words' | 'tokens';
/** In which order the file has them: the same; modules shuffled; modules shuffled among their siblings; by name. */
export type Order = 'same' | 'modules' | 'siblings' | 'sorted';

export interface Rule {
  readonly naming: Naming;
  readonly suffixes: Suffixes;
  readonly order: Order;
  readonly says: string;
}

export interface Renaming {
  readonly rule: Rule;
  readonly source: ReadonlyMap<string, SourceKey>;
  /** New name by name in the target. */
  readonly names: ReadonlyMap<string, string>;
}

const WORDS: Readonly<Record<string, string>> = {
  layer: 'stage_',
  conv: 'convolution',
  bn: 'norm',
  features: 'body',
  classifier: 'head',
  downsample: 'shortcut',
  fc: 'dense',
  linear: 'dense_',
  prelu: 'activation',
  pretrain_net: 'teacher',
  base_net: 'trunk',
  se: 'squeeze',
  skip: 'identity_path',
};
const SUFFIXES: readonly Readonly<Record<string, string>>[] = [
  { running_mean: 'moving_mean', running_var: 'moving_variance', weight: 'kernel', bias: 'bias' },
  { running_mean: 'mean', running_var: 'variance', weight: 'scale', bias: 'offset' },
  { running_mean: 'moving_mean', running_var: 'moving_var', weight: 'gamma', bias: 'beta' },
];

const pick = <T>(rng: Rng, items: readonly T[]): T => items[rng.integer(items.length)]!;

const shuffled = <T>(rng: Rng, items: readonly T[]): T[] => {
  const list = [...items];
  for (let i = list.length - 1; i > 0; i--) {
    const j = rng.integer(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
};

type Tokens = () => string;

/** Tokens that never come twice: letters, letters and digits, or numbers behind one letter. */
const tokenMaker = (rng: Rng, kind: 'letters' | 'hex' | 'numbers'): Tokens => {
  const used = new Set<string>();
  const letters = (alphabet: string, length: number): string =>
    Array.from({ length }, () => alphabet[rng.integer(alphabet.length)]).join('');
  return () => {
    for (;;) {
      const token =
        kind === 'numbers'
          ? `m${rng.integer(5000 + 2 * used.size)}`
          : kind === 'hex'
            ? letters('0123456789abcdef', 6)
            : letters('abcdefghijklmnopqrstuvwxyz', 4 + rng.integer(4));
      if (used.has(token)) continue;
      used.add(token);
      return token;
    }
  };
};

const renamerOf = (rng: Rng, rule: Rule, says: string[]): ((segments: readonly string[]) => string[]) => {
  const kind = pick(rng, ['letters', 'letters', 'hex', 'numbers'] as const);
  const token = tokenMaker(rng, kind);
  const random = new Map<string, string>();
  const tokenOf = (what: string): string => {
    const known = random.get(what) ?? token();
    random.set(what, known);
    return known;
  };
  if (rule.naming === 'tokens' || rule.naming === 'modules' || rule.suffixes === 'tokens') says.push(kind);
  const shift = rule.naming === 'words' ? pick(rng, [0, 0, 1, 1, 2]) : 0;
  const shiftDepth = pick(rng, [-1, 0, 1, 2]);
  const width = rule.naming === 'words' ? pick(rng, [1, 1, 2, 3]) : 1;
  if (shift > 0) says.push(`numbers + ${shift}${shiftDepth < 0 ? '' : ` at level ${shiftDepth}`}`);
  if (width > 1) says.push(`${width} digits`);
  const table = pick(rng, SUFFIXES);
  const wordsFor = (segment: string, depth: number): string =>
    segment
      .replace(/^(pretrain_net|base_net|[a-z]+)/, (word) => WORDS[word] ?? word)
      .replace(/\d+/g, (digits) =>
        String(Number(digits) + (shiftDepth < 0 || shiftDepth === depth ? shift : 0)).padStart(width, '0'),
      );
  return (segments) => {
    const modules = segments.slice(0, -1).map((segment, depth) => {
      if (rule.naming === 'tokens') return tokenOf(segment);
      if (rule.naming === 'modules') return tokenOf(segments.slice(0, depth + 1).join('.'));
      return rule.naming === 'words' ? wordsFor(segment, depth) : segment;
    });
    const last = segments.at(-1)!;
    const suffix =
      rule.suffixes === 'same'
        ? last
        : rule.suffixes === 'words'
          ? (table[last] ?? last)
          : tokenOf(`.${last}`);
    return [...modules, suffix];
  };
};

/** Levels put in or joined. */
const nesterOf = (
  rng: Rng,
  keys: readonly ExpectedKey[],
  says: string[],
): ((segments: readonly string[]) => string[]) => {
  const tops = [...new Set(keys.map(({ name }) => name.split('.')[0]!))];
  const kind = pick(rng, ['none', 'none', 'prefix', 'prefix', 'strip', 'group', 'inner', 'joined'] as const);
  const prefix = pick(rng, [['module'], ['backbone'], ['model', 'net'], ['_orig_mod', 'module']]);
  const some = new Set(tops.filter(() => rng.next() < 0.6));
  if (kind !== 'none') says.push(kind);
  return (segments) => {
    const [first = '', ...rest] = segments;
    const original = tops.length > 1 ? first : '';
    if (kind === 'prefix') return [...prefix, ...segments];
    if (kind === 'strip' && tops.length === 1) return rest;
    if (kind === 'group' && some.has(original)) return ['grouped', ...segments];
    if (kind === 'inner' && rest.length > 1) return [first, 'inner', ...rest];
    if (kind === 'joined' && rest.length > 1) return [`${first}_${rest[0]}`, ...rest.slice(1)];
    return [...segments];
  };
};

const styleOf = (rng: Rng, says: string[]): ((segments: readonly string[]) => string) => {
  const separator = pick(rng, ['.', '.', '/', '_']);
  const capitals = pick(rng, ['same', 'same', 'upper', 'camel', 'first']);
  if (separator !== '.') says.push(`"${separator}"`);
  if (capitals !== 'same') says.push(capitals);
  const styled = (segment: string): string => {
    if (capitals === 'upper') return segment.toUpperCase();
    if (capitals === 'first') return segment.slice(0, 1).toUpperCase() + segment.slice(1);
    return capitals === 'camel'
      ? segment.replace(/([a-z])_([a-z])/g, (_, a: string, b: string) => a + b.toUpperCase())
      : segment;
  };
  return (segments) => segments.map(styled).join(separator);
};

const moduleOf = (key: string): string => key.slice(0, Math.max(0, key.lastIndexOf('.')));

const grouped = <T>(items: readonly T[], nameOf: (item: T) => string): T[][] => {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(nameOf(item)) ?? [];
    groups.set(nameOf(item), group);
    group.push(item);
  }
  return [...groups.values()];
};

const shuffledSiblings = (rng: Rng, keys: readonly ExpectedKey[], depth: number): ExpectedKey[] => {
  const isParameter = ({ name }: ExpectedKey): boolean => name.split('.').length === depth + 1;
  const groups = grouped(keys, (key) =>
    isParameter(key)
      ? ''
      : key.name
          .split('.')
          .slice(0, depth + 1)
          .join('.'),
  );
  return shuffled(rng, groups).flatMap((group) =>
    isParameter(group[0]!) ? group : shuffledSiblings(rng, group, depth + 1),
  );
};

const ordered = (
  rng: Rng,
  order: Order,
  keys: readonly ExpectedKey[],
  names: ReadonlyMap<string, string>,
): ExpectedKey[] => {
  if (order === 'modules')
    return shuffled(
      rng,
      grouped(keys, ({ name }) => moduleOf(name)),
    ).flat();
  if (order === 'siblings') return shuffledSiblings(rng, keys, 0);
  if (order === 'sorted') return [...keys].sort((a, b) => (names.get(a.name)! < names.get(b.name)! ? -1 : 1));
  return [...keys];
};

/** A random rule applied to the keys; every seed gives another one. */
export const renamingOf = (keys: readonly ExpectedKey[], seed: number): Renaming => {
  for (let round = 0; ; round++) {
    const rng = createRng(seed * 1000 + round);
    const naming = pick<Naming>(rng, [
      'same',
      'words',
      'words',
      'words',
      'tokens',
      'tokens',
      'modules',
      'modules',
    ]);
    const suffixes = pick<Suffixes>(rng, ['same', 'words', 'tokens']);
    const order = pick<Order>(rng, ['same', 'same', 'modules', 'siblings', 'sorted']);
    const says: string[] = [naming, suffixes, order];
    const renamed = renamerOf(rng, { naming, suffixes, order, says: '' }, says);
    const nested = nesterOf(rng, keys, says);
    const joined = styleOf(rng, says);
    const names = new Map(keys.map(({ name }) => [name, joined(nested(renamed(name.split('.'))))]));
    if (new Set(names.values()).size !== keys.length) continue;
    const inFile = ordered(rng, order, keys, names);
    const places = new Map(inFile.map(({ name }, i) => [name, i]));
    // The first name of a tensor in the file owns it.
    const owners = new Map<string, string>();
    const source = new Map<string, SourceKey>();
    for (const { name, shape, dtype = 'float32', sharedWith } of inFile) {
      const tensor = sharedWith ?? name;
      const owner = owners.get(tensor);
      owners.set(tensor, owner ?? names.get(name)!);
      source.set(names.get(name)!, {
        dtype,
        dims: shape,
        ...(owner === undefined ? {} : { sharedWith: owner }),
      });
    }
    if (places.size !== keys.length) throw new Error('keys were lost');
    return { rule: { naming, suffixes, order, says: says.join(', ') }, source, names };
  }
};
