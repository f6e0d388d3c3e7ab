/** Many keys in few lines: `layer3.* (36 keys)`. */

export interface KeyGroup {
  /** A key, or a glob that fits all keys of the group; '' for what is left when there are too many groups. */
  readonly pattern: string;
  readonly keys: readonly string[];
}

interface Draft {
  /** What all keys begin with, up to and with a separator. */
  readonly prefix: string;
  readonly keys: readonly string[];
}

const endOfSegment = (key: string, from: number): number => {
  for (let i = from; i < key.length - 1; i++) if (key[i] === '.' || key[i] === '/') return i + 1;
  return -1;
};

const childrenOf = ({ prefix, keys }: Draft): Draft[] => {
  const children = new Map<string, string[]>();
  for (const key of keys) {
    const end = endOfSegment(key, prefix.length);
    const name = end < 0 ? key : key.slice(0, end);
    const child = children.get(name) ?? [];
    children.set(name, child);
    child.push(key);
  }
  return [...children].map(([name, own]) => ({ prefix: name, keys: own }));
};

const lastSegment = (key: string): string =>
  key.slice(Math.max(key.lastIndexOf('.'), key.lastIndexOf('/')) + 1);

const patternOf = ({ prefix, keys }: Draft): string => {
  const [first = ''] = keys;
  if (keys.length === 1) return first;
  const last = lastSegment(first);
  const separator = first[first.length - last.length - 1] ?? '';
  const isOneKind = separator !== '' && keys.every((key) => key.endsWith(separator + last));
  return isOneKind ? `${prefix}*${separator}${last}` : `${prefix}*`;
};

/** Largest first, as long as they are few enough; what is left comes last. */
const withRest = (groups: readonly KeyGroup[], limit: number): KeyGroup[] => {
  if (groups.length <= limit) return [...groups];
  const largest = new Set([...groups].sort((a, b) => b.keys.length - a.keys.length).slice(0, limit - 1));
  const rest = groups.filter((group) => !largest.has(group)).flatMap(({ keys }) => keys);
  return [...groups.filter((group) => largest.has(group)), { pattern: '', keys: rest }];
};

/** The keys in at most `limit` groups, in the order of the keys; the largest modules are opened first. */
export const groupKeys = (keys: readonly string[], limit: number): KeyGroup[] => {
  const all: Draft = { prefix: '', keys };
  if (keys.length > limit && patternOf(all) !== '*') return [{ pattern: patternOf(all), keys }];
  let groups = keys.length === 0 ? [] : childrenOf(all);
  const closed = new Set<Draft>();
  for (;;) {
    const open = groups.filter((group) => group.keys.length > 1 && !closed.has(group));
    const largest = open.reduce<Draft | undefined>(
      (best, group) => (best === undefined || group.keys.length > best.keys.length ? group : best),
      undefined,
    );
    if (largest === undefined) break;
    const children = childrenOf(largest);
    const isSame = children.length === 1 && children[0]!.prefix === largest.prefix;
    if (isSame || groups.length - 1 + children.length > limit) closed.add(largest);
    else groups = groups.flatMap((group) => (group === largest ? children : [group]));
  }
  return withRest(
    groups.map((group) => ({ pattern: patternOf(group), keys: group.keys })),
    limit,
  );
};

/** `"fc.bias"`, or `layer3.* (36 keys)`. */
export const groupText = ({ pattern, keys }: KeyGroup): string => {
  if (pattern === '') return `${keys.length} others`;
  return keys.length === 1 ? `"${pattern}"` : `${pattern} (${keys.length} keys)`;
};
