/**
 * `BatchNormalization(Conv(x, W, b))` becomes one Conv; the same for ConvTranspose. Per output channel c:
 *
 *   s[c] = γ[c] / √(σ²[c] + ε)      W'[c, …] = W[c, …] · s[c]      b'[c] = β[c] + (b[c] − μ[c]) · s[c]
 *
 * in float32, each step rounded (ops/weights.ts), as PyTorch's exporters fold.
 *
 * Hazards: every operand must be certain (no overridable initializer) and float32; the convolution must have no other
 * user and its weight no second one (folding would store it twice); statistics of a batch norm in training mode
 * change; a scale that is not finite would turn 0·∞ into NaN where the graph had none.
 * ConvTranspose has its weight as [C_in, C_out / group, …]: output channels are gathered to the front and put back.
 */
import { float32Tensor, type Tensor, tensorArray } from '../core/tensor.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';
import { foldBatchNorm } from '../ops/weights.ts';
import { constantTensor } from './graph-tools.ts';
import { type PassContext, rewrite } from './pass.ts';

const float32Values = (tensor: Tensor): Float32Array => tensorArray(tensor as Tensor & { dtype: 'float32' });

/** Where element block (row, column) of a ConvTranspose weight is in the order with output channels first. */
const gatherChannels = (weight: Float32Array, dims: readonly number[], groups: number): Float32Array => {
  const gathered = new Float32Array(weight.length);
  forEachBlock(dims, groups, (from, to, size) => {
    gathered.set(weight.subarray(from, from + size), to);
  });
  return gathered;
};

const scatterChannels = (gathered: Float32Array, dims: readonly number[], groups: number): Float32Array => {
  const weight = new Float32Array(gathered.length);
  forEachBlock(dims, groups, (to, from, size) => {
    weight.set(gathered.subarray(from, from + size), to);
  });
  return weight;
};

/** Walks the kernels of a [C_in, C_out / groups, …] weight with their places in [C_out, C_in / groups, …]. */
const forEachBlock = (
  [rows = 0, columns = 0, ...kernel]: readonly number[],
  groups: number,
  visit: (place: number, channelFirst: number, size: number) => void,
): void => {
  const size = kernel.reduce((product, dim) => product * dim, 1);
  const rowsPerGroup = rows / groups;
  for (let row = 0; row < rows; row++) {
    const group = Math.floor(row / rowsPerGroup);
    for (let column = 0; column < columns; column++) {
      const channel = group * columns + column;
      const channelFirst = channel * rowsPerGroup + (row - group * rowsPerGroup);
      visit((row * columns + column) * size, channelFirst * size, size);
    }
  }
};

/** A batch norm that uses its stored statistics. Before opset 7 an attribute decided, with training as the default. */
const isInference = (node: Node, opset: number): boolean =>
  opset >= 7 &&
  node.int('training_mode', 0) === 0 &&
  node.int('spatial', 1) === 1 &&
  node.outputs.slice(1).every(({ isUsed, name }) => !isUsed && (name === '' || opset >= 14));

/** Gives a slot its new tensor: in place where nobody else reads the old one, else as a new initializer. */
const storeConstant = (
  node: Node,
  index: number,
  tensor: Tensor,
  name: string,
  context: PassContext,
): void => {
  const old = node.inputs[index];
  const { graph } = node;
  if (old?.constant !== undefined && old.useCount === 1 && !context.isPinned(old)) {
    holderOf(node, old)?.setInitializer(old, tensor);
    return;
  }
  if (graph !== undefined) node.setInput(index, graph.addInitializer(name, tensor));
};

/** The graph, of those around the node, that holds the initializer. */
const holderOf = (node: Node, initializer: Value) => {
  let { graph } = node;
  while (graph !== undefined && !graph.initializers.includes(initializer)) graph = graph.owner?.graph;
  return graph;
};

export const fuseBnIntoConv = rewrite({
  name: 'fuse-bn-into-conv',
  summary: 'fold batch normalisation into the convolution before it',
  worksInFunctions: false,
  ops: ['BatchNormalization'],
  apply(bn, context) {
    const conv = bn.inputs[0]?.producer;
    const { graph } = bn;
    if (conv === undefined || graph === undefined) return false;
    if (!conv.is('Conv') && !conv.is('ConvTranspose')) return false;
    const refuse = (reason: string): boolean => context.decline(reason, bn);

    if (!isInference(bn, context.opset)) return refuse('the batch norm is in training mode');
    if (conv.graph !== graph) return refuse('the convolution is in another graph');
    if (conv.output.useCount !== 1) return refuse('the convolution has another user');
    if (context.isPinned(conv.output)) return refuse('an annotation refers to the convolution');

    const operands = [conv.inputs[1], ...bn.inputs.slice(1, 5)];
    const tensors = operands.map(constantTensor);
    const [weight, gamma, beta, mean, variance] = tensors;
    const biasValue = conv.inputs[2];
    const bias = constantTensor(biasValue);
    if (!weight || !gamma || !beta || !mean || !variance || (biasValue !== undefined && !bias)) {
      const all = [...operands, biasValue];
      const isOverridable = all.some((value) => value?.initializer !== undefined && value.isGraphInput);
      return refuse(isOverridable ? 'an initializer can be overridden' : 'a parameter is not constant');
    }
    const all = [weight, gamma, beta, mean, variance, ...(bias ? [bias] : [])];
    if (all.some(({ dtype }) => dtype !== 'float32')) return refuse('not float32');
    if (operands[0]!.useCount !== 1) return refuse('the weight is shared');
    if (context.isPinned(operands[0]!)) return refuse('an annotation refers to the weight');

    const isTransposed = conv.is('ConvTranspose');
    const groups = conv.int('group', 1);
    const channels = isTransposed ? (weight.dims[1] ?? 0) * groups : (weight.dims[0] ?? 0);
    const sizes = [gamma, beta, mean, variance, ...(bias ? [bias] : [])];
    const fits =
      weight.dims.length >= 3 &&
      groups >= 1 &&
      (weight.dims[0] ?? 0) % groups === 0 &&
      sizes.every(({ dims }) => dims.length === 1 && dims[0] === channels);
    if (!fits) return refuse('sizes do not match');

    const values = float32Values(weight);
    const folded = foldBatchNorm(
      isTransposed ? gatherChannels(values, weight.dims, groups) : values,
      bias && float32Values(bias),
      {
        gamma: float32Values(gamma),
        beta: float32Values(beta),
        mean: float32Values(mean),
        variance: float32Values(variance),
        epsilon: bn.float('epsilon', 1e-5),
      },
    );
    if (![folded.weight, folded.bias].every((array) => array.every(Number.isFinite))) {
      return refuse('the folded weights are not finite');
    }

    const weightName = operands[0]!.name;
    const biasName = /weight$/.test(weightName)
      ? weightName.replace(/weight$/, 'bias')
      : `${weightName}_bias`;
    const newWeight = isTransposed ? scatterChannels(folded.weight, weight.dims, groups) : folded.weight;
    storeConstant(conv, 1, float32Tensor(weight.dims, newWeight), `${weightName}_folded`, context);
    storeConstant(conv, 2, float32Tensor([channels], folded.bias), biasName, context);

    // A name keeps its meaning: what the batch norm's output was called is the convolution's output now.
    const { output } = conv;
    output.name = bn.output.name;
    output.type = bn.output.type ?? output.type;
    output.origin = bn.output.origin;
    output.docString = bn.output.docString;
    bn.output.replaceAllUsesWith(output);
    graph.remove(bn);
    return true;
  },
});
