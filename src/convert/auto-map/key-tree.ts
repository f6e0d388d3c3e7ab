/**
 * The keys of one side as a tree of words. A node is a set of keys with a common beginning (a module, a block, a pair
 * of statistics); nodes that hold the same keys are one. Every key is a leaf of its own.
 */
import { wordsOf } from './key-words.ts';

export interface KeyTree {
  /** Parents come before their children; the root is 0 and its parent −1. */
  readonly parent: Int32Array;
  /** The words between the parent and the node. */
  readonly words: readonly (readonly string[])[];
  /** The leaf of each key, in the order of the keys. */
  readonly leaf: Int32Array;
  /** The key of each leaf, −1 for inner nodes. */
  readonly key: Int32Array;
}

interface Draft {
  readonly parent: number[];
  readonly word: string[];
  readonly children: number[];
  readonly key: number[];
}

const draftOf = (keys: readonly string[]): Draft => {
  const draft: Draft = { parent: [-1], word: [''], children: [0], key: [-1] };
  const found = new Map<string, number>();
  const add = (parent: number, word: string, key: number): number => {
    draft.children[parent]!++;
    draft.children.push(0);
    draft.word.push(word);
    draft.key.push(key);
    return draft.parent.push(parent) - 1;
  };
  keys.forEach((name, key) => {
    let node = 0;
    for (const word of wordsOf(name)) {
      const place = `${node} ${word}`;
      const next = found.get(place) ?? add(node, word, -1);
      found.set(place, next);
      node = next;
    }
    add(node, '', key);
  });
  return draft;
};

export const buildKeyTree = (keys: readonly string[]): KeyTree => {
  const draft = draftOf(keys);
  const kept = new Map<number, number>([[0, 0]]);
  const parent: number[] = [-1];
  const words: string[][] = [[]];
  const key: number[] = [-1];
  const leaf = new Int32Array(keys.length);
  for (let node = 1; node < draft.parent.length; node++) {
    if (draft.children[node] === 1) continue;
    const path: string[] = [];
    let above = node;
    while (!kept.has(above)) {
      if (draft.word[above] !== '') path.push(draft.word[above]!);
      above = draft.parent[above]!;
    }
    const own = parent.push(kept.get(above)!) - 1;
    words.push(path.reverse());
    key.push(draft.key[node]!);
    kept.set(node, own);
    if (draft.key[node]! >= 0) leaf[draft.key[node]!] = own;
  }
  return { parent: Int32Array.from(parent), words, leaf, key: Int32Array.from(key) };
};
