/**
 * Raises a model of opset 7 to 12 to opset 13, where QuantizeLinear and DequantizeLinear know an axis.
 *
 * Each adapter rewrites the operators whose meaning or form changed on the way; all others only gained types.
 * Source: the ONNX operator changelog (Clip-11, Dropout-12, Pad-11, Resize-11, Slice-10, Softmax-13, Squeeze-13, TopK-10…).
 */
import { OrthoError } from '../core/errors.ts';
import { float32Tensor, int64Tensor } from '../core/tensor.ts';
import { type Attribute, int, string } from '../ir/attribute.ts';
import { allNodes, type Graph } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';

const TARGET = 13;
const OLDEST = 7;

const refuse = (node: Node, why: string): never => {
  throw new OrthoError(
    'op/unsupported',
    `${node.op} "${node.name}" cannot be raised to opset ${TARGET}: ${why}`,
    {
      at: { node: node.name },
      hint: `export the model with opset ${TARGET} or later`,
    },
  );
};

const constants = (node: Node, name: string, values: readonly number[]): Value =>
  (node.graph as Graph).addInitializer(`${node.output.name}/${name}`, int64Tensor([values.length], values));

/** Moves an ints attribute to input `index`. */
const moveInts = (node: Node, attribute: string, index: number): void => {
  const values = node.ints(attribute);
  if (values === undefined) return;
  node.setInput(index, constants(node, attribute, values));
  node.deleteAttribute(attribute);
};

/** A node with other operator or operands in place of this one, under the same output. */
const replace = (
  node: Node,
  op: string,
  inputs: readonly (Value | undefined)[],
  attributes: Record<string, Attribute>,
): void => {
  const graph = node.graph as Graph;
  const { name, type } = node.output;
  const next = graph.insertBefore(
    { op, name: node.name, inputs, outputs: [{ name, type }], attributes },
    node,
  );
  node.output.replaceAllUsesWith(next.output);
  graph.remove(node);
};

/** Before opset 13, softmax worked on the input flattened to [dims before axis, dims from axis on]. */
const adaptSoftmax = (node: Node): void => {
  const x = node.inputs[0] as Value;
  const rank = x.shape?.length;
  const axis = node.int('axis', 1);
  if (rank !== undefined && (axis < 0 ? axis + rank : axis) === rank - 1) {
    node.setAttribute('axis', int(-1));
    return;
  }
  const graph = node.graph as Graph;
  const base = node.output.name;
  const before = (op: string, inputs: Value[], attributes: Record<string, Attribute>): Value =>
    graph.insertBefore({ op, inputs, outputs: [`${base}/${op.toLowerCase()}`], attributes }, node).output;
  const shape = before('Shape', [x], {});
  const flat = before('Flatten', [x], { axis: int(axis) });
  const result = before(node.op, [flat], { axis: int(-1) });
  replace(node, 'Reshape', [result, shape], {});
};

/** Upsample and Resize-10 sample at floor(x / scale). */
const adaptResize = (node: Node): void => {
  const scales = node.floats('scales');
  const input =
    scales === undefined
      ? node.inputs[1]
      : (node.graph as Graph).addInitializer(
          `${node.output.name}/scales`,
          float32Tensor([scales.length], scales),
        );
  replace(node, 'Resize', [node.inputs[0], undefined, input], {
    mode: string(node.string('mode', 'nearest')),
    coordinate_transformation_mode: string('asymmetric'),
    nearest_mode: string('floor'),
  });
};

interface Adapter {
  /** Applies to models below this opset. */
  readonly below: number;
  adapt(node: Node): void;
}

const ADAPTERS: Readonly<Record<string, Adapter>> = {
  BatchNormalization: {
    below: 9,
    adapt: (node) =>
      node.int('spatial', 1) === 1 ? node.deleteAttribute('spatial') : refuse(node, 'spatial is 0'),
  },
  Clip: {
    below: 11,
    adapt: (node) => {
      for (const [index, name] of [
        [1, 'min'],
        [2, 'max'],
      ] as const) {
        const bound = node.float(name);
        if (bound === undefined) continue;
        const graph = node.graph as Graph;
        node.setInput(index, graph.addInitializer(`${node.output.name}/${name}`, float32Tensor([], [bound])));
        node.deleteAttribute(name);
      }
    },
  },
  Dropout: {
    below: 12,
    adapt: (node) =>
      node.outputs[1]?.isUsed ? refuse(node, 'its mask is used') : node.deleteAttribute('ratio'),
  },
  Pad: {
    below: 11,
    adapt: (node) => {
      moveInts(node, 'pads', 1);
      const value = node.float('value');
      const graph = node.graph as Graph;
      if (value)
        node.setInput(2, graph.addInitializer(`${node.output.name}/value`, float32Tensor([], [value])));
      node.deleteAttribute('value');
    },
  },
  Resize: { below: 11, adapt: adaptResize },
  Upsample: { below: 10, adapt: adaptResize },
  Scan: { below: 9, adapt: (node) => refuse(node, 'its form before opset 9 differs') },
  Scatter: {
    below: 11,
    adapt: (node) => replace(node, 'ScatterElements', node.inputs, { axis: int(node.int('axis', 0)) }),
  },
  Slice: {
    below: 10,
    adapt: (node) => {
      moveInts(node, 'starts', 1);
      moveInts(node, 'ends', 2);
      moveInts(node, 'axes', 3);
    },
  },
  TopK: {
    below: 10,
    adapt: (node) => {
      node.setInput(1, constants(node, 'k', [node.int('k', 1)]));
      node.deleteAttribute('k');
    },
  },
  Hardmax: { below: 13, adapt: adaptSoftmax },
  LogSoftmax: { below: 13, adapt: adaptSoftmax },
  Softmax: { below: 13, adapt: adaptSoftmax },
  ReduceSum: { below: 13, adapt: (node) => moveInts(node, 'axes', 1) },
  Split: { below: 13, adapt: (node) => moveInts(node, 'split', 1) },
  Squeeze: { below: 13, adapt: (node) => moveInts(node, 'axes', 1) },
  Unsqueeze: { below: 13, adapt: (node) => moveInts(node, 'axes', 1) },
};

/**
 * Rewrites the model in place; does nothing from opset 13 on. Shapes should be inferred before (softmax needs ranks).
 * @throws OrthoError op/unsupported for opsets below 7 and operators that have no equal.
 */
export const raiseOpset = (model: Model): void => {
  const from = model.opset;
  if (from >= TARGET) return;
  if (from < OLDEST || model.functions.length > 0) {
    throw new OrthoError(
      'op/unsupported',
      `a model of opset ${from} with ${model.functions.length} functions cannot be raised`,
      {
        hint: `export the model with opset ${TARGET} or later`,
      },
    );
  }
  for (const node of [...allNodes(model.graph)]) {
    const adapter = node.domain === '' && Object.hasOwn(ADAPTERS, node.op) ? ADAPTERS[node.op] : undefined;
    if (adapter && from < adapter.below) adapter.adapt(node);
  }
  model.opsets.set('', TARGET);
  model.irVersion = Math.max(model.irVersion, 7);
};
