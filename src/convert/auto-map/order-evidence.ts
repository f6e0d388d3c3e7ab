/**
 * Tells keys apart by their place in the file, where the order can be relied on: the colours come in the same sequence
 * everywhere, and that is not by chance.
 *
 * Chance: of the arrangements of n units with m₁, m₂… of equal colour there are n! / (m₁! m₂! …); the base-2 logarithm
 * of that, the surprise, must reach 12 bits (1 in 4096).
 */
import { type Alignment, PairNumbers, type Side } from './alignment.ts';

const MIN_SURPRISE = 12;

/** Bits of surprise that this sequence is met again. */
export const surpriseOf = (colours: readonly number[]): number => {
  const counts = new Map<number, number>();
  let bits = 0;
  colours.forEach((colour, i) => {
    const count = (counts.get(colour) ?? 0) + 1;
    counts.set(colour, count);
    bits += Math.log2((i + 1) / count);
  });
  return bits;
};

const parentName = (key: string): string =>
  key.slice(0, Math.max(key.lastIndexOf('.'), key.lastIndexOf('/'), 0));

/** One colour for each run of keys of one module: files are written module by module. */
const unitsOf = ({ names, colour }: Side, keys: readonly number[]): number[] => {
  const units: number[] = [];
  let last: string | undefined;
  for (const key of keys) {
    const parent = parentName(names[key]!);
    if (parent !== last || parent === '') units.push(colour[key]!);
    last = parent;
  }
  return units;
};

const isSameSequence = (a: Side, ours: readonly number[], b: Side, theirs: readonly number[]): boolean =>
  ours.length === theirs.length && ours.every((key, i) => a.colour[key] === b.colour[theirs[i]!]);

/**
 * Whether all lists are sorted by name. Then one rule for names has made the same order everywhere, and that it fits in
 * many modules is no more than one coincidence.
 */
const areSorted = ({ names }: Side, lists: Iterable<readonly number[]>): boolean => {
  for (const keys of lists) {
    if (keys.some((key, i) => i > 0 && names[keys[i - 1]!]! > names[key]!)) return false;
  }
  return true;
};

/** Keys of colours that both sides have equally often, in file order. */
const evenKeys = (alignment: Alignment): [number[], number[]] => {
  const classes = alignment.classes();
  const isEven = (colour: number): boolean => {
    const { from, to } = classes.get(colour)!;
    return from.length === to.length;
  };
  const [from, to] = alignment.sides.map(({ colour }) =>
    [...colour.keys()].filter((key) => isEven(colour[key]!)),
  );
  return [from!, to!];
};

/** Whether the colours come in the same sequence in both files. */
export const isOrderKept = (alignment: Alignment): boolean => {
  const [from, to] = evenKeys(alignment);
  return isSameSequence(alignment.sides[0], from, alignment.sides[1], to);
};

/** For each key of the source, its partner by file order (−1 for none), when the order of the whole file is reliable. */
export const orderOpinion = (alignment: Alignment): Int32Array | undefined => {
  const [ours, theirs] = alignment.sides;
  const [from, to] = evenKeys(alignment);
  if (!isSameSequence(ours, from, theirs, to)) return undefined;
  if (surpriseOf(unitsOf(theirs, to)) < MIN_SURPRISE) return undefined;
  const opinion = new Int32Array(ours.names.length).fill(-1);
  from.forEach((key, i) => {
    opinion[key] = to[i]!;
  });
  return opinion;
};

type Marks = [Int32Array, Int32Array];

const noMarks = (alignment: Alignment): Marks => {
  const [from, to] = alignment.sides.map(({ names }) => new Int32Array(names.length));
  return [from!, to!];
};

const wholeFileMarks = (alignment: Alignment): Marks | undefined => {
  const opinion = orderOpinion(alignment);
  if (opinion === undefined) return undefined;
  const marks = noMarks(alignment);
  opinion.forEach((partner, key) => {
    if (partner < 0) return;
    marks[0][key] = partner + 1;
    marks[1][partner] = partner + 1;
  });
  return marks;
};

/** How many certain nodes (contents that both sides have once) lie at or above each node. */
const certainDepths = (alignment: Alignment, { tree, content }: Side): Int32Array => {
  const depth = new Int32Array(tree.parent.length);
  for (let node = 0; node < depth.length; node++) {
    const above = tree.parent[node]!;
    const [from, to] = alignment.contents[content[node]!]!;
    const isCertain = from === 1 && to === 1 && tree.key[node] === -1;
    depth[node] = (above < 0 ? 0 : depth[above]!) + (isCertain ? 1 : 0);
  }
  return depth;
};

/** The keys of each certain node of this level, by its content, in file order. */
const keysAtLevel = ({ tree, content }: Side, depth: Int32Array, level: number): Map<number, number[]> => {
  const owner = new Int32Array(depth.length).fill(-1);
  for (let node = 0; node < depth.length; node++) {
    const above = tree.parent[node]!;
    const isHere = depth[node] === level && (above < 0 ? 0 : depth[above]!) < level;
    owner[node] = isHere ? content[node]! : above < 0 ? -1 : owner[above]!;
  }
  const keys = new Map<number, number[]>();
  tree.leaf.forEach((leaf, key) => {
    const node = owner[leaf]!;
    if (node < 0) return;
    const found = keys.get(node) ?? [];
    keys.set(node, found);
    found.push(key);
  });
  return keys;
};

/** Modules may come in any order, if inside each module of one level the order is reliable. */
const levelMarks = (alignment: Alignment): Marks | undefined => {
  const [ours, theirs] = alignment.sides;
  const depths = alignment.sides.map((side) => certainDepths(alignment, side));
  const deepest = depths[1]!.reduce((max, depth) => Math.max(max, depth), 0);
  for (let level = 1; level <= deepest; level++) {
    const from = keysAtLevel(ours, depths[0]!, level);
    const to = keysAtLevel(theirs, depths[1]!, level);
    const isKept = [...to].every(([node, keys]) => isSameSequence(ours, from.get(node) ?? [], theirs, keys));
    const surprise = [...to.values()].reduce((sum, keys) => sum + surpriseOf(unitsOf(theirs, keys)), 0);
    if (!isKept || surprise < MIN_SURPRISE || areSorted(ours, from.values())) continue;
    const marks = noMarks(alignment);
    [from, to].forEach((lists, i) => {
      for (const keys of lists.values()) {
        keys.forEach((key, position) => {
          marks[i]![key] = position + 1;
        });
      }
    });
    return marks;
  }
  return undefined;
};

/** The parameters of each smallest module, in file order, by the module's content. */
const parametersByModule = (alignment: Alignment, side: Side): Map<number, number[][]> => {
  const modules = new Map<number, number[]>();
  side.tree.leaf.forEach((leaf, key) => {
    const module = alignment.sharedAbove(side, leaf);
    // `conv.weight` is no parameter of the block that has `conv`: another module may come between.
    if (module < 0 || module !== side.tree.parent[leaf] || !side.tree.isDirect[leaf]) return;
    const found = modules.get(module) ?? [];
    modules.set(module, found);
    found.push(key);
  });
  const byContent = new Map<number, number[][]>();
  for (const [module, keys] of modules) {
    const content = side.content[module]!;
    const found = byContent.get(content) ?? [];
    byContent.set(content, found);
    found.push(keys);
  }
  return byContent;
};

/** Modules may come in any order, if inside all the smallest modules the parameters keep theirs. */
const parameterMarks = (alignment: Alignment): Marks | undefined => {
  const marks = noMarks(alignment);
  const sequences = new Map<number, string>();
  const numbers = new PairNumbers();
  let surprise = 0;
  for (const [i, side] of alignment.sides.entries()) {
    const byContent = parametersByModule(alignment, side);
    if (i === 0 && areSorted(side, [...byContent.values()].flat())) return undefined;
    for (const [content, modules] of byContent) {
      for (const keys of modules) {
        const colours = keys.map((key) => side.colour[key]!);
        const sequence = colours.join(' ');
        if ((sequences.get(content) ?? sequence) !== sequence) return undefined;
        sequences.set(content, sequence);
        if (i === 1) surprise += surpriseOf(colours);
        keys.forEach((key, position) => {
          marks[i]![key] = 1 + numbers.of(content, position);
        });
      }
    }
  }
  return surprise < MIN_SURPRISE ? undefined : marks;
};

/**
 * Splits colours by file order, except those of disputed keys of the source; true when any was split. Tried are the order of the
 * whole file, the order inside the modules of one level, and the order of parameters inside their modules.
 */
export const splitByOrder = (alignment: Alignment, disputed: ReadonlySet<number>): boolean => {
  if (alignment.isSettled) return false;
  const blocked = new Set([...disputed].map((key) => alignment.sides[0].colour[key]!));
  for (const marksOf of [wholeFileMarks, levelMarks, parameterMarks]) {
    const marks = marksOf(alignment);
    if (marks === undefined) continue;
    alignment.sides.forEach(({ colour }, i) => {
      colour.forEach((each, key) => {
        if (blocked.has(each)) marks[i]![key] = 0;
      });
    });
    const before = alignment.classes().size;
    alignment.split(marks);
    if (alignment.classes().size > before) return true;
  }
  return false;
};
