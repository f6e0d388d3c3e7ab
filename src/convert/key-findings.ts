/** What the comparison of keys has to say to the user: errors that stop a conversion, and notes that do not. */
import { globMatcher } from '../core/glob.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Finding } from '../core/report.ts';
import type { Architecture } from './architecture.ts';
import type { Network } from './build.ts';
import type { KeyMatch } from './match.ts';

/** Globs of keys that need not match. */
export interface KeyLeniency {
  /** Keys that may be missing: they keep torch's initial value, or become zeros. */
  readonly allowMissing?: readonly string[];
  /** Keys that are left out. */
  readonly allowUnexpected?: readonly string[];
}

/** At most this many keys are spelt out in a message; the report's data has all of them. */
const SHOWN = 4;

const listed = (items: readonly string[], total: number): string =>
  items.join('; ') + (total > items.length ? `; and ${total - items.length} more` : '');

const withNearest = (key: string, candidates: readonly string[]): string => {
  const near = nearestNames(key, candidates, 1)[0];
  return near === undefined ? `"${key}"` : `"${key}" (nearest: "${near}")`;
};

/** What is not allowed to stand: one error finding each for missing, unexpected and mismatched keys. */
const strictFaults = (
  match: KeyMatch,
  allowMissing: readonly string[],
  allowUnexpected: readonly string[],
): Finding[] => {
  const mayMiss = globMatcher(allowMissing);
  const mayStay = globMatcher(allowUnexpected);
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
      message: `tensors that do not fit the architecture (${match.mismatched.length}): ${listed(shown, match.mismatched.length)}`,
      hint: 'choose another --architecture, or give the layer that reads it the size that was found',
      at: { key: match.mismatched[0]!.key },
    });
  }
  return faults;
};

/** The errors that keep the network from being what the file means it to be. */
export const keyFaults = (
  architecture: Architecture,
  match: KeyMatch,
  { allowMissing = [], allowUnexpected = [] }: KeyLeniency,
): Finding[] => {
  const faults = strictFaults(match, allowMissing, allowUnexpected);
  if (match.used.length === 0 && faults.length === 0) {
    faults.push({
      level: 'error',
      rule: 'weights/missing-key',
      message: `not one key of the state dict is a key of ${architecture.name}: nothing would be converted`,
      hint: 'choose another --architecture, --state-dict or --strip-prefix',
    });
  }
  return faults;
};

/** What a user should know about a network that is converted all the same. */
export const keyNotes = ({ parameters, match }: Network): Finding[] => {
  const notes: Finding[] = [];
  const note = (level: Finding['level'], rule: string, message: string): void => {
    notes.push({ level, rule, message });
  };
  if (match.unused.length > 0) {
    const counters = match.unused.filter((key) => key.endsWith('num_batches_tracked')).length;
    const dead = match.unused.filter((key) => !key.endsWith('num_batches_tracked'));
    const names =
      dead.length === 0
        ? ''
        : `, and ${dead.length} of modules that are never called: ${dead.slice(0, 4).join(', ')}${dead.length > 4 ? '…' : ''}`;
    note(
      'note',
      'unused-keys',
      `${match.unused.length} keys are not needed: ${counters} counters of batch norms${names}`,
    );
  }
  const [alias] = match.aliases;
  if (alias !== undefined)
    note(
      'note',
      'aliases',
      `${match.aliases.length} keys are second names of other keys, e.g. "${alias.key}" of "${alias.of}"`,
    );
  const conflicts = parameters.conflictingAliases();
  if (conflicts.length > 0) {
    note(
      'warning',
      'conflicting-aliases',
      `${conflicts.length} tensors have two names with different values, e.g. "${conflicts[0]}"; the one torch loads last is used`,
    );
  }
  for (const key of match.missing) {
    const initial = parameters.requests.get(key)?.initial;
    const value =
      initial === undefined ? 'zeros (torch would start from random values)' : `torch's initial ${initial}`;
    note('warning', 'allowed-missing-key', `"${key}" is missing: filled with ${value}`);
  }
  if (match.unexpected.length > 0)
    note(
      'note',
      'allowed-unexpected-keys',
      `${match.unexpected.length} keys are left out, e.g. "${match.unexpected[0]}"`,
    );
  return notes;
};
