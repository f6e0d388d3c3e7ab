/**
 * The keys of one side as a tree of segments. A node is a set of keys that begin with the same segments (a module, a
 * block); nodes that hold the same keys are one. Every key is a leaf of its own.
 */
import { segmenterFor, wordsOf } from './key-words.ts';

export interface KeyTree {
  /** Parents come before their children; the root is 0 and its parent −1. */
  readonly parent: Int32Array;
  /** The words between the parent and the node. */
  readonly words: readonly (readonly string[])[];
  /** The leaf of each key, in the order of the keys. */
  readonly leaf: Int32Array;
  /** The key of each leaf, −1 for inner nodes. */
  readonly key: Int32Array;
  /** By node: one segment below its parent. */
  readonly isDirect: readonly boolean[];
}

interface Draft {
  readonly parent: number[];
  readonly segment: string[];
  readonly children: number[];
  readonly key: number[];
}

const draftOf = (keys: readonly string[]): Draft => {
  const draft: Draft = { parent: [-1], segment: [''], children: [0], key: [-1] };
  const found = new Map<string, number>();
  const segments = segmenterFor(keys);
  const add = (parent: number, segment: string, key: number): number => {
    draft.children[parent]!++;
    draft.children.push(0);
    draft.segment.push(segment);
    draft.key.push(key);
    return draft.parent.push(parent) - 1;
  };
  keys.forEach((name, key) => {
    let node = 0;
    for (const segment of segments(name)) {
      const place = `${node} ${segment}`;
      const next = found.get(place) ?? add(node, segment, -1);
      found.set(place, next);
      node = next;
    }
    add(node, '', key);
  });
  return draft;
};

/** The last node that all keys go through, as far as they are not at their end. */
const topOf = ({ children, key }: Draft): number => {
  let top = 0;
  // As long as there is no branch, nodes follow each other.
  while (children[top] === 1 && key[top + 1] === -1) top++;
  return top;
};

export const buildKeyTree = (keys: readonly string[]): KeyTree => {
  const draft = draftOf(keys);
  const top = topOf(draft);
  const kept = new Map<number, number>([[top, 0]]);
  const parent: number[] = [-1];
  const words: string[][] = [[]];
  const key: number[] = [-1];
  const isDirect: boolean[] = [false];
  const leaf = new Int32Array(keys.length);
  for (let node = top + 1; node < draft.parent.length; node++) {
    if (draft.children[node] === 1) continue;
    const path: string[] = [];
    let above = node;
    while (!kept.has(above)) {
      if (draft.key[above] === -1) path.push(draft.segment[above]!);
      above = draft.parent[above]!;
    }
    const own = parent.push(kept.get(above)!) - 1;
    isDirect.push(path.length === 1);
    words.push(path.reverse().flatMap(wordsOf));
    key.push(draft.key[node]!);
    kept.set(node, own);
    if (draft.key[node]! >= 0) leaf[draft.key[node]!] = own;
  }
  return { parent: Int32Array.from(parent), words, leaf, key: Int32Array.from(key), isDirect };
};
