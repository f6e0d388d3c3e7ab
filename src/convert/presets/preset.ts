/** What a preset is: rules for the keys that a well-known wrapper or framework leaves in checkpoints. */
import type { Tensor } from '../../core/tensor.ts';
import type { Rule } from '../mapping/rule.ts';

export interface Preset {
  readonly name: string;
  readonly summary: string;
  /** Paths of the state dicts that it prefers, the best first, where the caller names none. */
  readonly stateDicts?: readonly string[];
  /** The rules for these tensors; none where the preset has nothing to do. */
  rules(tensors: ReadonlyMap<string, Tensor>): readonly Rule[];
}

/** A table of the keys that `newKey` renames; no rule where there are none. */
export const tableRule = (keys: Iterable<string>, newKey: (key: string) => string): readonly Rule[] => {
  const changed = [...keys].map((key) => [key, newKey(key)] as const).filter(([key, name]) => name !== key);
  return changed.length === 0 ? [] : [{ op: 'table', keys: Object.fromEntries(changed) }];
};
