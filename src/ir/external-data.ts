/**
 * Writing external data: the initializers of a model, those of subgraphs included, move to one data file.
 *
 * Offsets are multiples of 4096 for tensors of a page and more (they can be memory-mapped) and of 64 below. The
 * content of the data file does not depend on its name, so that a caller can name it after its digest.
 */
import { OrthoError } from '../core/errors.ts';
import type { ByteSource } from '../core/source.ts';
import type { Segment } from '../proto/encode.ts';
import { createMessage } from '../proto/fields.ts';
import { quoted } from '../proto/quote.ts';
import {
  type AttributeProto,
  DATA_LOCATION,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type StringStringEntryProto,
  type TensorProto,
} from '../proto/schema.ts';
import { locationFault } from './check-external.ts';
import { tensorFromProto } from './tensor-from-proto.ts';

/** Tensors below this size stay in the model: a reference would hardly be shorter. */
const DEFAULT_THRESHOLD = 1024;
const PAGE = 4096;
const SMALL_ALIGNMENT = 64;

export interface SplitModel {
  /** The content of the data file; empty when no tensor is large enough, then no file is needed. */
  readonly data: readonly Segment[];
  /** Its length in bytes. */
  readonly dataSize: number;
  /** The model that refers to the data file by this name, which must be a plain file name. */
  withDataFile(name: string): ModelProto;
}

/** Where the bytes of a tensor lie in the data file. */
interface Placement {
  readonly offset: number;
  readonly length: number;
}

type GraphEdit = (tensor: TensorProto) => TensorProto;

/** A copy of a graph with every initializer edited, in the graphs inside it too; depth is that of the model's graphs. */
const mapInitializers = (graph: GraphProto, edit: GraphEdit): GraphProto => ({
  ...graph,
  initializer: graph.initializer.map(edit),
  node: graph.node.map((node) => mapNode(node, edit)),
});

const mapNode = (node: NodeProto, edit: GraphEdit): NodeProto => {
  const holdsGraph = ({ g, graphs }: AttributeProto): boolean => g !== undefined || graphs.length > 0;
  if (!node.attribute.some(holdsGraph)) return node;
  const attribute = node.attribute.map((item) =>
    holdsGraph(item)
      ? {
          ...item,
          g: item.g && mapInitializers(item.g, edit),
          graphs: item.graphs.map((inner) => mapInitializers(inner, edit)),
        }
      : item,
  );
  return { ...node, attribute };
};

const entry = (key: string, value: string): StringStringEntryProto =>
  createMessage('StringStringEntryProto', { key, value });

/**
 * Splits a model into a small one and its data. Strings, tensors that are external already, and tensors below
 * `threshold` bytes stay as they are.
 */
export const splitExternalData = (
  model: ModelProto,
  options: { readonly threshold?: number } = {},
): SplitModel => {
  const { threshold = DEFAULT_THRESHOLD } = options;
  const placements = new Map<TensorProto, Placement>();
  const data: Segment[] = [];
  let end = 0;
  const place = (tensor: TensorProto): TensorProto => {
    if (tensor.dataLocation === DATA_LOCATION.external || placements.has(tensor)) return tensor;
    const read = tensorFromProto(tensor);
    const source: ByteSource = read.data;
    if (read.strings !== undefined || source.size < Math.max(1, threshold)) return tensor;
    const alignment = source.size >= PAGE ? PAGE : SMALL_ALIGNMENT;
    const offset = Math.ceil(end / alignment) * alignment;
    if (offset > end) data.push(new Uint8Array(offset - end));
    data.push(source);
    end = offset + source.size;
    placements.set(tensor, { offset, length: source.size });
    return tensor;
  };
  const { graph } = model;
  if (graph !== undefined) mapInitializers(graph, place);

  const refer = (tensor: TensorProto, location: string): TensorProto => {
    const placement = placements.get(tensor);
    if (placement === undefined) return tensor;
    const { dims, dataType, name, docString, metadataProps, unknown } = tensor;
    return createMessage('TensorProto', {
      dims,
      dataType,
      name,
      docString,
      metadataProps,
      unknown,
      externalData: [
        entry('location', location),
        entry('offset', String(placement.offset)),
        entry('length', String(placement.length)),
      ],
      dataLocation: DATA_LOCATION.external,
    });
  };

  return {
    data,
    dataSize: end,
    withDataFile: (name) => {
      const fault =
        locationFault(name) ?? (/^(\.{0,2}$)|\//.test(name) ? 'it is not a plain file name' : undefined);
      if (fault !== undefined) {
        throw new OrthoError('usage/option', `${quoted(name)} cannot name a data file: ${fault}`, {
          hint: 'choose another name for the output',
        });
      }
      return { ...model, graph: graph && mapInitializers(graph, (tensor) => refer(tensor, name)) };
    },
  };
};
