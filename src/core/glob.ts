/**
 * Globs over names (state-dict keys, node names): `*` stands for any text, dots and slashes included, `?` for one
 * character. Everything else stands for itself. Matching is greedy with one point to return to, so it takes at most
 * pattern × name steps.
 */
const isGlobMatch = (pattern: string, name: string): boolean => {
  let p = 0;
  let n = 0;
  let star = -1;
  let retry = 0;
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++;
      retry = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++retry;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
};

/** Whether a name matches one of these globs. */
export const globMatcher =
  (patterns: readonly string[]): ((name: string) => boolean) =>
  (name) =>
    patterns.some((pattern) => isGlobMatch(pattern, name));
