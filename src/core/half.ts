/**
 * Half floats by table and by rounding.
 *
 * float16 (IEEE 754 binary16): 1 sign, 5 exponent (bias 15), 10 fraction bits.
 * bfloat16: the upper half of a binary32. Both round to nearest, ties to even; NaN stays NaN.
 */
const scratch = new DataView(new ArrayBuffer(4));

const decodeFloat16 = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
};

let float16Table: Float32Array | undefined;

/** The values of all float16 bit patterns, by pattern. */
export const float16Values = (): Float32Array => {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, i) => decodeFloat16(i));
  return float16Table;
};

/** The value of a float16 bit pattern (0…65535). */
export const float16ToNumber = (bits: number): number => float16Values()[bits] as number;

/** The float16 bit pattern nearest to a number (from binary64, one rounding); overflow gives infinity. */
export const numberToFloat16 = (value: number): number => {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -14) return sign | roundEven(size * 2 ** 24);
  const exponent = Math.min(15, Math.floor(Math.log2(size)));
  const shift = size < 2 ** exponent ? exponent - 1 : size >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
  return sign | (((shift + 14) << 10) + roundEven(size * 2 ** (10 - shift)));
};

const roundEven = (value: number): number => {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 === 1) ? low + 1 : low;
};

/** The value of a bfloat16 bit pattern (0…65535). */
export const bfloat16ToNumber = (bits: number): number => {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
};

/** The bfloat16 bit pattern nearest to a number (through binary32). */
export const numberToBfloat16 = (value: number): number => {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const even = (bits >>> 16) & 1;
  return ((bits + 0x7fff + even) / 65536) & 0xffff;
};
