/**
 * Static quantisation in QDQ form: uint8 activations with calibrated ranges, int8 weights with one scale a channel,
 * int32 biases.
 *
 * Three rules come from how ONNX Runtime treats the result at its default level. Scales and zero points of activations
 * are 0-d tensors (with shape [1] it misses fusions). A convolution kept in float reads the float tensor itself: between
 * a DequantizeLinear and a QuantizeLinear the runtime would quantise its weights per tensor, unasked. A Clip or Relu
 * stays in the graph: the runtime absorbs it where the range allows, and every other runtime still computes it.
 */
import { float32Tensor, typedTensor } from '../core/tensor.ts';
import { int } from '../ir/attribute.ts';
import type { Graph } from '../ir/graph.ts';
import { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';
import {
  type AffineParameters,
  activationParameters,
  biasScaleFloor,
  quantizeBias,
  quantizeWeight,
  type Range,
} from './affine.ts';
import { type FloatConstant, floatConstant } from './float-weights.ts';
import type { Scheme } from './scheme.ts';
import { isWeighted, planStatic, type StaticPlan } from './static-plan.ts';

const parametersOf = (plan: StaticPlan, ranges: ReadonlyMap<string, Range>): Map<Value, AffineParameters> => {
  const parameters = new Map<Value, AffineParameters>();
  for (const value of plan.tensors) {
    const shared = plan.sharedWith.get(value);
    const inherited = shared && parameters.get(shared);
    parameters.set(value, inherited ?? activationParameters(ranges.get(value.name) as Range));
  }
  return parameters;
};

/** value → QuantizeLinear → DequantizeLinear; returns the dequantised value. */
const insertPair = (graph: Graph, value: Value, { scale, zeroPoint }: AffineParameters): Value => {
  const inputs = [
    graph.addInitializer(`${value.name}/scale`, float32Tensor([], [scale])),
    graph.addInitializer(`${value.name}/zero-point`, typedTensor('uint8', [], Uint8Array.of(zeroPoint))),
  ];
  const quantize = {
    op: 'QuantizeLinear',
    name: `${value.name}/quantize`,
    inputs: [value, ...inputs],
    outputs: [`${value.name}/uint8`],
  };
  const first = graph.nodes[0];
  const node = value.producer
    ? graph.insertAfter(quantize, value.producer)
    : first
      ? graph.insertBefore(quantize, first)
      : graph.add(quantize);
  return graph.insertAfter(
    {
      op: 'DequantizeLinear',
      name: `${value.name}/dequantize`,
      inputs: [node.output, ...inputs],
      outputs: [{ name: `${value.name}/dequantized`, type: value.type }],
    },
    node,
  ).output;
};

/** Stores a constant as integers behind a per-channel DequantizeLinear and returns the dequantised value. */
const addDequantized = (
  node: Node,
  name: string,
  dims: readonly number[],
  values: Int8Array | Int32Array,
  scales: Float32Array,
  axis: number,
): Value => {
  const graph = node.graph as Graph;
  const dtype = values instanceof Int8Array ? 'int8' : 'int32';
  const zeros = values instanceof Int8Array ? new Int8Array(scales.length) : new Int32Array(scales.length);
  return graph.insertBefore(
    {
      op: 'DequantizeLinear',
      name: `${name}/dequantize`,
      inputs: [
        graph.addInitializer(`${name}/${dtype}`, typedTensor(dtype, dims, values)),
        graph.addInitializer(`${name}/scale`, float32Tensor([scales.length], scales)),
        graph.addInitializer(`${name}/zero-point`, typedTensor(dtype, [scales.length], zeros)),
      ],
      outputs: [`${name}/dequantized`],
      attributes: { axis: int(axis) },
    },
    node,
  ).output;
};

const quantizeWeights = (node: Node, inputScale: number): void => {
  const weight = node.inputs[1] as Value;
  const { dims, values } = floatConstant(weight) as FloatConstant;
  const axis = node.is('Conv') || (node.is('Gemm') && node.int('transB', 0) === 1) ? 0 : 1;
  const bias = floatConstant(node.inputs[2]);
  const floors = bias && Float32Array.from(bias.values, (value) => biasScaleFloor(value, inputScale));
  const quantized = quantizeWeight(values, dims, axis, floors);
  // Names carry the node's, because a weight shared by two nodes meets two input scales.
  const name = `${node.output.name}/weight`;
  node.setInput(1, addDequantized(node, name, dims, quantized.values, quantized.scales, axis));
  if (bias === undefined) return;
  const steps = quantizeBias(bias.values, inputScale, quantized.scales);
  const biasScales = quantized.scales.map((scale) => Math.fround(scale * inputScale));
  node.setInput(
    2,
    addDequantized(node, `${node.output.name}/bias`, bias.dims, steps, biasScales, bias.dims.length - 1),
  );
};

/** Every reader of the float value moves to the dequantised one, but weighted nodes that stay float. */
const rewireReaders = (value: Value, dequantized: Value, plan: StaticPlan, uses: Value['uses']): void => {
  const isResult = plan.results.has(value);
  for (const { user, index } of uses) {
    if (user instanceof Node) {
      const staysFloat = isWeighted(user) && !plan.weighted.has(user);
      if (!staysFloat && (plan.quantized.has(user) || isResult)) user.setInput(index, dequantized);
    } else if (isResult) user.setOutput(index, dequantized);
  }
};

export const staticScheme: Scheme = {
  name: 'static',
  summary: 'int8 weights and uint8 activations with ranges calibrated on samples (QDQ)',
  suffix: '_quantized',
  needsCalibration: true,
  tensors: (model, context) => {
    const plan = planStatic(model.graph, context);
    return plan.tensors.filter((value) => !plan.sharedWith.has(value));
  },
  apply: (model, context, ranges) => {
    const plan = planStatic(model.graph, context);
    const parameters = parametersOf(plan, ranges);
    for (const node of plan.weighted) {
      quantizeWeights(node, (parameters.get(node.inputs[0] as Value) as AffineParameters).scale);
    }
    for (const value of plan.tensors) {
      const { uses } = value;
      const dequantized = insertPair(model.graph, value, parameters.get(value) as AffineParameters);
      rewireReaders(value, dequantized, plan, uses);
    }
    return [...plan.excluded];
  },
};
