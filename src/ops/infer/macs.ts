/**
 * Multiply–accumulates of operators, from the shapes of their values:
 *   convolution   outputs · (C / group) · kernel          (transposed: inputs · (M / group) · kernel)
 *   matrix        rows · columns · inner, times the broadcast batch
 *   recurrent     steps · batch · directions · gates · hidden · (input + hidden)
 *   attention     queries · keys · (size of Q + size of the output), heads and batch included
 * Additions of biases, activations and everything else count 0.
 */
import type { Node } from '../../ir/node.ts';
import type { Shape, ValueType } from '../../ir/type.ts';
import type { Value } from '../../ir/value.ts';

type TypeReader = (value: Value) => ValueType | undefined;

/** The shapes of a node's operands; null stops the count because a dimension it needs is unknown. */
interface Shapes {
  input(index: number): readonly number[] | null;
  output(index: number): readonly number[] | null;
}

type Counter = (node: Node, shapes: Shapes) => number | null;

const product = (dims: readonly number[]): number => dims.reduce((a, b) => a * b, 1);

const convolution =
  (weight: number): Counter =>
  (_, shapes) => {
    const w = shapes.input(weight);
    const y = shapes.output(0);
    return w && y && product(y) * product(w.slice(1));
  };

const transposedConvolution: Counter = (_, shapes) => {
  const x = shapes.input(0);
  const w = shapes.input(1);
  return x && w && product(x) * product(w.slice(1));
};

/** The inner dimension is the last one of the first operand. */
const matMul =
  (left: number): Counter =>
  (_, shapes) => {
    const a = shapes.input(left);
    const y = shapes.output(0);
    return a && y && product(y) * (a.at(-1) ?? 1);
  };

const gemm: Counter = (node, shapes) => {
  const a = shapes.input(0);
  const y = shapes.output(0);
  return a && y && product(y) * (a[node.int('transA', 0) ? 0 : 1] ?? 1);
};

const GATES: Readonly<Record<string, number>> = { RNN: 1, GRU: 3, LSTM: 4 };

/** X [steps, batch, input], W [directions, gates · hidden, input]. */
const recurrent: Counter = (node, shapes) => {
  const x = shapes.input(0);
  const w = shapes.input(1);
  if (!x || !w) return null;
  const gates = GATES[node.op] ?? 1;
  const [directions = 0, rows = 0, input = 0] = w;
  return (x[0] ?? 0) * (x[1] ?? 0) * directions * rows * (input + rows / gates);
};

/** The product over all letters of the equation (an ellipsis through the largest operand's broadcast axes). */
const einsum: Counter = (node, shapes) => {
  const terms = (node.string('equation') ?? '').replaceAll(' ', '').split('->')[0]?.split(',') ?? [];
  if (terms.length < 2 || terms.some((term) => term.includes('...'))) return terms.length < 2 ? 0 : null;
  const sizes = new Map<string, number>();
  for (const [i, term] of terms.entries()) {
    const shape = shapes.input(i);
    if (!shape) return null;
    [...term].forEach((letter, axis) => {
      sizes.set(letter, Math.max(sizes.get(letter) ?? 1, shape[axis] ?? 1));
    });
  }
  return product([...sizes.values()]) * (terms.length - 1);
};

/** Q [b, s, heads · d] or [b, heads, s, d]; keys are the new ones and those of the past. */
const attention: Counter = (node, shapes) => {
  const [q, k, y] = [shapes.input(0), shapes.input(1), shapes.output(0)];
  const past = node.inputs[4] === undefined ? [0, 0, 0] : shapes.input(4);
  if (!q || !k || !y || !past) return null;
  const keys = (k.at(-2) ?? 0) + (past[2] ?? 0);
  return (product(q) + product(y)) * keys;
};

/** Known to multiply, in ways that the shapes at hand do not tell. */
const unknown: Counter = () => null;

const STANDARD: ReadonlyMap<string, Counter> = new Map<string, Counter>([
  ['Conv', convolution(1)],
  ['ConvInteger', convolution(1)],
  ['DeformConv', convolution(1)],
  ['QLinearConv', convolution(3)],
  ['ConvTranspose', transposedConvolution],
  ['MatMul', matMul(0)],
  ['MatMulInteger', matMul(0)],
  ['QLinearMatMul', matMul(0)],
  ['Gemm', gemm],
  ['RNN', recurrent],
  ['GRU', recurrent],
  ['LSTM', recurrent],
  ['Einsum', einsum],
  ['Attention', attention],
  ['LinearAttention', unknown],
]);

const CONTRIB: ReadonlyMap<string, Counter> = new Map<string, Counter>([
  ['FusedConv', convolution(1)],
  // Channels last: the weights of the second too, their product is the same.
  ['QLinearConv', convolution(3)],
  ['NhwcFusedConv', convolution(1)],
  ['FusedGemm', gemm],
  ['QGemm', gemm],
  ['MatMulNBits', matMul(0)],
  ['MatMulIntegerToFloat', matMul(0)],
  ['DynamicQuantizeMatMul', matMul(0)],
  ['DynamicQuantizeLSTM', recurrent],
  ['Attention', unknown],
  ['MultiHeadAttention', unknown],
  ['GroupQueryAttention', unknown],
  ['QAttention', unknown],
  [
    'FusedMatMul',
    (node, shapes) => {
      const a = shapes.input(0);
      const y = shapes.output(0);
      return a && y && product(y) * (a.at(node.int('transA', 0) ? -2 : -1) ?? 1);
    },
  ],
]);

/** The runtime's blocked layout pads channels, so its shapes would count too many. */
const BLOCKED: ReadonlyMap<string, Counter> = new Map([['Conv', unknown]]);

const COUNTERS: ReadonlyMap<string, ReadonlyMap<string, Counter>> = new Map([
  ['', STANDARD],
  ['ai.onnx', STANDARD],
  ['com.microsoft', CONTRIB],
  ['com.microsoft.nchwc', BLOCKED],
]);

const counterOf = ({ domain, op }: Node): Counter | undefined => COUNTERS.get(domain)?.get(op);

const staticDims = (shape: Shape | undefined): readonly number[] | null =>
  shape?.every((dim) => typeof dim === 'number') ? shape : null;

/**
 * Multiply–accumulates of one node without its bodies: 0 for operators that do none, null when a needed shape is
 * unknown. @throws OrthoError model/invalid for an attribute of the wrong kind
 */
export const countMacs = (node: Node, typeOf: TypeReader): number | null => {
  const count = counterOf(node);
  if (count === undefined) return 0;
  const dims = (value: Value | undefined): readonly number[] | null => {
    const type = value && typeOf(value);
    return type?.kind === 'tensor' ? staticDims(type.shape) : null;
  };
  return count(node, {
    input: (index) => dims(node.inputs[index]),
    output: (index) => dims(node.outputs[index]),
  });
};
