/**
 * From the graph as the module describes it to the graph that is deployed: batch norms folded, subnormals gone,
 * weights in the dtype asked for.
 */
import type { DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { countFloats } from '../core/float-census.ts';
import { numberToFloat16 } from '../core/half.ts';
import { elementCount, float32Tensor, type Tensor, tensorArray, typedTensor } from '../core/tensor.ts';
import type { Graph } from '../ir/graph.ts';
import type { Node } from '../ir/node.ts';
import { tensorType } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import { flushSubnormals, foldBatchNorm } from '../ops/weights.ts';

const float32Of = (value: Value | undefined): Float32Array | undefined => {
  const tensor = value?.constant;
  return tensor?.dtype === 'float32' ? tensorArray(tensor as Tensor & { dtype: 'float32' }) : undefined;
};

const removeUnused = (graph: Graph, values: readonly (Value | undefined)[]): void => {
  for (const value of values)
    if (value?.constant !== undefined && !value.isUsed) graph.removeInitializer(value);
};

/** The convolution or linear layer whose output only this batch norm reads, if its weights are its own. */
const foldableProducer = (norm: Node): Node | undefined => {
  const layer = norm.inputs[0]?.producer;
  if (layer === undefined || layer.output.useCount !== 1) return undefined;
  if (!layer.is('Conv') && !(layer.is('Gemm') && layer.int('transB') === 1)) return undefined;
  return layer.inputs.slice(1).every((value) => value === undefined || value.useCount === 1)
    ? layer
    : undefined;
};

/**
 * Folds every BatchNormalization that follows a convolution or linear layer of its own into that layer's weight and
 * bias (ops/weights.ts has the formula). The weight keeps its key; a bias that was not there is named `<layer>.bias`.
 */
export const foldBatchNorms = (graph: Graph): void => {
  for (const norm of graph.nodes) {
    if (!norm.is('BatchNormalization')) continue;
    const layer = foldableProducer(norm);
    const [weightValue, biasValue] = layer?.inputs.slice(1) ?? [];
    const weight = float32Of(weightValue);
    const bias = float32Of(biasValue);
    const [gamma, beta, mean, variance] = norm.inputs.slice(1).map(float32Of);
    if (layer === undefined || weightValue === undefined || weight === undefined) continue;
    if (gamma === undefined || beta === undefined || mean === undefined || variance === undefined) continue;
    const epsilon = norm.float('epsilon', 1e-5);
    const folded = foldBatchNorm(weight, bias, { gamma, beta, mean, variance, epsilon });
    graph.setInitializer(weightValue, float32Tensor(weightValue.constant?.dims ?? [], folded.weight));
    const biasTensor = float32Tensor([folded.bias.length], folded.bias);
    if (biasValue === undefined)
      layer.setInput(2, graph.addInitializer(weightValue.name.replace(/weight$/, 'bias'), biasTensor));
    else graph.setInitializer(biasValue, biasTensor);
    norm.output.replaceAllUsesWith(layer.output);
    const parameters = norm.inputs.slice(1);
    graph.remove(norm);
    removeUnused(graph, parameters);
  }
};

/** Sets subnormal weights to zero. Tensors without any stay untouched. */
export const flushSubnormalWeights = (graph: Graph): { tensors: number; elements: number } => {
  const flushed = { tensors: 0, elements: 0 };
  for (const value of graph.initializers) {
    const tensor = value.constant;
    if (tensor?.dtype !== 'float32') continue;
    const count = countFloats('float32', tensor.data).subnormals;
    if (count === 0) continue;
    const values = tensorArray(tensor as Tensor & { dtype: 'float32' });
    graph.setInitializer(value, float32Tensor(tensor.dims, flushSubnormals(values)));
    flushed.tensors++;
    flushed.elements += count;
  }
  return flushed;
};

/** Names of the weights that hold NaN or infinity: every output that depends on them does too. */
export const nonFiniteWeights = (graph: Graph): string[] =>
  graph.initializers
    .filter(({ constant }) => {
      if (constant?.dtype !== 'float32') return false;
      const { nans, infinities } = countFloats('float32', constant.data);
      return nans + infinities > 0;
    })
    .map(({ name }) => name);

const toFloat16 = (name: string, tensor: Tensor): Tensor => {
  const values = tensorArray(tensor as Tensor & { dtype: 'float32' });
  const halves = new Uint16Array(values.length);
  let overflows = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    halves[i] = numberToFloat16(value);
    if (Math.abs(value) >= 65520 && Number.isFinite(value)) overflows++;
  }
  if (overflows > 0) {
    throw new OrthoError(
      'dtype/unsupported',
      `${overflows} of ${values.length} weights of "${name}" are beyond float16's largest value 65504`,
      { at: { key: name }, hint: 'leave out --dtype float16' },
    );
  }
  return typedTensor('float16', tensor.dims, halves);
};

/** Makes every float32 weight, value, input and output of the graph float16, each weight rounded once, to nearest. */
export const castToFloat16 = (graph: Graph): void => {
  const half = (dtype: DType | undefined): DType | undefined => (dtype === 'float32' ? 'float16' : dtype);
  for (const value of graph.initializers) {
    const tensor = value.constant;
    if (tensor?.dtype === 'float32') graph.setInitializer(value, toFloat16(value.name, tensor));
  }
  for (const value of [...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)])
    value.setTensorType(half(value.dtype), value.shape);
  for (const slot of graph.slots)
    if (slot.type?.kind === 'tensor') slot.type = tensorType(half(slot.type.dtype), slot.type.shape);
};

/** Elements of all floating-point initializers. */
export const countParameters = (graph: Graph): number =>
  graph.initializers.reduce((sum, value) => {
    const tensor = value.constant;
    const isFloat = tensor?.dtype === 'float32' || tensor?.dtype === 'float16';
    return isFloat ? sum + elementCount(tensor.dims) : sum;
  }, 0);
