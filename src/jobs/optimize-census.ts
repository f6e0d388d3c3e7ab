/** What an optimisation reports about a model besides its operators: bytes, and elements that slow it down. */
import { statSync } from 'node:fs';
import { countFloats } from '../core/float-census.ts';
import type { Tensor } from '../core/tensor.ts';
import { allGraphs } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import { protoOfTensor } from '../ir/tensor-from-proto.ts';
import { DATA_LOCATION } from '../proto/schema.ts';
import type { ElementFindings } from '../report/schemas/common.ts';

/** The tensors of initializers and Constant nodes, nested graphs included. */
const storedTensors = (model: Model): Tensor[] =>
  [...allGraphs(model.graph)].flatMap((graph) => [
    ...graph.initializers.flatMap(({ initializer }) => initializer ?? []),
    ...graph.nodes.flatMap((node) => {
      const attribute = node.is('Constant') ? node.attributes.get('value') : undefined;
      return attribute?.kind === 'tensor' ? [attribute.value] : [];
    }),
  ]);

const isExternal = (tensor: Tensor): boolean =>
  protoOfTensor(tensor)?.dataLocation === DATA_LOCATION.external;

/** True when the model reads data files beside its own. */
export const hasExternalData = (model: Model): boolean => storedTensors(model).some(isExternal);

/** Bytes of a model's file and of the external data it reads. */
export const storedBytes = (model: Model, path: string): number => {
  let bytes = statSync(path).size;
  for (const tensor of storedTensors(model)) if (isExternal(tensor)) bytes += tensor.data.size;
  return bytes;
};

/** Subnormal elements in the constants of a model. */
export const countSubnormals = (model: Model): ElementFindings => {
  let tensors = 0;
  let elements = 0;
  for (const tensor of storedTensors(model)) {
    const { subnormals } = countFloats(tensor.dtype, tensor.data);
    if (subnormals > 0) tensors++;
    elements += subnormals;
  }
  return { tensors, elements };
};
