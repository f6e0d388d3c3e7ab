/**
 * Affine quantisation: q = clamp(round(x / scale) + zeroPoint), x ≈ (q − zeroPoint) · scale, rounding half to even
 * (ONNX QuantizeLinear).
 *
 * Activations are uint8 and asymmetric: the range is widened to hold 0 so that zero padding is exact,
 * scale = (max − min) / 255, zeroPoint = round(−min / scale). Weights are int8 and symmetric in [−127, 127]:
 * scale = max|w| / 127, zeroPoint = 0. Biases are int32 with scale = inputScale · weightScale.
 */

/** Rounds half to even, as ONNX does. */
export const roundHalfEven = (value: number): number => {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest < 0.5) return low;
  if (rest > 0.5) return low + 1;
  return low % 2 === 0 ? low : low + 1;
};

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

export interface Range {
  readonly min: number;
  readonly max: number;
}

export interface AffineParameters {
  /** Positive float32. */
  readonly scale: number;
  /** 0…255. */
  readonly zeroPoint: number;
}

/** Smallest positive normal float32: a smaller scale would be a subnormal, slow and imprecise. */
const SMALLEST_SCALE = 2 ** -126;

/** uint8 parameters of a calibrated range; a range of zero width gets scale 1. */
export const activationParameters = ({ min, max }: Range): AffineParameters => {
  const low = Math.min(0, min);
  const high = Math.max(0, max);
  const scale = Math.fround((high - low) / 255);
  if (!(scale >= SMALLEST_SCALE)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: clamp(roundHalfEven(-low / scale), 0, 255) };
};

/** int8 scale of weights with this largest magnitude, never below `floor`. */
export const weightScale = (maxAbs: number, floor = 0): number => {
  const scale = Math.fround(Math.max(maxAbs / 127, floor));
  return scale >= SMALLEST_SCALE ? scale : 1;
};

export interface QuantizedWeight {
  /** Same layout as the float weight. */
  readonly values: Int8Array;
  /** One scale a channel. */
  readonly scales: Float32Array;
}

/**
 * Quantises weights per channel of one axis. `dims` is the weight's shape; channel c of axis a holds the elements whose
 * index along a is c. `floors[c]` is the least scale of channel c (what keeps an int32 bias in range).
 */
export const quantizeWeight = (
  weight: Float32Array,
  dims: readonly number[],
  axis: number,
  floors?: Float32Array,
): QuantizedWeight => {
  const channels = dims[axis] as number;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const values = new Int8Array(weight.length);
  const scales = new Float32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    let maxAbs = 0;
    for (let start = channel * inner; start < weight.length; start += channels * inner) {
      for (let i = start; i < start + inner; i++) maxAbs = Math.max(maxAbs, Math.abs(weight[i] as number));
    }
    scales[channel] = weightScale(maxAbs, floors?.[channel] ?? 0);
    const scale = scales[channel] as number;
    for (let start = channel * inner; start < weight.length; start += channels * inner) {
      for (let i = start; i < start + inner; i++) {
        values[i] = clamp(roundHalfEven((weight[i] as number) / scale), -127, 127);
      }
    }
  }
  return { values, scales };
};

/** The least weight scale at which |bias| stays below 2^30 steps of inputScale · weightScale. */
export const biasScaleFloor = (bias: number, inputScale: number): number =>
  Math.abs(bias) / (2 ** 30 * inputScale);

/** A bias as int32 steps of inputScale · weightScale[c]. */
export const quantizeBias = (
  bias: Float32Array,
  inputScale: number,
  weightScales: Float32Array,
): Int32Array =>
  Int32Array.from(bias, (value, channel) =>
    clamp(
      roundHalfEven(value / Math.fround(inputScale * (weightScales[channel] as number))),
      -(2 ** 31),
      2 ** 31 - 1,
    ),
  );
