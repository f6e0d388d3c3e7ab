/** How the keys of a state dict and the keys that an architecture asked for go together. */
import { globMatcher } from '../core/glob.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Finding } from '../core/report.ts';
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

/** At most this many keys are spelt out in a message; the report's data has all of them. */
const SHOWN = 8;

const listed = (items: readonly string[], total: number): string =>
  items.join('; ') + (total > items.length ? `; and ${total - items.length} more` : '');

const withNearest = (key: string, candidates: readonly string[]): string => {
  const near = nearestNames(key, candidates, 1)[0];
  return near === undefined ? `"${key}"` : `"${key}" (nearest: "${near}")`;
};

/** What is not allowed to stand: one error finding each for missing, unexpected and mismatched keys. */
export const keyFaults = (
  match: KeyMatch,
  allowed: { readonly missing?: readonly string[]; readonly unexpected?: readonly string[] },
): Finding[] => {
  const mayMiss = globMatcher(allowed.missing ?? []);
  const mayStay = globMatcher(allowed.unexpected ?? []);
  const missing = match.missing.filter((key) => !mayMiss(key));
  const unexpected = match.unexpected.filter((key) => !mayStay(key));
  const faults: Finding[] = [];
  if (missing.length > 0) {
    const shown = missing.slice(0, SHOWN).map((key) => withNearest(key, match.unexpected));
    faults.push({
      level: 'error',
      rule: 'weights/missing-key',
      message: `the state dict lacks ${missing.length} of the keys that the architecture needs: ${listed(shown, missing.length)}`,
      hint: '--rename FROM=TO, --strip-prefix P, or --allow-missing GLOB for keys that may keep their initial values',
      at: { key: missing[0]! },
    });
  }
  if (unexpected.length > 0) {
    const shown = unexpected.slice(0, SHOWN).map((key) => withNearest(key, match.missing));
    faults.push({
      level: 'error',
      rule: 'weights/unexpected-key',
      message: `the state dict has ${unexpected.length} keys that the architecture does not know: ${listed(shown, unexpected.length)}`,
      hint: 'choose another --architecture, or --allow-unexpected GLOB to leave them out',
      at: { key: unexpected[0]! },
    });
  }
  if (match.mismatched.length > 0) {
    const shown = match.mismatched
      .slice(0, SHOWN)
      .map(({ key, expected, found }) => `"${key}" is ${found}, expected ${expected}`);
    faults.push({
      level: 'error',
      rule: 'weights/shape-mismatch',
      message: `${match.mismatched.length} tensors do not fit the architecture: ${listed(shown, match.mismatched.length)}`,
      at: { key: match.mismatched[0]!.key },
    });
  }
  return faults;
};
