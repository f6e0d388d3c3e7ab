/** Tells apart by name what has the same contents: sibling modules and sibling parameters whose labels decide. */
import { type Alignment, PairNumbers, type Side } from './alignment.ts';
import { isNumber, plainWords } from './key-words.ts';
import { type LabelMatch, matchLabels, type NumberTrust, withoutCommonAffixes } from './label-match.ts';

interface Sibling {
  readonly node: number;
  readonly words: readonly string[];
  readonly text: string;
}

/** Nodes of equal contents under nodes of equal contents. */
interface SiblingGroup {
  readonly sides: readonly [Sibling[], Sibling[]];
}

const wordsBelow = ({ tree }: Side, above: number, node: number): string[] => {
  const parts: (readonly string[])[] = [];
  for (let at = node; at !== above && at >= 0; at = tree.parent[at]!) parts.push(tree.words[at]!);
  return parts.reverse().flat();
};

const siblingGroups = (alignment: Alignment): SiblingGroup[] => {
  const numbers = new PairNumbers();
  const groups: SiblingGroup[] = [];
  alignment.sides.forEach((side, i) => {
    const { tree, content } = side;
    for (let node = 1; node < tree.parent.length; node++) {
      if (!alignment.isShared(content[node]!)) continue;
      const above = alignment.sharedAbove(side, node);
      if (above >= 0 && content[above] === content[node]) continue;
      const number = numbers.of(content[node]!, above < 0 ? 0 : content[above]! + 1);
      groups[number] ??= { sides: [[], []] };
      const words = wordsBelow(side, above, node);
      groups[number].sides[i]!.push({ node, words, text: words.join(' ') });
    }
  });
  return groups;
};

/** Siblings that are certain, with equally formed labels on either side: their labels in pairs. */
const certainRows = (alignment: Alignment): (readonly [string[], string[]])[][] => {
  const [ours, theirs] = alignment.sides;
  const partners = new Map<number, number>();
  theirs.content.forEach((content, node) => {
    partners.set(content, node);
  });
  const rows = new Map<string, (readonly [string[], string[]])[]>();
  const form = (words: readonly string[]): string =>
    words.map((word) => (isNumber(word) ? '#' : word)).join(' ');
  ours.content.forEach((content, node) => {
    const [from, to] = alignment.contents[content]!;
    if (node === 0 || from !== 1 || to !== 1) return;
    const other = partners.get(content)!;
    const above = alignment.sharedAbove(ours, node);
    const counterpart = alignment.sharedAbove(theirs, other);
    if (above < 0 || counterpart < 0 || ours.content[above] !== theirs.content[counterpart]) return;
    const a = plainWords(wordsBelow(ours, above, node));
    const b = plainWords(wordsBelow(theirs, counterpart, other));
    const row = `${above}|${form(a)}|${form(b)}`;
    const found = rows.get(row) ?? [];
    rows.set(row, found);
    found.push([a, b]);
  });
  return [...rows.values()];
};

/** So many different neighbours must keep their order for all numbers to be believed. */
const MIN_FACTS = 10;

/** Numbers among siblings that are certain: do they keep their order? */
const judgeNumbers = (alignment: Alignment): NumberTrust => {
  // The same segments come in many modules: what they show is counted once.
  const facts = new Set<string>();
  for (const row of certainRows(alignment)) {
    const ours = withoutCommonAffixes(row.map(([a]) => a));
    const theirs = withoutCommonAffixes(row.map(([, b]) => b));
    const areNumbers = [...ours, ...theirs].every(
      ([word = '', ...more]) => isNumber(word) && more.length === 0,
    );
    if (!areNumbers) continue;
    const pairs = ours
      .map(([a], i) => [Number(a), Number(theirs[i]![0])] as const)
      .sort((a, b) => a[1] - b[1]);
    for (let i = 1; i < pairs.length; i++) {
      const [[before, place], [after, next]] = [pairs[i - 1]!, pairs[i]!];
      if (after <= before) return 'none';
      facts.add(`${before} ${after} ${place} ${next}`);
    }
  }
  return facts.size >= MIN_FACTS ? 'rank' : 'shift';
};

const byText = (siblings: readonly Sibling[]): Map<string, Sibling[]> => {
  const found = new Map<string, Sibling[]>();
  for (const sibling of siblings) {
    const same = found.get(sibling.text) ?? [];
    found.set(sibling.text, same);
    same.push(sibling);
  }
  return found;
};

/** For each key, which node of the list it lies in; −1 for none. */
const ownersOf = ({ tree }: Side, lists: readonly Sibling[][]): Int32Array => {
  const owner = new Int32Array(tree.parent.length).fill(-1);
  lists.forEach((siblings, index) => {
    for (const { node } of siblings) owner[node] = index;
  });
  for (let node = 1; node < owner.length; node++) {
    if (owner[node] === -1) owner[node] = owner[tree.parent[node]!]!;
  }
  return Int32Array.from(tree.leaf, (leaf) => owner[leaf]!);
};

/** What the order of the files makes of each key of the source, where that order can be relied on. */
export type OrderOpinion = Int32Array | undefined;

export interface NameSplit {
  readonly hasSplit: boolean;
  /** Keys of the source about which names and order say different things. */
  readonly disputed: ReadonlySet<number>;
}

/**
 * Splits colours by the labels of siblings, where those decide.
 * @param opinion for each key of the source, its partner by file order, −1 for none
 */
export const splitByNames = (alignment: Alignment, opinion: OrderOpinion): NameSplit => {
  if (alignment.isSettled) return { hasSplit: false, disputed: new Set() };
  const [ours, theirs] = alignment.sides;
  const trust = judgeNumbers(alignment);
  const marks = alignment.sides.map(({ tree }) => new Int32Array(tree.parent.length));
  const disputed = new Set<number>();
  let nextMark = 1;

  const contradictsOrder = (from: Sibling[][], to: Sibling[][], { partner }: LabelMatch): boolean => {
    if (opinion === undefined) return false;
    const owner = ownersOf(ours, from);
    const otherOwner = ownersOf(theirs, to);
    const wrong: number[] = [];
    owner.forEach((index, key) => {
      if (index >= 0 && opinion[key]! >= 0 && otherOwner[opinion[key]!] !== partner[index]) wrong.push(key);
    });
    // Numbers that nothing else speaks for give way to the order.
    if (trust === 'rank') for (const key of wrong) disputed.add(key);
    return wrong.length > 0;
  };

  for (const { sides } of siblingGroups(alignment)) {
    if (sides[0].length !== sides[1].length || sides[0].length < 2) continue;
    const [from, to] = [[...byText(sides[0]).values()], [...byText(sides[1]).values()]];
    if (from.length !== to.length || from.length < 2) continue;
    const match = matchLabels(
      from.map(([first]) => first!.words),
      to.map(([first]) => first!.words),
      trust,
    );
    if (match === undefined || match.partner.some((index, i) => from[i]!.length !== to[index]!.length))
      continue;
    if (match.byNumber && contradictsOrder(from, to, match)) continue;
    from.forEach((siblings, i) => {
      for (const { node } of siblings) marks[0]![node] = nextMark + match.partner[i]!;
    });
    to.forEach((siblings, i) => {
      for (const { node } of siblings) marks[1]![node] = nextMark + i;
    });
    nextMark += to.length;
  }
  if (nextMark === 1) return { hasSplit: false, disputed };
  const numbers = new PairNumbers();
  const keyMarks = alignment.sides.map(({ tree }, i) => {
    const chain = Int32Array.from(marks[i]!);
    for (let node = 1; node < chain.length; node++) {
      const above = chain[tree.parent[node]!]!;
      chain[node] = marks[i]![node] === 0 ? above : 1 + numbers.of(above, marks[i]![node]!);
    }
    return Int32Array.from(tree.leaf, (leaf) => chain[leaf]!);
  });
  alignment.split([keyMarks[0]!, keyMarks[1]!]);
  return { hasSplit: true, disputed };
};
