/**
 * New names for keys that have no partner: where all their neighbours moved from one prefix to another, they move along
 * (`module.head.w` becomes `head.w` when everything else below `module.` lost it).
 */

/** The ends of all prefixes of a key, the longest first. */
const prefixEnds = (key: string): number[] => {
  const ends: number[] = [];
  for (let i = key.length - 2; i >= 0; i--) if (key[i] === '.' || key[i] === '/') ends.push(i + 1);
  return ends;
};

/** Where each prefix went, if all keys below it went there; undefined where they parted. */
const movesOf = (pairs: ReadonlyMap<string, string>): Map<string, string | undefined> => {
  const moves = new Map<string, string | undefined>();
  for (const [from, to] of pairs) {
    for (const end of prefixEnds(from)) {
      const prefix = from.slice(0, end);
      const rest = from.slice(end);
      const place = to.endsWith(rest) ? to.slice(0, to.length - rest.length) : undefined;
      const isWhole = place === '' || place?.endsWith('.') === true || place?.endsWith('/') === true;
      const move = isWhole ? place : undefined;
      moves.set(prefix, !moves.has(prefix) || moves.get(prefix) === move ? move : undefined);
    }
  }
  return moves;
};

/** For keys without a partner that move along with their neighbours: their new names, none of them in use. */
export const carriedNames = (
  pairs: ReadonlyMap<string, string>,
  unmatched: readonly string[],
  reserved: ReadonlySet<string>,
): Map<string, string> => {
  if (unmatched.length === 0) return new Map();
  const moves = movesOf(pairs);
  const taken = new Set([...reserved, ...pairs.values(), ...unmatched]);
  const carried = new Map<string, string>();
  for (const key of unmatched) {
    const end = prefixEnds(key).find((each) => moves.has(key.slice(0, each)));
    const move = end === undefined ? undefined : moves.get(key.slice(0, end));
    if (end === undefined || move === undefined) continue;
    const name = move + key.slice(end);
    if (name === key || taken.has(name)) continue;
    taken.add(name);
    carried.set(key, name);
  }
  return carried;
};
