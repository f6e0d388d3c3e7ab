/**
 * Exact float32 arithmetic on weights: batch-norm folding and the removal of subnormal numbers.
 *
 * Folding a BatchNormalization (γ, β, μ, σ², ε) into the layer before it, per output channel c:
 *   s[c] = γ[c] / √(σ²[c] + ε)      W'[c, …] = W[c, …] · s[c]      b'[c] = β[c] + (b[c] − μ[c]) · s[c]
 * Every step is rounded to float32 as PyTorch's own fold rounds it (torch/nn/utils/fusion.py and the ONNX exporters'
 * eval peephole), so a replay gives the same bits wherever their square root is correctly rounded.
 */
const { fround } = Math;

export interface BatchNormParameters {
  readonly gamma: Float32Array;
  readonly beta: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly epsilon: number;
}

/**
 * Folds a batch norm into a layer whose weight has the output channels first ([C, …], row-major). The bias may be
 * absent. New arrays come back; the inputs stay as they are.
 */
export const foldBatchNorm = (
  weight: Float32Array,
  bias: Float32Array | undefined,
  { gamma, beta, mean, variance, epsilon }: BatchNormParameters,
): { readonly weight: Float32Array; readonly bias: Float32Array } => {
  const channels = gamma.length;
  const inner = weight.length / channels;
  const foldedWeight = new Float32Array(weight.length);
  const foldedBias = new Float32Array(channels);
  const eps = fround(epsilon);
  for (let c = 0; c < channels; c++) {
    const scale = fround(gamma[c]! / fround(Math.sqrt(fround(variance[c]! + eps))));
    for (let i = c * inner; i < (c + 1) * inner; i++) foldedWeight[i] = weight[i]! * scale;
    const centred = fround((bias?.[c] ?? 0) - mean[c]!);
    foldedBias[c] = fround(centred * scale) + beta[c]!;
  }
  return { weight: foldedWeight, bias: foldedBias };
};

const EXPONENT = 0x7f800000;
const SIGN = 0x80000000;

/** A copy in which subnormal values are zeros of the same sign, as a processor that flushes them sees it. */
export const flushSubnormals = (values: Float32Array): Float32Array => {
  const copy = values.slice();
  const bits = new Int32Array(copy.buffer, copy.byteOffset, copy.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & EXPONENT) === 0) bits[i] = bits[i]! & SIGN;
  return copy;
};
