/**
 * Which keys of two sides can stand for each other: colour refinement (Weisfeiler and Leman 1968) of both at once.
 *
 * A key's colour begins as its type and shape. A node of the tree is described by the multiset of colours below it;
 * a key is then told apart by the nodes it lies in. Only nodes that have a counterpart on the other side are used, so
 * that inserted, removed and differently cut levels do not disturb. Names play no part in it: any evidence from names or
 * order comes in through `split`.
 */
import { buildKeyTree, type KeyTree } from './key-tree.ts';

export interface Side {
  readonly names: readonly string[];
  readonly tree: KeyTree;
  /** By key; equal numbers on both sides mean that the keys can stand for each other. */
  colour: Int32Array;
  /** By node: equal numbers on both sides mean equal contents. */
  content: Int32Array;
}

/** Keys of one colour. */
export interface KeyClass {
  readonly from: number[];
  readonly to: number[];
}

/**
 * Numbers for pairs of numbers (32 bits each), in order of appearance: a hash table with open addressing, as a Map
 * would box every key.
 */
export class PairNumbers {
  #first = new Int32Array(1024);
  #second = new Int32Array(1024);
  /** Number + 1 by slot, 0 for empty slots. */
  #numbers = new Int32Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  of(a: number, b: number): number {
    const slot = this.#slot(a, b);
    if (this.#numbers[slot] === 0) {
      this.#first[slot] = a;
      this.#second[slot] = b;
      this.#numbers[slot] = ++this.#size;
      if (this.#size * 2 > this.#numbers.length) this.#grow();
      return this.#size - 1;
    }
    return this.#numbers[slot]! - 1;
  }

  #slot(a: number, b: number): number {
    const mask = this.#numbers.length - 1;
    let slot = mixA(a ^ mixA(b)) & mask;
    while (this.#numbers[slot] !== 0 && (this.#first[slot] !== (a | 0) || this.#second[slot] !== (b | 0))) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #grow(): void {
    const [first, second, numbers] = [this.#first, this.#second, this.#numbers];
    this.#first = new Int32Array(numbers.length * 2);
    this.#second = new Int32Array(numbers.length * 2);
    this.#numbers = new Int32Array(numbers.length * 2);
    numbers.forEach((number, old) => {
      if (number === 0) return;
      const slot = this.#slot(first[old]!, second[old]!);
      this.#first[slot] = first[old]!;
      this.#second[slot] = second[old]!;
      this.#numbers[slot] = number;
    });
  }
}

/** Two independent 32-bit hashes of small numbers; sums of them stand for multisets. */
export const mixA = (value: number): number => {
  let h = Math.imul(value + 0x7f4a7c15, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca77);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae3d);
  return (h ^ (h >>> 16)) >>> 0;
};
export const mixB = (value: number): number => mixA(value ^ 0x5bd1e995) ^ Math.imul(value + 1, 0x27d4eb2f);

/** One number of 53 bits for a multiset. */
export const multisetNumber = (sumA: number, sumB: number): number =>
  (sumA >>> 0) * 0x200000 + (sumB & 0x1fffff);

export class Alignment {
  readonly sides: readonly [Side, Side];
  /** How often each content occurs on the two sides. */
  contents: readonly (readonly [number, number])[] = [];
  /** How many colours there are on both sides together. */
  #colours = 0;

  /** `colours` are the first colours of the keys, any texts. */
  constructor(
    names: readonly [readonly string[], readonly string[]],
    colours: readonly [readonly string[], readonly string[]],
  ) {
    const numbers = new Map<string, number>();
    const numberOf = (text: string): number => {
      const number = numbers.get(text) ?? numbers.size;
      numbers.set(text, number);
      return number;
    };
    const sideOf = (keys: readonly string[], texts: readonly string[]): Side => {
      const tree = buildKeyTree(keys);
      const colour = Int32Array.from(texts, numberOf);
      return { names: keys, tree, colour, content: new Int32Array(tree.parent.length) };
    };
    this.sides = [sideOf(names[0], colours[0]), sideOf(names[1], colours[1])];
    this.refine();
  }

  /** Tells keys apart by `mark`, a number a key, wherever they had one colour. */
  split(marks: readonly [ArrayLike<number>, ArrayLike<number>]): void {
    const numbers = new PairNumbers();
    this.sides.forEach((side, i) => {
      side.colour = side.colour.map((colour, key) => numbers.of(colour, marks[i]![key]!));
    });
    this.refine();
  }

  /** Refines until no colour splits any more. */
  refine(): void {
    for (let before = -1; before !== this.#colours; ) {
      before = this.#colours;
      this.#describeNodes();
      const numbers = new PairNumbers();
      const chains = new PairNumbers();
      for (const side of this.sides) {
        const chain = this.#chains(side, chains);
        side.colour = side.colour.map((colour, key) => numbers.of(colour, chain[side.tree.leaf[key]!]!));
      }
      this.#colours = numbers.size;
    }
    this.#describeNodes();
  }

  /** Whether every key has a colour of its own on its side: nothing is left to tell apart. */
  get isSettled(): boolean {
    return this.sides.every(({ colour }) => new Set(colour).size === colour.length);
  }

  /** Whether both sides have nodes of this content, and equally many: otherwise they may be cut differently. */
  isShared(content: number): boolean {
    const [from, to] = this.contents[content]!;
    return from > 0 && from === to;
  }

  /** The nearest node above that has a counterpart, −1 when there is none. */
  sharedAbove({ tree, content }: Side, node: number): number {
    let above = tree.parent[node]!;
    while (above >= 0 && !this.isShared(content[above]!)) above = tree.parent[above]!;
    return above;
  }

  /** By colour, in the order of the first side, then of the second. */
  classes(): Map<number, KeyClass> {
    const classes = new Map<number, KeyClass>();
    this.sides.forEach(({ colour }, i) => {
      colour.forEach((each, key) => {
        const found = classes.get(each) ?? { from: [], to: [] };
        classes.set(each, found);
        (i === 0 ? found.from : found.to).push(key);
      });
    });
    return classes;
  }

  #describeNodes(): void {
    const numbers = new PairNumbers();
    const sums = new PairNumbers();
    const contents: [number, number][] = [];
    this.sides.forEach(({ tree, colour, content }, i) => {
      const nodes = tree.parent.length;
      const sumA = new Uint32Array(nodes);
      const sumB = new Uint32Array(nodes);
      for (let node = nodes - 1; node >= 0; node--) {
        const key = tree.key[node]!;
        if (key >= 0) {
          sumA[node] = mixA(colour[key]!);
          sumB[node] = mixB(colour[key]!);
        }
        const above = tree.parent[node]!;
        if (above >= 0) {
          sumA[above]! += sumA[node]!;
          sumB[above]! += sumB[node]!;
        }
        // A leaf is told by its colour, which no sum of others can be mistaken for.
        const number = key >= 0 ? numbers.of(colour[key]!, -1) : sums.of(sumA[node]!, sumB[node]!);
        content[node] = key >= 0 ? number * 2 : number * 2 + 1;
        contents[content[node]!] ??= [0, 0];
        contents[content[node]!]![i]!++;
      }
    });
    this.contents = contents;
  }

  /** For each node, a number for the shared nodes from the root down to its parent. */
  #chains(side: Side, numbers: PairNumbers): Int32Array {
    const { tree, content } = side;
    const chain = new Int32Array(tree.parent.length);
    const own = new Int32Array(tree.parent.length);
    const last = new Int32Array(tree.parent.length);
    const root = numbers.of(0, 0);
    for (let node = 0; node < tree.parent.length; node++) {
      const above = tree.parent[node]!;
      chain[node] = above < 0 ? root : own[above]!;
      const before = above < 0 ? -1 : last[above]!;
      const here = content[node]!;
      const isNew = here !== before && this.isShared(here);
      own[node] = isNew ? numbers.of(chain[node]! + 1, here + 1) : chain[node]!;
      last[node] = isNew ? here : before;
    }
    return chain;
  }
}
