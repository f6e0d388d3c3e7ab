/**
 * Names near to a misspelt or differently prefixed one, for hints.
 *
 * Distance: Damerau–Levenshtein with adjacent transpositions (optimal string alignment), after the rule that a
 * candidate which ends (or starts) with the whole name, cut at a dot, is nearest: `layer1.conv.weight` is near to
 * `module.layer1.conv.weight` whatever the length of the prefix.
 */

/** Longest names and longest candidate lists that are compared in full; beyond them only the affix rule works. */
const MAX_LENGTH = 160;
const MAX_CANDIDATES = 20_000;

/**
 * Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours cost 1.
 * Stops early and gives `limit + 1` when the distance exceeds `limit`.
 */
const editDistance = (a: string, b: string, limit: number = Infinity): number => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, before[j - 2]! + 1);
      }
      current.push(cost);
      if (cost < least) least = cost;
    }
    if (least > limit) return limit + 1;
    before = previous;
    previous = current;
  }
  return previous[b.length]!;
};

const isAffix = (long: string, short: string): boolean =>
  short !== '' &&
  long.length > short.length &&
  (long.endsWith(`.${short}`) || long.startsWith(`${short}.`) || long.endsWith(`/${short}`));

/**
 * The candidates nearest to `name`, nearest first, at most `count`. Those that differ by more than 40 % of the
 * longer name's letters are left out; an equal candidate is left out too.
 */
export const nearestNames = (name: string, candidates: Iterable<string>, count = 3): string[] => {
  const scored: { candidate: string; score: number }[] = [];
  let seen = 0;
  for (const candidate of candidates) {
    if (candidate === name) continue;
    if (isAffix(candidate, name) || isAffix(name, candidate)) {
      scored.push({ candidate, score: Math.abs(candidate.length - name.length) / 1e6 });
    } else if (seen++ < MAX_CANDIDATES && name.length <= MAX_LENGTH && candidate.length <= MAX_LENGTH) {
      const limit = Math.ceil(0.4 * Math.max(name.length, candidate.length, 3));
      const score = editDistance(name.toLowerCase(), candidate.toLowerCase(), limit);
      if (score <= limit) scored.push({ candidate, score });
    }
  }
  return scored
    .sort((a, b) => a.score - b.score)
    .slice(0, count)
    .map(({ candidate }) => candidate);
};
