/** One tensor of two files: whether it differs, in what, and how grave that is. */
import { elementCount } from '../core/tensor.ts';
import type { WeightTensor } from '../formats/state-dict.ts';
import type { DiffChange } from '../report/schemas/diff.ts';
import {
  areComparable,
  countDifferentStrings,
  type DiffMemory,
  type DiffTolerance,
  equalStart,
  measureDifference,
} from './diff-tensor.ts';

const storedOf = ({ dtype, dims }: WeightTensor): DiffChange['a'] => ({ dtype, shape: dims });

const areEqual = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

/** Axes of size 1 do not move an element. */
const squeezed = (dims: readonly number[]): readonly number[] => dims.filter((dim) => dim !== 1);

/** A difference, and whether all of it is within the tolerance. */
export interface JudgedChange {
  readonly change: DiffChange;
  readonly isTolerated: boolean;
}

/**
 * The difference of two tensors of one name, null where there is none. Yields the bytes of `a` that are done.
 * @throws what reading throws
 */
export function* comparePair(
  name: string,
  a: WeightTensor,
  b: WeightTensor,
  tolerance: DiffTolerance,
  memory: DiffMemory,
): Generator<number, JudgedChange | null> {
  const base = { name, a: storedOf(a), b: storedOf(b), values: null };
  const found = (
    change: Pick<DiffChange, 'what'> & Partial<DiffChange>,
    isTolerated = false,
  ): JudgedChange => ({
    change: { ...base, ...change },
    isTolerated,
  });
  if (!areEqual(a.dims, b.dims)) {
    if (!areEqual(squeezed(a.dims), squeezed(b.dims)) || !areComparable(a.dtype, b.dtype)) {
      yield a.data.size;
      return found({ what: 'shape' });
    }
    const { values } = yield* measureDifference(a, b, tolerance, memory);
    return found({ what: 'shape', values });
  }
  const isSameType = a.dtype === b.dtype;
  if (isSameType && a.dtype === 'string') {
    return countDifferentStrings(a, b) === 0 ? null : found({ what: 'values' });
  }
  if (!areComparable(a.dtype, b.dtype)) {
    yield a.data.size;
    return elementCount(a.dims) === 0 ? found({ what: 'dtype' }) : found({ what: 'values' });
  }
  const same = isSameType ? yield* equalStart(a.data, b.data, memory) : 0;
  if (isSameType && same === a.data.size) return null;
  const { values, beyond } = yield* measureDifference(a, b, tolerance, memory, same);
  if (values.differing === 0) return found({ what: isSameType ? 'bits' : 'dtype', values });
  return found({ what: 'values', values }, beyond === 0);
}

const GRAVITY = { shape: 0, values: 1, dtype: 2, bits: 3 } as const;

/** A difference whose relative norm is not defined (from nothing but zeros, or not finite) counts as without bound. */
const relativeOf = ({ values }: DiffChange): number => values?.relative ?? Number.POSITIVE_INFINITY;

/** Shapes first; then values, those with new NaN and infinities first, then by relative norm; then types, then bits. */
export const byGravity = (x: DiffChange, y: DiffChange): number => {
  const [lost, other] = [x.values?.nonFinite.differing ?? 0, y.values?.nonFinite.differing ?? 0];
  if (x.what !== y.what) return GRAVITY[x.what] - GRAVITY[y.what];
  if (lost > 0 !== other > 0) return other - lost;
  const [p, q] = [relativeOf(x), relativeOf(y)];
  return p === q ? 0 : q - p;
};
