/**
 * For keys that are missing, the keys that may be meant. Names are compared word by word, and only with keys that share
 * rare words, so that thousands of keys on both sides take no longer than reading them.
 *
 * Nearness: 2 · (words in common) / (words of both), plus 1/4 for an equal shape; 1/2 is the least.
 */
import { plainKey } from './auto-map/key-words.ts';

export interface ShapedKey {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Keys of a word that are looked at: the commonest words say nothing. */
const MAX_PER_WORD = 400;
const MIN_NEARNESS = 0.5;
const SHAPE_BONUS = 0.25;

interface Candidate extends ShapedKey {
  readonly words: readonly string[];
}

const commonWords = (a: readonly string[], b: readonly string[]): number => {
  const left = new Map<string, number>();
  for (const word of a) left.set(word, (left.get(word) ?? 0) + 1);
  return b.filter((word) => {
    const count = left.get(word) ?? 0;
    left.set(word, count - 1);
    return count > 0;
  }).length;
};

/** By name of the wanted key, the nearest candidate, where one is near enough. */
export const nearestKeys = (
  wanted: readonly ShapedKey[],
  candidates: readonly ShapedKey[],
): Map<string, string> => {
  const all = candidates.map(({ name, shape }): Candidate => ({ name, shape, words: plainKey(name) }));
  const byWord = new Map<string, Candidate[]>();
  for (const candidate of all) {
    for (const word of new Set(candidate.words)) {
      const list = byWord.get(word) ?? [];
      byWord.set(word, list);
      list.push(candidate);
    }
  }
  const nearest = new Map<string, string>();
  for (const { name, shape } of wanted) {
    const words = plainKey(name);
    const lists = [...new Set(words)].map((word) => byWord.get(word) ?? []);
    const looked = new Set(lists.flatMap((list) => (list.length <= MAX_PER_WORD ? list : [])));
    if (looked.size === 0) {
      const rarest = lists.filter(({ length }) => length > 0).sort((a, b) => a.length - b.length)[0] ?? [];
      for (const candidate of rarest.slice(0, MAX_PER_WORD)) looked.add(candidate);
    }
    let best = 0;
    for (const candidate of looked) {
      const common = (2 * commonWords(words, candidate.words)) / (words.length + candidate.words.length);
      const nearness = common + (candidate.shape.join() === shape.join() ? SHAPE_BONUS : 0);
      if (common < MIN_NEARNESS || nearness <= best || candidate.name === name) continue;
      best = nearness;
      nearest.set(name, candidate.name);
    }
  }
  return nearest;
};
