/** A float16 model in float32: weights, types, casts and feeds; for comparing speeds, not for deploying. */
import type { DType } from '../../core/dtype.ts';
import { float32Tensor, type Tensor, toFloat32 } from '../../core/tensor.ts';
import { int, tensor as tensorAttribute } from '../../ir/attribute.ts';
import { allGraphs, type Graph } from '../../ir/graph.ts';
import type { Model } from '../../ir/model.ts';
import type { Node } from '../../ir/node.ts';
import { tensorType } from '../../ir/type.ts';
import type { Value } from '../../ir/value.ts';

/** Codes of TensorProto.DataType. */
const FLOAT16 = 10;
const FLOAT = 1;

/** Attributes that name an element type, by operator. */
const TYPE_ATTRIBUTES = ['to', 'dtype', 'output_dtype', 'stash_type'];

const graphsOf = ({ graph, functions }: Model): Graph[] =>
  [graph, ...functions.map(({ body }) => body)].flatMap((one) => [...allGraphs(one)]);

const widened = (tensor: Tensor): Tensor => float32Tensor(tensor.dims, toFloat32(tensor));

const wider = (dtype: DType | undefined): DType | undefined => (dtype === 'float16' ? 'float32' : dtype);

/** True when the model stores, takes or makes float16 tensors. */
export const holdsFloat16 = (model: Model): boolean =>
  graphsOf(model).some(
    ({ inputs, initializers, nodes }) =>
      inputs.some(({ dtype }) => dtype === 'float16') ||
      initializers.some(({ initializer }) => initializer?.dtype === 'float16') ||
      nodes.some((node) => {
        const attribute = node.attributes.get('value');
        const isStored = attribute?.kind === 'tensor' && attribute.value.dtype === 'float16';
        const to = node.is('Cast') ? node.attributes.get('to') : undefined;
        return isStored || (to?.kind === 'int' && to.value === BigInt(FLOAT16));
      }),
  );

const widenNode = (node: Node): void => {
  for (const [name, attribute] of node.attributes) {
    if (attribute.kind === 'tensor' && attribute.value.dtype === 'float16')
      node.setAttribute(name, tensorAttribute(widened(attribute.value)));
    else if (
      attribute.kind === 'int' &&
      attribute.value === BigInt(FLOAT16) &&
      node.domain === '' &&
      TYPE_ATTRIBUTES.includes(name)
    )
      node.setAttribute(name, int(FLOAT));
  }
};

const widenValue = (value: Value | undefined): void => {
  if (value?.dtype === 'float16') value.setTensorType('float32', value.shape);
};

/** Widens a model in place. @returns the feeds that it takes then. */
export const float32Copy = (model: Model, feeds: ReadonlyMap<string, Tensor>): Map<string, Tensor> => {
  for (const graph of graphsOf(model)) {
    for (const value of graph.initializers) {
      const { initializer } = value;
      if (initializer?.dtype === 'float16') graph.setInitializer(value, widened(initializer));
    }
    for (const value of graph.inputs) widenValue(value);
    for (const node of graph.nodes) {
      widenNode(node);
      for (const value of node.outputs) widenValue(value);
    }
    for (const slot of graph.slots) {
      const { type } = slot;
      if (type?.kind === 'tensor') slot.type = tensorType(wider(type.dtype), type.shape);
    }
  }
  return new Map(
    [...feeds].map(([name, tensor]) => [name, tensor.dtype === 'float16' ? widened(tensor) : tensor]),
  );
};
