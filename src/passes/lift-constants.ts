/**
 * Constant nodes become initializers of the graph they are in.
 *
 * All dense forms: value, value_float(s), value_int(s), value_string(s). An initializer that is not also an input
 * exists from IR 4 on. Hazards: a Constant that fills an output slot stays (the slot would need an Identity), and so
 * does a sparse one (runtimes treat sparse initializers in their own ways).
 */
import { BytesSource } from '../core/source.ts';
import { float32Tensor, int64Tensor, type Tensor } from '../core/tensor.ts';
import type { Node } from '../ir/node.ts';
import { isGraphOutput } from './graph-tools.ts';
import { rewrite } from './pass.ts';

const stringTensor = (dims: readonly number[], strings: readonly Uint8Array[]): Tensor => ({
  dtype: 'string',
  dims,
  data: new BytesSource(new Uint8Array(0)),
  strings,
});

/** The tensor a Constant node holds; undefined for a sparse one, a reference, or a malformed node. */
const heldTensor = (node: Node): Tensor | undefined => {
  const [entry, ...rest] = node.attributes;
  if (entry === undefined || rest.length > 0) return undefined;
  const [name, attribute] = entry;
  switch (attribute.kind) {
    case 'tensor':
      return name === 'value' ? attribute.value : undefined;
    case 'float':
      return name === 'value_float' ? float32Tensor([], [attribute.value]) : undefined;
    case 'floats':
      return name === 'value_floats' ? float32Tensor([attribute.value.length], attribute.value) : undefined;
    case 'int':
      return name === 'value_int' ? int64Tensor([], [attribute.value]) : undefined;
    case 'ints':
      return name === 'value_ints' ? int64Tensor([attribute.value.length], attribute.value) : undefined;
    case 'string':
      return name === 'value_string' ? stringTensor([], [attribute.value]) : undefined;
    case 'strings':
      return name === 'value_strings' ? stringTensor([attribute.value.length], attribute.value) : undefined;
    default:
      return undefined;
  }
};

export const liftConstants = rewrite({
  name: 'lift-constants',
  summary: 'turn Constant nodes into initializers',
  worksInFunctions: false,
  ops: ['Constant'],
  apply(node, context) {
    const output = node.outputs[0];
    const { graph } = node;
    if (output === undefined || graph === undefined) return false;
    if (context.model.irVersion < 4) {
      return context.decline('initializers must be inputs below IR version 4', node);
    }
    const tensor = heldTensor(node);
    if (tensor === undefined) return context.decline('not a dense tensor', node);
    if (isGraphOutput(output)) return context.decline('the constant is a graph output', node);
    const value = graph.addInitializer(output.name, tensor);
    output.replaceAllUsesWith(value);
    graph.remove(node);
    return true;
  },
});
