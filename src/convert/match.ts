/** How the keys of a state dict and the keys that an architecture asked for go together. */
import { globMatcher } from '../core/glob.ts';
import type { KeyMismatch, Parameters } from './parameters.ts';

export interface KeyMatch {
  /** Keys of the file that the architecture knows, with the shapes it needs. */
  readonly matched: readonly string[];
  /** Of these, the ones whose values reach the graph (aliases included). */
  readonly used: readonly string[];
  /** Of the matched ones, those that inference does not need: num_batches_tracked, modules that are never called. */
  readonly unused: readonly string[];
  /** Keys that the architecture needs and the file lacks. */
  readonly missing: readonly string[];
  /** Keys of the file that the architecture does not know. */
  readonly unexpected: readonly string[];
  readonly mismatched: readonly KeyMismatch[];
  /** Second names of tensors that have another name too. */
  readonly aliases: readonly { readonly key: string; readonly of: string }[];
}

/** Compares what was asked for with what the file has. Call it when the network is built. */
export const matchKeys = (parameters: Parameters, deadKeys: readonly string[] = []): KeyMatch => {
  const isDead = globMatcher(deadKeys);
  const match = {
    matched: [] as string[],
    used: [] as string[],
    unused: [] as string[],
    unexpected: [] as string[],
    mismatched: [] as KeyMismatch[],
    aliases: [] as { key: string; of: string }[],
  };
  for (const [canonical, entries] of parameters.given) {
    const request = parameters.requests.get(canonical);
    const isKnown = request !== undefined || isDead(canonical);
    for (const entry of entries) {
      const { key } = entry;
      const mismatch = parameters.mismatchOf(canonical, entry);
      if (!isKnown) match.unexpected.push(key);
      else if (mismatch !== undefined) match.mismatched.push(mismatch);
      else {
        match.matched.push(key);
        (request?.needed === true ? match.used : match.unused).push(key);
        if (entry !== entries[0]) match.aliases.push({ key, of: entries[0]?.key ?? canonical });
      }
    }
  }
  const missing = [...parameters.requests]
    .filter(([key, { needed }]) => needed && !parameters.given.has(key))
    .map(([key]) => key);
  return { ...match, missing };
};

/**
 * How well the keys fit, from 0 to 1: needed keys found with the right shape, over all keys that are needed or not
 * known. Keys that inference does not need say nothing.
 */
export const scoreOf = ({ used, missing, unexpected, mismatched }: KeyMatch): number => {
  const total = used.length + missing.length + unexpected.length + mismatched.length;
  return total === 0 ? 0 : used.length / total;
};
