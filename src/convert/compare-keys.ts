/**
 * A state dict against the keys and shapes that something else has: an architecture, or another file.
 */
import type { DType } from '../core/dtype.ts';
import type { Tensor } from '../core/tensor.ts';
import { nearestKeys } from './near-keys.ts';

export interface ExpectedKey {
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined where any float will do. */
  readonly dtype?: DType;
  /** False for keys that may be missing without harm. Default: true. */
  readonly needed?: boolean;
  /** An expected key that names the same tensor. */
  readonly sharedWith?: string;
}

export interface KeyComparison {
  /** Keys that both have, with the same shape. */
  readonly matched: readonly string[];
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly shapeMismatch: readonly {
    readonly key: string;
    readonly expected: readonly number[];
    readonly actual: readonly number[];
  }[];
  /** For each missing key, the nearest unexpected one, where there is any. */
  readonly nearest: ReadonlyMap<string, string>;
}

/** Nearest names are looked for this many missing keys: with more of them, something else than a name is wrong. */
const MAX_NEAREST = 20;

/** For the first missing keys, the nearest unexpected ones. */
export const nearestUnexpected = (
  missing: readonly string[],
  unexpected: readonly string[],
  shapeOf: (missing: string) => readonly number[],
  tensors: ReadonlyMap<string, Tensor>,
): Map<string, string> =>
  nearestKeys(
    missing.slice(0, MAX_NEAREST).map((name) => ({ name, shape: shapeOf(name) })),
    unexpected.map((name) => ({ name, shape: tensors.get(name)?.dims ?? [] })),
  );

/** Compares keys and shapes; no data is read. */
export const compareKeys = (
  tensors: ReadonlyMap<string, Tensor>,
  expected: Iterable<ExpectedKey>,
): KeyComparison => {
  const matched: string[] = [];
  const missing: string[] = [];
  const shapeMismatch: { key: string; expected: readonly number[]; actual: readonly number[] }[] = [];
  const shapes = new Map<string, readonly number[]>();
  for (const { name, shape, needed = true } of expected) {
    shapes.set(name, shape);
    const tensor = tensors.get(name);
    if (tensor === undefined) {
      if (needed) missing.push(name);
    } else if (tensor.dims.length === shape.length && shape.every((dim, i) => dim === tensor.dims[i])) {
      matched.push(name);
    } else shapeMismatch.push({ key: name, expected: shape, actual: tensor.dims });
  }
  const unexpected = [...tensors.keys()].filter((key) => !shapes.has(key));
  const nearest = nearestUnexpected(missing, unexpected, (name) => shapes.get(name) ?? [], tensors);
  return { matched, missing, unexpected, shapeMismatch, nearest };
};
