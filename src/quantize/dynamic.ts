/**
 * Dynamic quantisation: int8 weights, activations quantised while the model runs.
 *
 *   y = float(MatMulInteger(q(x), Wq, zx)) · (sx · sw) + b      with (q(x), sx, zx) = DynamicQuantizeLinear(x)
 *
 * Wq and sw are per column (per output feature). Convolutions stay float unless asked for: ConvInteger knows no
 * per-channel scales, and on the CPU it is slower than the float kernel.
 * Source: ONNX operators DynamicQuantizeLinear-11, MatMulInteger-10, ConvInteger-10.
 */
import { float32Tensor, typedTensor } from '../core/tensor.ts';
import type { Attribute } from '../ir/attribute.ts';
import { int } from '../ir/attribute.ts';
import type { Graph } from '../ir/graph.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';
import { quantizeWeight } from './affine.ts';
import {
  type FloatConstant,
  floatConstant,
  isConstantMatMul,
  isPlainGemm,
  NOT_CONSTANT_MATMUL,
  NOT_PLAIN_GEMM,
  transpose,
} from './float-weights.ts';
import type { Excluded, Scheme, SchemeContext } from './scheme.ts';

/** DynamicQuantizeLinear of x, one for all its consumers. */
type Quantized = readonly [values: Value, scale: Value, zeroPoint: Value];

const FLOAT = int(1);

const createActivationQuantizer = (graph: Graph): ((x: Value, before: Node) => Quantized) => {
  const known = new Map<Value, Quantized>();
  return (x, before) => {
    const seen = known.get(x);
    if (seen) return seen;
    const spec = {
      op: 'DynamicQuantizeLinear',
      name: `${x.name}/quantize`,
      inputs: [x],
      outputs: [`${x.name}/uint8`, `${x.name}/scale`, `${x.name}/zero-point`],
    };
    const node = x.producer
      ? graph.insertAfter(spec, x.producer)
      : graph.insertBefore(spec, graph.nodes[0] ?? before);
    const quantized = node.outputs as unknown as Quantized;
    known.set(x, quantized);
    return quantized;
  };
};

/** integer product · (sx · sw) (+ bias) in place of the float node. */
const replaceByInteger = (
  node: Node,
  integer: { op: string; weight: Value; attributes?: Record<string, Attribute> },
  scales: Value,
  [x, xScale, xZero]: Quantized,
  bias: Value | undefined,
): void => {
  const graph = node.graph as Graph;
  const base = node.output.name;
  const before = (
    op: string,
    inputs: Value[],
    name: string,
    attributes: Record<string, Attribute> = {},
  ): Value =>
    graph.insertBefore(
      { op, name: `${base}/${name}`, inputs, outputs: [`${base}/${name}`], attributes },
      node,
    ).output;
  const product = before(integer.op, [x, integer.weight, xZero], 'int32', integer.attributes);
  const float = before('Cast', [product], 'float', { to: FLOAT });
  const scale = before('Mul', [xScale, scales], 'scale');
  let result = before('Mul', [float, scale], bias ? 'scaled' : 'dequantized');
  if (bias) result = before('Add', [result, bias], 'biased');
  const { name, type } = node.output;
  node.output.replaceAllUsesWith(result);
  graph.remove(node);
  result.name = name;
  result.type = type;
};

/** An int8 weight and its scales. */
interface StoredWeight {
  readonly weight: Value;
  readonly scale: Value;
}

type Layout = 'matrix' | 'transposed' | 'kernel';

const storeWeight = (graph: Graph, value: Value, layout: Layout): StoredWeight => {
  const { name } = value;
  const given = floatConstant(value) as FloatConstant;
  const { dims, values } = layout === 'transposed' ? transpose(given) : given;
  const quantized =
    layout === 'kernel' ? quantizeWeight(values, [1, values.length], 0) : quantizeWeight(values, dims, 1);
  const scaleDims = layout === 'kernel' ? [] : [quantized.scales.length];
  return {
    weight: graph.addInitializer(`${name}/int8`, typedTensor('int8', dims, quantized.values)),
    scale: graph.addInitializer(`${name}/scale`, float32Tensor(scaleDims, quantized.scales)),
  };
};

/** Quantises a weight, once for all nodes that share it. */
const createWeightStore = (graph: Graph): ((value: Value, layout: Layout) => StoredWeight) => {
  const known = new Map<Value, Map<Layout, StoredWeight>>();
  return (value, layout) => {
    const ofValue = known.get(value) ?? new Map<Layout, StoredWeight>();
    const stored = ofValue.get(layout) ?? storeWeight(graph, value, layout);
    known.set(value, ofValue.set(layout, stored));
    return stored;
  };
};

interface Rewriter {
  activation(x: Value, before: Node): Quantized;
  weight(value: Value, layout: Layout): StoredWeight;
}

const quantizeMatrix = (
  node: Node,
  layout: 'matrix' | 'transposed',
  rewriter: Rewriter,
  bias: Value | undefined,
): void => {
  const { weight, scale } = rewriter.weight(node.inputs[1] as Value, layout);
  replaceByInteger(
    node,
    { op: 'MatMulInteger', weight },
    scale,
    rewriter.activation(node.inputs[0] as Value, node),
    bias,
  );
};

const quantizeConvolution = (node: Node, kernel: FloatConstant, rewriter: Rewriter): void => {
  const graph = node.graph as Graph;
  const { weight, scale } = rewriter.weight(node.inputs[1] as Value, 'kernel');
  const bias = floatConstant(node.inputs[2]);
  const spread =
    bias &&
    graph.addInitializer(
      `${node.inputs[2]?.name}/spread`,
      float32Tensor([1, bias.values.length, ...kernel.dims.slice(2).map(() => 1)], bias.values),
    );
  const attributes = Object.fromEntries(node.attributes);
  replaceByInteger(
    node,
    { op: 'ConvInteger', weight, attributes },
    scale,
    rewriter.activation(node.inputs[0] as Value, node),
    spread,
  );
};

const rewriteNode = (node: Node, context: SchemeContext, rewriter: Rewriter): string | undefined => {
  if (node.inputs[0]?.dtype !== undefined && node.inputs[0].dtype !== 'float32')
    return `input is ${node.inputs[0].dtype}`;
  if (node.is('Conv')) {
    if (!context.convolutions) return 'a dynamically quantised convolution is slower than the float one';
    const kernel = floatConstant(node.inputs[1]);
    if (!kernel) return 'its weight is not a float32 constant';
    if (node.inputs[2] && !floatConstant(node.inputs[2])) return 'its bias is not a float32 constant';
    quantizeConvolution(node, kernel, rewriter);
    return undefined;
  }
  if (node.is('MatMul')) {
    if (!isConstantMatMul(node)) return NOT_CONSTANT_MATMUL;
    quantizeMatrix(node, 'matrix', rewriter, undefined);
    return undefined;
  }
  if (!isPlainGemm(node)) return NOT_PLAIN_GEMM;
  quantizeMatrix(node, node.int('transB', 0) === 1 ? 'transposed' : 'matrix', rewriter, node.inputs[2]);
  return undefined;
};

export const dynamicScheme: Scheme = {
  name: 'dynamic',
  summary: 'int8 weights of MatMul and Gemm, activations quantised while running; needs no samples',
  suffix: '_quantized',
  needsCalibration: false,
  apply: (model, context) => {
    const excluded: Excluded[] = [];
    const rewriter: Rewriter = {
      activation: createActivationQuantizer(model.graph),
      weight: createWeightStore(model.graph),
    };
    for (const node of model.graph.nodes) {
      if (!node.is('MatMul') && !node.is('Gemm') && !node.is('Conv')) continue;
      const reason = context.isExcluded(node) ? 'excluded by the user' : rewriteNode(node, context, rewriter);
      if (reason !== undefined) excluded.push({ node: node.name, reason });
    }
    return excluded;
  },
};
