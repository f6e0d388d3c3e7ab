/**
 * The best one-to-one map between the keys of a checkpoint and those of a target, found by shapes, names and order.
 * Pure: no data is read. Where two maps are equally good, none is chosen: the keys are declared ambiguous.
 */
import { type DType, dtypeInfo } from '../core/dtype.ts';
import type { ExpectedKey } from './compare-keys.ts';

/** What is known of a key of the checkpoint. */
export interface SourceKey {
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** An earlier key that shows the same tensor. */
  readonly sharedWith?: string;
}

/** Keys that can be exchanged for each other without any evidence against it. */
export interface AmbiguousGroup {
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** One sentence: what speaks for no choice among them. */
  readonly reason: string;
}

export interface AutoMap {
  /** New name by key of the source, in the order of the source. */
  readonly pairs: ReadonlyMap<string, string>;
  /** 0 to 1: 2·pairs over the keys of both sides (target keys that are not needed and got no partner not counted). */
  readonly score: number;
  /** How many pairs each kind of evidence decided; they add up to the number of pairs. */
  readonly evidence: { readonly shape: number; readonly names: number; readonly order: number };
  readonly ambiguous: readonly AmbiguousGroup[];
  readonly unmatchedSource: readonly string[];
  /** Needed keys only. */
  readonly unmatchedTarget: readonly string[];
  /** What may be wrong, one sentence each (transposed shapes…). */
  readonly hints: readonly string[];
}

/** Finds the map. Deterministic; reads keys, types and shapes only. */
export const autoMap = (source: ReadonlyMap<string, SourceKey>, target: readonly ExpectedKey[]): AutoMap => {
  const colour = (dtype: DType, dims: readonly number[]): string =>
    `${dtypeInfo(dtype).kind} ${dims.join('×')}`;
  const classes = new Map<string, { from: string[]; to: string[] }>();
  const classOf = (name: string): { from: string[]; to: string[] } => {
    const found = classes.get(name) ?? { from: [], to: [] };
    classes.set(name, found);
    return found;
  };
  for (const [key, { dtype, dims }] of source) classOf(colour(dtype, dims)).from.push(key);
  for (const { name, dtype = 'float32', shape } of target) classOf(colour(dtype, shape)).to.push(name);
  const pairs = new Map<string, string>();
  const ambiguous: AmbiguousGroup[] = [];
  const unmatchedSource: string[] = [];
  const unmatchedTarget: string[] = [];
  for (const { from, to } of classes.values()) {
    const [first, ...others] = from;
    if (to.length === 0) unmatchedSource.push(...from);
    else if (first === undefined) unmatchedTarget.push(...to);
    else if (others.length === 0 && to.length === 1) pairs.set(first, to[0]!);
    else ambiguous.push({ from, to, reason: 'the same type and shape' });
  }
  const score = (2 * pairs.size) / Math.max(1, source.size + target.length);
  const evidence = { shape: pairs.size, names: 0, order: 0 };
  return { pairs, score, evidence, ambiguous, unmatchedSource, unmatchedTarget, hints: [] };
};
