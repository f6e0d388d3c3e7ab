/** The difference of two state dicts by module: keys grouped by their first component after what all keys begin with. */
import type { DiffChange, DiffData } from '../report/schemas/diff.ts';

type ModuleDiff = DiffData['modules'][number];
type Counts = Omit<ModuleDiff, 'name' | 'worst' | 'tensors'>;

/** The keys of a comparison by what became of them. */
export interface SortedKeys {
  readonly equal: readonly string[];
  readonly changed: readonly DiffChange[];
  readonly tolerated: readonly DiffChange[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly renamed: readonly { readonly from: string }[];
  readonly notCompared: readonly { readonly name: string }[];
}

/** The dotted prefix that all keys have, with its dot; a whole key is never one. */
const commonPrefix = (keys: readonly string[]): string => {
  let prefix = keys[0] ?? '';
  for (const key of keys) {
    let length = 0;
    while (length < prefix.length && prefix[length] === key[length]) length++;
    prefix = prefix.slice(0, length);
  }
  return prefix.slice(0, prefix.lastIndexOf('.') + 1);
};

const isWorse = (change: DiffChange, worst: ModuleDiff['worst']): boolean => {
  if (change.values === null || change.values.differing === 0) return false;
  if (worst === null) return true;
  return worst.relative !== null && (change.values.relative ?? Number.POSITIVE_INFINITY) > worst.relative;
};

/** One entry a module, in the order of `keys` (all of them); a renamed tensor belongs to the module that had it. */
export const summariseModules = (sorted: SortedKeys, keys: readonly string[]): ModuleDiff[] => {
  const { changed, tolerated, renamed, notCompared } = sorted;
  const names = {
    equal: sorted.equal,
    changed: changed.map(({ name }) => name),
    tolerated: tolerated.map(({ name }) => name),
    added: sorted.added,
    removed: sorted.removed,
    renamed: renamed.map(({ from }) => from),
    notCompared: notCompared.map(({ name }) => name),
  } satisfies Record<keyof Counts, readonly string[]>;
  const prefix = commonPrefix(keys);
  const moduleOf = (key: string): string => {
    const dot = key.indexOf('.', prefix.length);
    return dot < 0 ? key : key.slice(0, dot);
  };
  const modules = new Map<string, { -readonly [K in keyof ModuleDiff]: ModuleDiff[K] }>();
  for (const key of keys) {
    const name = moduleOf(key);
    const counts = { equal: 0, changed: 0, tolerated: 0, added: 0, removed: 0, renamed: 0, notCompared: 0 };
    if (!modules.has(name)) modules.set(name, { name, tensors: 0, ...counts, worst: null });
  }
  for (const [kind, sameKind] of Object.entries(names) as [keyof Counts, readonly string[]][]) {
    for (const key of sameKind) {
      const module = modules.get(moduleOf(key))!;
      module.tensors++;
      module[kind]++;
    }
  }
  for (const change of [...changed, ...tolerated]) {
    const module = modules.get(moduleOf(change.name))!;
    if (isWorse(change, module.worst)) {
      module.worst = { name: change.name, relative: change.values!.relative };
    }
  }
  return [...modules.values()];
};
