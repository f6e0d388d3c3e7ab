/**
 * 64-bit integers as pairs of doubles.
 *
 * An integer h·2³² + l is head + tail: the head is the nearest double, the tail what rounding took away, l − (head −
 * h·2³²) (Fast2Sum, exact because h = 0 or |h·2³²| > l). Two integers are equal when heads and tails are, and the sum of
 * the differences of both is the difference of the integers, rounded once.
 */
import type { DType } from './dtype.ts';

/** Whether doubles do not hold every value of this type. */
export const isWideInteger = (dtype: DType): boolean => dtype === 'int64' || dtype === 'uint64';

/** The tails of elements whose heads are decoded already; zeros for types that doubles hold. */
export const decodeTails = (
  dtype: DType,
  bytes: Uint8Array,
  heads: Float64Array,
  tails: Float64Array,
): void => {
  if (!isWideInteger(dtype)) {
    tails.fill(0);
    return;
  }
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, heads.length * 2);
  for (let i = 0; i < heads.length; i++) {
    const upper = words[2 * i + 1]!;
    tails[i] = words[2 * i]! - (heads[i]! - (dtype === 'int64' ? upper | 0 : upper) * 2 ** 32);
  }
};
