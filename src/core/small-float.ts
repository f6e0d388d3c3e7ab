/**
 * The values of floats of 8 bits and less, by table.
 *
 * A type has a sign bit, `exponent` bits with a bias, and `fraction` bits: (−1)^s · 2^(e−bias) · (1 + f/2^fraction), and
 * for e = 0: (−1)^s · 2^(1−bias) · f/2^fraction. What differs is what is not a number: OCP "8-bit Floating Point
 * Specification" (2023) for e4m3fn and e5m2, "Microscaling Formats" (2023) for e2m1, e2m3, e3m2 and the unsigned e8m0,
 * ONNX's "Float stored in 8 bits" for the fnuz types, which have NaN where others have −0.
 */
import type { DType } from './dtype.ts';

interface Layout {
  readonly exponent: number;
  readonly fraction: number;
  readonly bias: number;
  /** How infinities and NaN are stored: as IEEE 754 does, at all ones only, in place of −0, or not at all. */
  readonly special: 'ieee' | 'all-ones' | 'negative-zero' | 'none';
}

const LAYOUTS: Partial<Record<DType, Layout>> = {
  float8e4m3fn: { exponent: 4, fraction: 3, bias: 7, special: 'all-ones' },
  float8e4m3fnuz: { exponent: 4, fraction: 3, bias: 8, special: 'negative-zero' },
  float8e5m2: { exponent: 5, fraction: 2, bias: 15, special: 'ieee' },
  float8e5m2fnuz: { exponent: 5, fraction: 2, bias: 16, special: 'negative-zero' },
  float6e2m3: { exponent: 2, fraction: 3, bias: 1, special: 'none' },
  float6e3m2: { exponent: 3, fraction: 2, bias: 3, special: 'none' },
  float4e2m1: { exponent: 2, fraction: 1, bias: 1, special: 'none' },
};

const decode = (bits: number, { exponent, fraction, bias, special }: Layout): number => {
  const width = exponent + fraction;
  const sign = bits >> width === 0 ? 1 : -1;
  const size = bits & ((1 << width) - 1);
  if (special === 'negative-zero' && sign === -1 && size === 0) return Number.NaN;
  if (special === 'all-ones' && size === (1 << width) - 1) return Number.NaN;
  const field = size >> fraction;
  const part = (size & ((1 << fraction) - 1)) / (1 << fraction);
  if (special === 'ieee' && field === (1 << exponent) - 1) {
    return part === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  return sign * (field === 0 ? part * 2 ** (1 - bias) : (1 + part) * 2 ** (field - bias));
};

/** The value of every bit pattern of a float type of 8 bits or less; undefined for all other types. */
export const smallFloatValues = (dtype: DType): Float64Array | undefined => {
  // Powers of two without a sign; all ones is NaN.
  if (dtype === 'float8e8m0') {
    return Float64Array.from({ length: 256 }, (_, bits) => (bits === 255 ? Number.NaN : 2 ** (bits - 127)));
  }
  const layout = LAYOUTS[dtype];
  if (layout === undefined) return undefined;
  const patterns = 1 << (1 + layout.exponent + layout.fraction);
  return Float64Array.from({ length: patterns }, (_, bits) => decode(bits, layout));
};
