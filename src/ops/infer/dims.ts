/**
 * Arithmetic on dimensions. A number is known, a string is a symbol (equal strings are equal dimensions), null unknown.
 * Results may leave the safe integers: `normalizeType` in infer-node.ts turns such dimensions into unknown ones and says so.
 */
import type { Dim, Shape } from '../../ir/type.ts';

export const isKnown = (dim: Dim | undefined): dim is number => typeof dim === 'number';

/** Every dimension known. */
export const isStatic = (shape: Shape | undefined): shape is readonly number[] =>
  shape?.every(isKnown) ?? false;

export const addDims = (a: Dim, b: Dim): Dim =>
  isKnown(a) && isKnown(b) ? a + b : a === 0 ? b : b === 0 ? a : null;

export const mulDims = (a: Dim, b: Dim): Dim => {
  if (a === 0 || b === 0) return 0;
  if (isKnown(a) && isKnown(b)) return a * b;
  return a === 1 ? b : b === 1 ? a : null;
};

/** True unless both are known and differ. */
export const mayEqual = (a: Dim | undefined, b: Dim | undefined): boolean =>
  !isKnown(a) || !isKnown(b) || a === b;

/** The better known of two dimensions that must be equal: a number before a symbol before unknown. */
export const unifyDims = (a: Dim | undefined, b: Dim | undefined): Dim => {
  if (isKnown(a)) return a;
  if (isKnown(b)) return b;
  return a ?? b ?? null;
};

/** The better known of two shapes that must be equal; undefined for two unknown ones. Different ranks: the first. */
export const unifyShapes = (a: Shape | undefined, b: Shape | undefined): Shape | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  return a.length === b.length ? a.map((dim, i) => unifyDims(dim, b[i])) : a;
};

/** What holds of both shapes: unknown where they differ. */
export const commonShape = (a: Shape | undefined, b: Shape | undefined): Shape | undefined => {
  if (a === undefined || b === undefined || a.length !== b.length) return undefined;
  return a.map((dim, i) => (dim === b[i] ? dim : null));
};

/** One dimension of a broadcast, or undefined where the two cannot be broadcast. */
const broadcastDim = (a: Dim, b: Dim): Dim | undefined => {
  if (a === b) return a;
  if (a === 1) return b;
  if (b === 1) return a;
  if (isKnown(a) && isKnown(b)) return undefined;
  // A symbol or an unknown dimension against n > 1 (or 0) must be n or 1: the result is n.
  return isKnown(a) ? a : isKnown(b) ? b : null;
};

/**
 * Multidirectional broadcast, aligned at the last axis: undefined when a rank is unknown, `false` when two known
 * dimensions cannot be broadcast.
 */
export const broadcastShapes = (shapes: readonly (Shape | undefined)[]): Shape | undefined | false => {
  if (shapes.includes(undefined)) return undefined;
  const known = shapes as readonly Shape[];
  const rank = Math.max(0, ...known.map((shape) => shape.length));
  const result: Dim[] = new Array<Dim>(rank).fill(1);
  for (const shape of known) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i;
      const dim = broadcastDim(result[at] as Dim, shape[i] as Dim);
      if (dim === undefined) return false;
      result[at] = dim;
    }
  }
  return result;
};

/** A product of dimensions: a number times symbols; null when an unknown dimension takes part. */
export interface DimProduct {
  readonly factor: number;
  /** Sorted, with repetitions. */
  readonly symbols: readonly string[];
}

export const productOf = (dims: Shape): DimProduct | null => {
  let factor = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    if (dim === 0) return { factor: 0, symbols: [] };
    if (isKnown(dim)) factor *= dim;
    else symbols.push(dim ?? '');
  }
  return symbols.includes('') ? null : { factor, symbols: symbols.sort() };
};

/** total / part as one dimension: undefined when it does not divide, null when it cannot be told. */
export const divideProducts = (total: DimProduct | null, part: DimProduct | null): Dim | undefined => {
  if (total === null || part === null || part.factor === 0) return null;
  const rest = [...total.symbols];
  for (const symbol of part.symbols) {
    const at = rest.indexOf(symbol);
    if (at < 0) return null;
    rest.splice(at, 1);
  }
  if (total.factor % part.factor !== 0) return rest.length === 0 ? undefined : null;
  const factor = total.factor / part.factor;
  if (rest.length === 0) return factor;
  return rest.length === 1 && factor === 1 ? (rest[0] as string) : factor === 0 ? 0 : null;
};

/** The product of dimensions as one dimension. */
export const productDim = (dims: Shape): Dim => dims.reduce<Dim>(mulDims, 1);

/** `[2, N, ?]` for messages. */
export const showShape = (shape: Shape | undefined): string =>
  shape === undefined ? '(unknown)' : `[${shape.map((dim) => dim ?? '?').join(', ')}]`;

/** `rank` unknown dimensions. */
export const unknownDims = (rank: number): Dim[] => new Array<Dim>(rank).fill(null);
