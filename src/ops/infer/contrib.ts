/**
 * Operators of com.microsoft that ONNX Runtime writes when it optimises, as far as their shapes are simple.
 * Source: onnxruntime's ContribOperators document. Some keep the name of a standard operator of a later opset.
 */
import type { DType } from '../../core/dtype.ts';
import { type Dim, type Shape, tensorType } from '../../ir/type.ts';
import { convolutionShape } from './convolution.ts';
import { isKnown } from './dims.ts';
import { broadcastInputs, commonDtype } from './elementwise.ts';
import { gemmShape, matMulShape } from './matrix.ts';
import { layerNormalization } from './normalization.ts';
import { pooledSizes } from './pooling.ts';
import { quantizationRules } from './quantization.ts';
import type { Rule, RuleTable } from './types.ts';

const like: Rule = (call) => call.like(0);

const swapLastTwo = (shape: Shape): Shape => [...shape.slice(0, -2), ...shape.slice(-2).reverse()];

/** [b0, r, .., c] as transposeBatch sees it: the batch axes and the rows move apart. */
const batchRotated = (shape: Shape): Shape => [...shape.slice(1, -1), shape[0] as Dim, shape.at(-1) as Dim];

const fusedMatMul: Rule = (call) => {
  const operand = (index: number, side: 'A' | 'B'): Shape | undefined => {
    let shape = call.shape(index);
    if (shape && shape.length > 2 && call.int(`transBatch${side}`, 0) !== 0) shape = batchRotated(shape);
    return shape && shape.length > 1 && call.int(`trans${side}`, 0) !== 0 ? swapLastTwo(shape) : shape;
  };
  return call.out(commonDtype(call, [0, 1]), matMulShape(call, operand(0, 'A'), operand(1, 'B')));
};

const fusedConv: Rule = (call) => call.out(call.dtype(0), convolutionShape(call, 0, 1, 2));

const fusedGemm: Rule = (call) => call.out(call.dtype(0), gemmShape(call, 0, 1));

/** A, a_scale, a_zero_point, B, b_scale, b_zero_point, C, y_scale, y_zero_point; float without an output scale. */
const qGemm: Rule = (call) => call.out(call.has(8) ? call.dtype(8) : 'float32', gemmShape(call, 0, 3));

const matMulNBits: Rule = (call) => {
  const shape = call.atLeast(0, 1);
  const [k, n] = [call.int('K'), call.int('N')];
  call.same(shape?.at(-1), k, 'the input size and K:');
  return call.out(call.dtype(0), shape && [...shape.slice(0, -1), n ?? null]);
};

/** A, B as in MatMul; the result is float. */
const matMulToFloat: Rule = (call) =>
  call.out(call.dtype(2) ?? 'float32', matMulShape(call, call.shape(0), call.shape(1)));

const qLinearLike =
  (zeroPoint: number): Rule =>
  (call) =>
    call.out(call.has(zeroPoint) ? call.dtype(zeroPoint) : call.dtype(0), call.shape(0));

/** A, a_scale, a_zero_point, B, b_scale, b_zero_point, c_scale, c_zero_point. */
const qLinearBinary: Rule = (call) => call.out(call.dtype(0), broadcastInputs(call, [0, 3]));

const qLinearGlobalAveragePool: Rule = (call) => {
  const shape = call.atLeast(0, 3);
  const last = call.int('channels_last', 0) !== 0;
  return call.out(
    call.dtype(0),
    shape?.map((dim, axis) => (axis === 0 || axis === (last ? shape.length - 1 : 1) ? dim : 1)),
  );
};

/** y_scale, y_zero_point, then (tensor, scale, zero point) for each input. */
const qLinearConcat: Rule = (call) => {
  const tensors: Shape[] = [];
  for (let i = 2; i < call.inputCount; i += 3) {
    const shape = call.shape(i);
    if (shape === undefined) return call.out(call.dtype(2), undefined);
    tensors.push(shape);
  }
  const [first] = tensors;
  if (first === undefined) return call.out(call.dtype(2), undefined);
  const axis = call.axis(call.int('axis', 0), first.length);
  const sum = tensors.reduce<Dim>((total, shape) => {
    const dim = shape[axis] ?? null;
    return isKnown(total) && isKnown(dim) ? total + dim : null;
  }, 0);
  return call.out(
    call.dtype(2),
    first.map((dim, i) => (i === axis ? sum : dim)),
  );
};

/** X [N, spatial…, C]. */
const nhwcMaxPool: Rule = (call) => {
  const shape = call.atLeast(0, 3);
  const pooled = shape && [shape[0] as Dim, ...pooledSizes(call, shape.slice(1, -1)), shape.at(-1) as Dim];
  return call.out(call.dtype(0), pooled);
};

/** Outputs: the normalised sum, mean, inverse deviation, and the sum itself. */
const skipLayerNormalization: Rule = (call) => {
  const reduced = call.shape(0)?.map((dim, axis, all) => (axis < all.length - 1 ? dim : 1));
  const statistics = tensorType('float32' satisfies DType, reduced);
  return [call.type(0), statistics, statistics, call.type(0)];
};

/** query [b, s, hidden]; value last size gives the output's. */
const multiHeadAttention: Rule = (call) => {
  const query = call.shape(0);
  const value = call.has(2) ? call.shape(2) : undefined;
  if (query?.length !== 3) return call.out(call.dtype(0), undefined);
  const hidden = value?.length === 3 ? value[2] : call.has(2) ? null : query[2];
  return call.out(call.dtype(0), [query[0] as Dim, query[1] as Dim, hidden ?? null]);
};

/** input [b, s, in], weights [in, q + k + v sizes]: [b, s, v size]. */
const packedAttention: Rule = (call) => {
  const input = call.ranked(0, 3);
  const columns = call.ranked(1, 2)?.[1];
  const sizes = call.ints('qkv_hidden_sizes');
  const hidden = sizes?.[2] ?? (isKnown(columns) ? Math.floor(columns / 3) : null);
  return call.out(call.dtype(0), [input?.[0] ?? null, input?.[1] ?? null, hidden]);
};

export const contribRules: RuleTable = {
  FusedConv: fusedConv,
  FusedGemm: fusedGemm,
  FusedMatMul: fusedMatMul,
  TransposeMatMul: fusedMatMul,
  QGemm: qGemm,
  MatMulNBits: matMulNBits,
  MatMulIntegerToFloat: matMulToFloat,
  DynamicQuantizeMatMul: (call) => call.out(call.dtype(0), matMulShape(call, call.shape(0), call.shape(1))),
  Gelu: like,
  BiasGelu: like,
  FastGelu: like,
  QuickGelu: like,
  BiasDropout: (call) => [call.type(0), tensorType('bool', call.shape(0))],
  BiasSoftmax: like,
  BiasAdd: like,
  LayerNormalization: layerNormalization,
  SimplifiedLayerNormalization: layerNormalization,
  SkipLayerNormalization: skipLayerNormalization,
  SkipSimplifiedLayerNormalization: skipLayerNormalization,
  GroupNorm: like,
  RotaryEmbedding: like,
  MultiHeadAttention: multiHeadAttention,
  Attention: packedAttention,
  QuantizeLinear: quantizationRules.QuantizeLinear ?? like,
  DequantizeLinear: quantizationRules.DequantizeLinear ?? like,
  QLinearAdd: qLinearBinary,
  QLinearMul: qLinearBinary,
  QLinearSigmoid: qLinearLike(4),
  QLinearLeakyRelu: qLinearLike(4),
  QLinearSoftmax: qLinearLike(4),
  QLinearConcat: qLinearConcat,
  QLinearGlobalAveragePool: qLinearGlobalAveragePool,
  NhwcMaxPool: nhwcMaxPool,
};
