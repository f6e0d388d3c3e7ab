/**
 * Where static quantisation puts its QuantizeLinear/DequantizeLinear pairs.
 *
 * Convolutions and products with constant weights are quantised: their data input, and (for convolutions, whose int8
 * kernel needs it) their result, taken behind a Relu or Clip that follows. An Add is quantised between quantised
 * tensors; poolings and reshapes on the way from one quantised node to the next. Everything else stays float.
 */
import type { Graph } from '../ir/graph.ts';
import { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';
import {
  floatConstant,
  isConstantMatMul,
  isPlainGemm,
  NOT_CONSTANT_MATMUL,
  NOT_PLAIN_GEMM,
} from './float-weights.ts';
import type { Excluded, SchemeContext } from './scheme.ts';

export interface StaticPlan {
  /** Convolutions and products whose weights become int8. */
  readonly weighted: ReadonlySet<Node>;
  /** All nodes that read their data inputs through a DequantizeLinear. */
  readonly quantized: ReadonlySet<Node>;
  /** Tensors that get a pair, in graph order. */
  readonly tensors: readonly Value[];
  /** The tensors among them that a quantised node makes: all readers take the dequantised value. */
  readonly results: ReadonlySet<Value>;
  /** Tensors that must have the parameters of another one: the output of a node that only moves data → its input. */
  readonly sharedWith: ReadonlyMap<Value, Value>;
  readonly excluded: readonly Excluded[];
}

/** Data moves, values stay: output and input share their parameters. */
const MOVES = new Set(['MaxPool', 'Reshape', 'Flatten', 'Transpose', 'Squeeze', 'Unsqueeze']);
/** Values are averaged or joined: output has its own parameters. */
const POOLS = new Set(['AveragePool', 'GlobalAveragePool', 'Concat']);

export const isWeighted = (node: Node): boolean =>
  node.domain === '' && ['Conv', 'ConvTranspose', 'Gemm', 'MatMul'].includes(node.op);

const whyNotWeighted = (node: Node, context: SchemeContext): string | undefined => {
  if (context.isExcluded(node)) return 'excluded by the user';
  const data = node.inputs[0];
  if (data?.dtype !== undefined && data.dtype !== 'float32') return `its input is ${data.dtype}`;
  if (data === undefined || data.initializer !== undefined) return 'its input is constant';
  if (node.is('Conv')) {
    if (!floatConstant(node.inputs[1])) return 'its weight is not a float32 constant';
    return node.inputs[2] && !floatConstant(node.inputs[2])
      ? 'its bias is not a float32 constant'
      : undefined;
  }
  if (node.is('ConvTranspose')) return 'the runtime has no int8 kernel for it';
  if (node.is('Gemm')) {
    if (!isPlainGemm(node)) return NOT_PLAIN_GEMM;
    const columns = floatConstant(node.inputs[1])?.dims[node.int('transB', 0) === 1 ? 0 : 1];
    const bias = node.inputs[2] && floatConstant(node.inputs[2]);
    return node.inputs[2] && (bias?.values.length !== columns || bias?.dims.at(-1) !== columns)
      ? 'its bias is not one constant value a column'
      : undefined;
  }
  return isConstantMatMul(node) ? undefined : NOT_CONSTANT_MATMUL;
};

/** The tensor behind an activation that the int8 kernel absorbs, or the output itself. */
export const resultOf = (node: Node): Value => {
  const [use, ...others] = node.output.uses;
  if (use === undefined || others.length > 0 || !(use.user instanceof Node) || use.index !== 0)
    return node.output;
  const next = use.user;
  if (next.graph !== node.graph) return node.output;
  const isBoundedClip =
    next.is('Clip') && next.inputs.slice(1).every((bound) => bound === undefined || bound.constant);
  return next.is('Relu') || isBoundedClip ? next.output : node.output;
};

const dataInputs = (node: Node): Value[] =>
  (node.is('Add') || node.is('Concat') ? node.inputs : node.inputs.slice(0, 1)).filter(
    (value) => value !== undefined,
  );

export const planStatic = (graph: Graph, context: SchemeContext): StaticPlan => {
  const nodes = graph.nodes;
  const weighted = new Set<Node>();
  const excluded: Excluded[] = [];
  for (const node of nodes) {
    if (!isWeighted(node)) continue;
    const reason = whyNotWeighted(node, context);
    if (reason === undefined) weighted.add(node);
    else excluded.push({ node: node.name, reason });
  }

  // Forward: what already carries quantised values.
  const carried = new Set<Value>();
  const candidates = new Set<Node>(weighted);
  for (const node of nodes) {
    if (node.is('Conv') && weighted.has(node)) carried.add(resultOf(node));
    if (node.domain !== '' || context.isExcluded(node)) continue;
    const isMoveOrPool = MOVES.has(node.op) || POOLS.has(node.op);
    if (!(node.op === 'Add' || isMoveOrPool) || !dataInputs(node).every((value) => carried.has(value)))
      continue;
    if (node.outputs.length > 1) continue;
    candidates.add(node);
    carried.add(node.op === 'Add' ? resultOf(node) : node.output);
  }

  // Backward: a pooling, a move or a sum is worth it only on the way to another quantised node.
  const quantized = new Set<Node>(weighted);
  const feeds = (value: Value): boolean =>
    value.uses.some(({ user }) => user instanceof Node && user.graph === graph && quantized.has(user));
  for (const node of nodes.toReversed()) {
    if (!candidates.has(node) || weighted.has(node)) continue;
    if (feeds(node.op === 'Add' ? resultOf(node) : node.output)) quantized.add(node);
  }

  const wanted = new Set<Value>();
  const results = new Set<Value>();
  const sharedWith = new Map<Value, Value>();
  for (const node of nodes) {
    if (!quantized.has(node)) continue;
    for (const value of dataInputs(node)) wanted.add(value);
    if (MOVES.has(node.op)) sharedWith.set(node.output, node.inputs[0] as Value);
    if (!weighted.has(node) || node.is('Conv')) {
      results.add(node.is('Conv') || node.is('Add') ? resultOf(node) : node.output);
    }
  }
  for (const value of results) wanted.add(value);
  const inOrder = [...graph.inputs, ...nodes.flatMap((node) => node.outputs)];
  const tensors = inOrder.filter((value) => wanted.has(value));
  return { weighted, quantized, tensors, results, sharedWith, excluded };
};
