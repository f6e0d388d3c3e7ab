/**
 * Model to ModelProto: references become names (names.ts says which), everything else is copied from the objects, and
 * from their origins what the graph does not model. An object that says the same as its origin is written as it was
 * read: spelling of domains, storage of tensors, presence of empty fields, unknown fields.
 */
import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { createMessage } from '../proto/fields.ts';
import {
  DATA_LOCATION,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type OperatorSetIdProto,
  type StringStringEntryProto,
  type TensorAnnotation,
  type TensorProto,
  type ValueInfoProto,
} from '../proto/schema.ts';
import { attributeToProto } from './attribute-proto.ts';
import { normalDomain } from './from-proto.ts';
import type { Graph } from './graph.ts';
import { memoryOf } from './memory.ts';
import type { Model, ModelFunction } from './model.ts';
import { assignNames, type Naming } from './names.ts';
import type { Node } from './node.ts';
import { protoOfSparse, protoOfTensor } from './tensor-from-proto.ts';
import type { ValueType } from './type.ts';
import { typeToProtoLike } from './type-proto.ts';
import type { Value } from './value.ts';

export interface WriteOptions {
  /**
   * Tensors that were read from external data: `inline` (default) puts them into the model, which then stands alone;
   * `keep` writes the reference as it was read, which is right only beside the same data file.
   */
  readonly external?: 'inline' | 'keep';
}

/** A text as it was spelled (absent or empty) while it says the same. */
const textLike = (text: string, origin: string | undefined): string | undefined => {
  if ((origin ?? '') === text) return origin;
  return text === '' ? undefined : text;
};

const domainLike = (domain: string, origin: string | undefined): string | undefined => {
  if (normalDomain(origin) === domain) return origin;
  return domain === '' ? undefined : domain;
};

/**
 * The message of a tensor: the one it was read from, or raw_data (string_data for strings).
 * External data is put into the message unless it is to be kept where it is.
 */
export const tensorToProto = (tensor: Tensor, name?: string, options: WriteOptions = {}): TensorProto => {
  const origin = protoOfTensor(tensor);
  const isExternal = origin?.dataLocation === DATA_LOCATION.external;
  if (origin !== undefined && (!isExternal || options.external === 'keep')) {
    return (origin.name ?? '') === (name ?? '') ? origin : { ...origin, name };
  }
  const { docString, metadataProps = [], unknown } = origin ?? {};
  return createMessage('TensorProto', {
    dims: tensor.dims.map(BigInt),
    dataType: dtypeInfo(tensor.dtype).onnx,
    name,
    docString,
    metadataProps,
    unknown,
    ...(tensor.strings ? { stringData: tensor.strings } : { rawData: tensor.data }),
  });
};

class GraphWriter {
  readonly #naming: Naming;
  readonly #options: WriteOptions;

  constructor(naming: Naming, options: WriteOptions) {
    this.#naming = naming;
    this.#options = options;
  }

  write(graph: Graph): GraphProto {
    const origin = graph.origin as GraphProto | undefined;
    const stored = graph.initializers;
    return createMessage('GraphProto', {
      ...origin,
      name: textLike(graph.name, origin?.name),
      docString: textLike(graph.docString, origin?.docString),
      node: [...graph.nodes.map((node) => this.#node(node)), ...this.#bridges(graph)],
      initializer: stored.flatMap((value) => this.#initializer(value)),
      sparseInitializer: stored.flatMap((value) => this.#sparseInitializer(value)),
      input: graph.inputs.map((value) =>
        this.#info(value.origin, this.#name(value), value.type, value.docString),
      ),
      output: graph.slots.map(({ type, docString, origin: read }, index) =>
        this.#info(read, this.#naming.slots.get(graph)?.[index] ?? '', type, docString),
      ),
      valueInfo: this.#valueInfos(graph, origin),
      quantizationAnnotation: this.#annotations(graph, origin),
    });
  }

  #name(value: Value): string {
    const name = this.#naming.names.get(value);
    if (name !== undefined) return name;
    throw new OrthoError(
      'internal/bug',
      `value "${value.name}" is used, but no graph around its use holds it`,
    );
  }

  #node(node: Node): NodeProto {
    const origin = node.origin as NodeProto | undefined;
    return createMessage('NodeProto', {
      ...origin,
      input: node.inputs.map((value) => (value === undefined ? '' : this.#name(value))),
      output: node.outputs.map((value) => this.#name(value)),
      name: textLike(node.name, origin?.name),
      opType: node.op,
      domain: domainLike(node.domain, origin?.domain),
      overload: textLike(node.overload, origin?.overload),
      docString: textLike(node.docString, origin?.docString),
      attribute: [...node.attributes].map(([name, attribute]) =>
        attributeToProto(name, attribute, {
          tensor: (tensor) => tensorToProto(tensor, protoOfTensor(tensor)?.name, this.#options),
          graph: (graph) => this.write(graph),
        }),
      ),
    });
  }

  #bridges(graph: Graph): NodeProto[] {
    return [...(this.#naming.bridged.get(graph) ?? [])].map((index) =>
      createMessage('NodeProto', {
        input: [this.#name(graph.outputs[index] as Value)],
        output: [this.#naming.slots.get(graph)?.[index] ?? ''],
        opType: 'Identity',
      }),
    );
  }

  #initializer(value: Value): TensorProto[] {
    const tensor = value.initializer;
    if (tensor === undefined) return [];
    const proto = tensorToProto(tensor, this.#name(value), this.#options);
    const isInput = value.isGraphInput;
    const docString = isInput ? proto.docString : textLike(value.docString, proto.docString);
    // A value's text may come from its value_info entry: then the tensor keeps having none.
    const infoText = (value.origin as ValueInfoProto | undefined)?.docString ?? '';
    if (docString === proto.docString || (infoText !== '' && infoText === value.docString)) return [proto];
    return [{ ...proto, docString }];
  }

  #sparseInitializer(value: Value): GraphProto['sparseInitializer'][number][] {
    const sparse = value.sparseInitializer;
    if (sparse === undefined) return [];
    const origin = protoOfSparse(sparse);
    return [
      createMessage('SparseTensorProto', {
        ...origin,
        values: tensorToProto(sparse.values, this.#name(value), this.#options),
        indices: tensorToProto(sparse.indices, protoOfTensor(sparse.indices)?.name, this.#options),
        dims: origin?.dims ?? sparse.dims.map(BigInt),
      }),
    ];
  }

  #info(
    read: object | undefined,
    name: string,
    type: ValueType | undefined,
    docString: string,
  ): ValueInfoProto {
    const origin = read as ValueInfoProto | undefined;
    return createMessage('ValueInfoProto', {
      ...origin,
      name,
      type: typeToProtoLike(type, origin?.type),
      docString: textLike(docString, origin?.docString),
    });
  }

  /** The entries that were read, as far as their values are still here and no output slot declares them now. */
  #valueInfos(graph: Graph, origin: GraphProto | undefined): ValueInfoProto[] {
    if (origin === undefined || origin.valueInfo.length === 0) return [];
    const loose = memoryOf(graph)?.looseInfos;
    const described = new Map<object, Value>();
    const note = (value: Value): void => {
      if (value.origin) described.set(value.origin, value);
    };
    for (const node of graph.nodes) node.outputs.forEach(note);
    for (const value of graph.initializers) if (!value.isGraphInput) note(value);
    const slotNames = new Set(this.#naming.slots.get(graph));
    return origin.valueInfo.flatMap((info) => {
      if (loose === undefined || loose.has(info)) return [info];
      const value = described.get(info);
      if (value === undefined) return [];
      const name = this.#name(value);
      if (name === '' || (name !== info.name && slotNames.has(name))) return [];
      const docString = value.producer ? value.docString : (info.docString ?? '');
      return [this.#info(info, name, value.type, docString)];
    });
  }

  #annotations(graph: Graph, origin: GraphProto | undefined): TensorAnnotation[] {
    const named = memoryOf(graph)?.annotations;
    return (origin?.quantizationAnnotation ?? []).flatMap((annotation) => {
      const { value, parameters = [] } = named?.get(annotation) ?? {};
      if (value !== undefined && !this.#naming.names.has(value)) return [];
      if (value?.producer && value.producer.graph === undefined) return [];
      const entries = annotation.quantParameterTensorNames.map((entry, i): StringStringEntryProto => {
        const parameter = parameters[i];
        return parameter === undefined ? entry : { ...entry, value: this.#name(parameter) };
      });
      return [
        {
          ...annotation,
          tensorName: value === undefined ? annotation.tensorName : this.#name(value),
          quantParameterTensorNames: entries,
        },
      ];
    });
  }
}

const writeGraph = (graph: Graph, options: WriteOptions): GraphProto =>
  new GraphWriter(assignNames(graph), options).write(graph);

/** Imports in the order they were read, with the versions of now; new domains last. */
const opsetsToProto = (
  opsets: ReadonlyMap<string, number>,
  origin: readonly OperatorSetIdProto[] = [],
): OperatorSetIdProto[] => {
  const highest = new Map<string, bigint>();
  for (const { domain, version = 0n } of origin) {
    const key = normalDomain(domain);
    if (version > (highest.get(key) ?? -1n)) highest.set(key, version);
  }
  const written = new Set<string>();
  const imports = origin.flatMap((entry) => {
    const domain = normalDomain(entry.domain);
    const version = opsets.get(domain);
    if (version === undefined) return [];
    if (BigInt(version) === highest.get(domain)) {
      written.add(domain);
      return [entry];
    }
    if (written.has(domain)) return [];
    written.add(domain);
    return [{ ...entry, version: BigInt(version) }];
  });
  for (const [domain, version] of opsets) {
    if (written.has(domain)) continue;
    imports.push(createMessage('OperatorSetIdProto', { domain, version: BigInt(version) }));
  }
  return imports;
};

/** Entries as they were read while the map says the same; else updated in place, new keys last. */
const metadataToProto = (
  metadata: ReadonlyMap<string, string>,
  origin: readonly StringStringEntryProto[] = [],
): readonly StringStringEntryProto[] => {
  const read = new Map(origin.map(({ key = '', value = '' }) => [key, value]));
  const isSame =
    read.size === metadata.size && [...metadata].every(([key, value]) => read.get(key) === value);
  if (isSame) return origin;
  const left = new Map(metadata);
  const entries = origin.flatMap((entry): StringStringEntryProto[] => {
    const key = entry.key ?? '';
    const value = left.get(key);
    if (value === undefined) return [];
    left.delete(key);
    return [value === (entry.value ?? '') ? entry : { ...entry, value }];
  });
  for (const [key, value] of left) entries.push(createMessage('StringStringEntryProto', { key, value }));
  return entries;
};

const functionToProto = (item: ModelFunction, options: WriteOptions): FunctionProto => {
  const origin = item.origin as FunctionProto | undefined;
  const body = writeGraph(item.body, options);
  const nameOf = ({ name = '' }: ValueInfoProto): string => name;
  return createMessage('FunctionProto', {
    ...origin,
    name: item.name,
    domain: domainLike(item.domain, origin?.domain),
    overload: textLike(item.overload, origin?.overload),
    docString: textLike(item.docString, origin?.docString),
    input: body.input.map(nameOf),
    output: body.output.map(nameOf),
    attribute: item.attributes,
    attributeProto: [...item.defaults].map(([name, attribute]) =>
      attributeToProto(name, attribute, {
        tensor: (tensor) => tensorToProto(tensor, protoOfTensor(tensor)?.name, options),
        graph: (graph) => writeGraph(graph, options),
      }),
    ),
    node: body.node,
    valueInfo: body.valueInfo,
    opsetImport: opsetsToProto(item.opsets, origin?.opsetImport),
  });
};

const integerLike = (value: bigint, origin: bigint | undefined): bigint | undefined =>
  (origin ?? 0n) === value ? origin : value;

/** The message of a model, ready for encodeModel. The model is not changed. */
export const modelToProto = (model: Model, options: WriteOptions = {}): ModelProto => {
  const origin = model.origin as ModelProto | undefined;
  return createMessage('ModelProto', {
    ...origin,
    irVersion: integerLike(BigInt(model.irVersion), origin?.irVersion),
    producerName: textLike(model.producerName, origin?.producerName),
    producerVersion: textLike(model.producerVersion, origin?.producerVersion),
    domain: textLike(model.domain, origin?.domain),
    modelVersion: integerLike(model.modelVersion, origin?.modelVersion),
    docString: textLike(model.docString, origin?.docString),
    graph: writeGraph(model.graph, options),
    opsetImport: opsetsToProto(model.opsets, origin?.opsetImport),
    metadataProps: metadataToProto(model.metadata, origin?.metadataProps),
    functions: model.functions.map((item) => functionToProto(item, options)),
  });
};
