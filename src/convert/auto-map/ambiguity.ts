/** What stays open, in groups that a person can look at: modules that are alike as one group, else keys that are alike. */
import type { AmbiguousGroup, AutoKey } from '../auto-map.ts';
import type { Alignment, Side } from './alignment.ts';
import { isOrderKept } from './order-evidence.ts';

interface Open {
  readonly source: readonly AutoKey[];
  readonly target: readonly AutoKey[];
  readonly partner: Int32Array;
  readonly disputed: ReadonlySet<number>;
}

interface Group {
  readonly from: number[];
  readonly to: number[];
  /** How many modules are alike, 0 when it is about single keys. */
  readonly modules: number;
}

/** For each node, the content of the highest module above or at it that is one of several alike; −1 for none. */
const highestTied = (alignment: Alignment, { tree, content }: Side): Int32Array => {
  const tied = new Int32Array(tree.parent.length).fill(-1);
  for (let node = 0; node < tied.length; node++) {
    const above = tree.parent[node]!;
    if (above >= 0 && tied[above]! >= 0) tied[node] = tied[above]!;
    else if (tree.key[node] === -1) {
      const [from, to] = alignment.contents[content[node]!]!;
      if (from > 1 && from === to) tied[node] = content[node]!;
    }
  }
  return tied;
};

const groupsOf = (alignment: Alignment, { partner }: Open): Group[] => {
  const tied = alignment.sides.map((side) => highestTied(alignment, side));
  const taken = new Set(partner);
  const groups = new Map<string, Group>();
  for (const [colour, { from, to }] of alignment.classes()) {
    const openFrom = from.filter((key) => partner[key] === -1);
    const openTo = to.filter((key) => !taken.has(key));
    if (openFrom.length === 0 || openTo.length === 0) continue;
    const module = tied[0]![alignment.sides[0].tree.leaf[openFrom[0]!]!]!;
    const name = module >= 0 ? `module ${module}` : `key ${colour}`;
    const modules = module >= 0 ? alignment.contents[module]![0] : 0;
    const group = groups.get(name) ?? { from: [], to: [], modules };
    groups.set(name, group);
    group.from.push(...openFrom);
    group.to.push(...openTo);
  }
  return [...groups.values()];
};

const reasonOf = (alignment: Alignment, group: Group, { source, disputed }: Open): string => {
  const { dtype, dims } = source[group.from[0]!]!;
  const type = `${dtype} [${dims.join(', ')}]`;
  const [from, to] = [group.from.length, group.to.length];
  if (from !== to) {
    return `${from} keys of the checkpoint fit ${to} of the target (${type}), and their names do not decide`;
  }
  const alike =
    group.modules > 1
      ? `${group.modules} modules of ${from / group.modules} keys each have the same shapes`
      : `${from} keys have the same type and shape, ${type}`;
  if (group.from.some((key) => disputed.has(key))) {
    return `${alike}; the numbers in their names and the order of the file contradict each other`;
  }
  const order = isOrderKept(alignment)
    ? 'too few shapes differ for the order of the file to prove anything'
    : 'the order of the file is not that of the target';
  return `${alike}; their names carry no information, and ${order}`;
};

/** All groups of keys that have counterparts, but no partner; in the order of the source. */
export const ambiguousGroups = (alignment: Alignment, open: Open): AmbiguousGroup[] =>
  groupsOf(alignment, open)
    .map((group) => ({
      ...group,
      from: group.from.sort((a, b) => a - b),
      to: group.to.sort((a, b) => a - b),
    }))
    .sort((a, b) => a.from[0]! - b.from[0]!)
    .map((group) => ({
      from: group.from.map((key) => open.source[key]!.name),
      to: group.to.map((key) => open.target[key]!.name),
      reason: reasonOf(alignment, group, open),
    }));

/** Pairs that are not trusted, as one group, if there are any. */
export const doubtfulGroup = (
  doubts: ReadonlySet<number>,
  { source, target, partner }: Pick<Open, 'source' | 'target' | 'partner'>,
): AmbiguousGroup[] => {
  if (doubts.size === 0) return [];
  const keys = [...doubts].sort((a, b) => a - b);
  const partners = keys.map((key) => partner[key]!).sort((a, b) => a - b);
  return [
    {
      from: keys.map((key) => source[key]!.name),
      to: partners.map((key) => target[key]!.name),
      reason:
        'by shapes they are paired in another way than the names or the order of nearly all other keys say: something may be missing on both sides',
    },
  ];
};
