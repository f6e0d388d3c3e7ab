/** Normalisations: the output looks like the input; statistics come along for some. */
import { tensorType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { unifyDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/** Checks that 1-d parameters have one entry per channel. */
const perChannel = (call: Call, indices: readonly number[]): void => {
  const input = call.shape(0);
  const channels = input === undefined ? null : input.length > 1 ? input[1] : 1;
  for (const index of indices) {
    const shape = call.has(index) ? call.ranked(index, 1) : undefined;
    call.same(shape?.[0], channels, `input ${index}: its length and the channels`);
  }
};

/** From opset 14 the extra outputs are the running statistics; before, they had the shape of scale as well. */
const batchNormalization: Rule = (call) => {
  perChannel(call, [1, 2, 3, 4]);
  const input = call.shape(0);
  const channels = unifyDims(input && input.length > 1 ? input[1] : null, call.shape(1)?.[0]);
  const shape = input && input.length > 1 ? [input[0] ?? null, channels, ...input.slice(2)] : input;
  const statistics = tensorType(call.dtype(3) ?? call.dtype(0), [channels]);
  return [...call.out(call.dtype(0), shape), statistics, statistics, statistics, statistics];
};

const instanceNormalization: Rule = (call) => {
  perChannel(call, [1, 2]);
  return call.like(0);
};

/** Mean and inverse deviation keep the axes before `axis`; the others become 1. */
export const layerNormalization: Rule = (call) => {
  const shape = call.shape(0);
  const axis = shape && call.axis(call.int('axis', -1), shape.length);
  const reduced = shape?.map((dim, i) => (i < (axis as number) ? dim : 1));
  const stash = call.dtypeAttribute('stash_type', 'float32');
  return [call.type(0), tensorType(stash, reduced), tensorType(stash, reduced)];
};

/** Operators along an axis that keep the shape. The default axis was 1 before opset 13. */
const alongAxis: Rule = (call) => {
  const shape = call.shape(0);
  const axis = call.int('axis', call.opset < 13 ? 1 : -1);
  // The old form flattens at `axis`, which may also be the rank.
  if (shape && shape.length > 0) call.axis(axis, shape.length, call.opset < 13);
  return call.like(0);
};

const lpNormalization: Rule = (call) => {
  const shape = call.shape(0);
  if (shape && shape.length > 0) call.axis(call.int('axis', -1), shape.length);
  return call.like(0);
};

const like: Rule = (call) => call.like(0);

export const normalizationRules: RuleTable = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  // Not in the standard, but ONNX Runtime writes it in the standard domain.
  SimplifiedLayerNormalization: layerNormalization,
  GroupNormalization: like,
  RMSNormalization: like,
  LRN: like,
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: like,
  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  Hardmax: alongAxis,
};
