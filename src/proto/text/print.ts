/**
 * ModelProto as ONNX text, in the syntax of onnx.printer where that has one.
 *
 * The syntax has no place for doc strings and metadata below the model, quantization annotations, training info,
 * device configurations, denotations and unknown fields: they are left out. Tensors are written with their elements,
 * wherever they are stored; parsed again they hold them in typed fields.
 */
import { dtypeFromOnnx, dtypeInfo } from '../../core/dtype.ts';
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  DATA_LOCATION,
  type Dimension,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type OperatorSetIdProto,
  type SparseTensorProto,
  type StringStringEntryProto,
  type TensorProto,
  type TensorTypeProto,
  type TypeProto,
  type ValueInfoProto,
} from '../schema.ts';
import { elementTexts, float32Text } from './elements.ts';
import { quoteBytes, quoteDotted, quoteName, quoteText } from './quoting.ts';

export interface PrintOptions {
  /** Tensors with more elements are written as `...`, which cannot be parsed again. Default: all are written. */
  readonly maxElements?: number;
}

const INDENT = '   ';

const elementType = (number: number | undefined): string => {
  const dtype = dtypeFromOnnx(number ?? 0);
  return dtype === undefined ? 'undefined' : dtypeInfo(dtype).text;
};

const printDim = ({ dimValue, dimParam }: Dimension): string =>
  dimValue !== undefined ? String(dimValue) : dimParam ? quoteName(dimParam) : '?';

const printTensorType = ({ elemType, shape }: TensorTypeProto): string => {
  const element = elementType(elemType);
  if (shape === undefined) return `${element}[]`;
  return shape.dim.length === 0 ? element : `${element}[${shape.dim.map(printDim).join(',')}]`;
};

const printType = (type: TypeProto | undefined): string => {
  if (type === undefined) return '';
  const { tensorType, sequenceType, mapType, optionalType, sparseTensorType, opaqueType } = type;
  if (tensorType) return printTensorType(tensorType);
  if (sequenceType) return `seq(${printType(sequenceType.elemType)})`;
  if (optionalType) return `optional(${printType(optionalType.elemType)})`;
  if (mapType) return `map(${elementType(mapType.keyType)}, ${printType(mapType.valueType)})`;
  if (sparseTensorType) return `sparse_tensor(${printTensorType(sparseTensorType)})`;
  if (opaqueType === undefined) return '';
  const name = opaqueType.name ? quoteDotted(opaqueType.name) : '';
  return `opaque(${opaqueType.domain ? `${quoteDotted(opaqueType.domain)},` : ''}${name})`;
};

const printInfo = ({ name, type }: ValueInfoProto): string => {
  const text = printType(type);
  return `${text}${text && ' '}${quoteName(name ?? '')}`;
};

const printEntries = (entries: readonly StringStringEntryProto[]): string =>
  `[${entries.map(({ key = '', value = '' }) => `${quoteText(key)}: ${quoteText(value)}`).join(', ')}]`;

const printOpsets = (opsets: readonly OperatorSetIdProto[]): string =>
  `[${opsets.map(({ domain = '', version = 0n }) => `${quoteText(domain)} : ${version}`).join(', ')}]`;

const printNames = (names: readonly string[]): string => names.map(quoteName).join(', ');

/** The type that the field which is set implies: for attributes that do not say theirs. */
const filledType = (attribute: AttributeProto): number | undefined => {
  if (attribute.f !== undefined) return ATTRIBUTE_TYPES.float;
  if (attribute.i !== undefined) return ATTRIBUTE_TYPES.int;
  if (attribute.s !== undefined) return ATTRIBUTE_TYPES.string;
  if (attribute.t !== undefined) return ATTRIBUTE_TYPES.tensor;
  if (attribute.g !== undefined) return ATTRIBUTE_TYPES.graph;
  if (attribute.floats.length > 0) return ATTRIBUTE_TYPES.floats;
  if (attribute.ints.length > 0) return ATTRIBUTE_TYPES.ints;
  return attribute.strings.length > 0 ? ATTRIBUTE_TYPES.strings : undefined;
};

class Printer {
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  #elements(tensor: TensorProto): string {
    if (tensor.dataLocation === DATA_LOCATION.external) return printEntries(tensor.externalData);
    const count = tensor.dims.reduce((product, dim) => product * dim, 1n);
    return count > this.#limit ? '...' : `{${elementTexts(tensor).join(', ')}}`;
  }

  #tensor(tensor: TensorProto, name: string | undefined = tensor.name): string {
    const dims = tensor.dims.length === 0 ? '' : `[${tensor.dims.join(',')}]`;
    const data = this.#elements(tensor);
    return `${elementType(tensor.dataType)}${dims}${name ? ` ${quoteName(name)}` : ''} = ${data}`;
  }

  #sparse({ values, indices, dims }: SparseTensorProto): string {
    const shape = dims.length === 0 ? '' : `[${dims.join(',')}]`;
    const name = values?.name ? ` ${quoteName(values.name)}` : '';
    const parts = [values, indices].map((part) => (part ? this.#tensor(part, '') : ''));
    return `sparse_tensor(${elementType(values?.dataType)}${shape})${name} = {${parts.join(', ')}}`;
  }

  #value(attribute: AttributeProto, indent: string): string {
    const type = attribute.type || filledType(attribute);
    const list = <T>(items: Iterable<T>, item: (value: T) => string): string =>
      `[${Array.from(items, item).join(', ')}]`;
    const graph = (value: GraphProto): string => this.graph(value, indent);
    switch (type) {
      case ATTRIBUTE_TYPES.float:
        return float32Text(attribute.f ?? 0);
      case ATTRIBUTE_TYPES.int:
        return String(attribute.i ?? 0n);
      case ATTRIBUTE_TYPES.string:
        return quoteBytes(attribute.s ?? new Uint8Array(0));
      case ATTRIBUTE_TYPES.tensor:
        return attribute.t ? this.#tensor(attribute.t) : '';
      case ATTRIBUTE_TYPES.graph:
        return attribute.g ? graph(attribute.g) : '';
      case ATTRIBUTE_TYPES.sparse_tensor:
        return attribute.sparseTensor ? this.#sparse(attribute.sparseTensor) : '';
      case ATTRIBUTE_TYPES.type_proto:
        return printType(attribute.tp);
      case ATTRIBUTE_TYPES.floats:
        return list(attribute.floats, float32Text);
      case ATTRIBUTE_TYPES.ints:
        return list(attribute.ints, String);
      case ATTRIBUTE_TYPES.strings:
        return list(attribute.strings, quoteBytes);
      case ATTRIBUTE_TYPES.tensors:
        return list(attribute.tensors, (tensor) => this.#tensor(tensor));
      case ATTRIBUTE_TYPES.graphs:
        return list(attribute.graphs, graph);
      case ATTRIBUTE_TYPES.sparse_tensors:
        return list(attribute.sparseTensors, (sparse) => this.#sparse(sparse));
      case ATTRIBUTE_TYPES.type_protos:
        return list(attribute.typeProtos, printType);
      default:
        return '';
    }
  }

  #attribute(attribute: AttributeProto, indent: string): string {
    const type = Object.entries(ATTRIBUTE_TYPES).find(([, number]) => number === attribute.type)?.[0];
    const typed = `${quoteName(attribute.name ?? '')}${type && attribute.type ? `: ${type}` : ''}`;
    const { refAttrName } = attribute;
    return `${typed} = ${refAttrName ? `@${quoteName(refAttrName)}` : this.#value(attribute, indent)}`;
  }

  #node(node: NodeProto, indent: string): string {
    const { attribute } = node;
    const label = node.name ? `[${quoteName(node.name)}] ` : '';
    const domain = node.domain ? `${quoteDotted(node.domain)}.` : '';
    const overload = node.overload ? `:${quoteName(node.overload)}` : '';
    const attributes = attribute.map((item) => this.#attribute(item, indent + INDENT)).join(', ');
    const inputs = `(${printNames(node.input)})`;
    const hasGraph = attribute.some(({ g, graphs }) => g !== undefined || graphs.length > 0);
    const call =
      attributes === ''
        ? ` ${inputs}`
        : hasGraph
          ? ` ${inputs} <${attributes}>`
          : ` <${attributes}> ${inputs}`;
    const outputs = printNames(node.output);
    return `${indent}${label}${outputs}${outputs && ' '}= ${domain}${quoteName(node.opType ?? '')}${overload}${call}\n`;
  }

  #nodes(nodes: readonly NodeProto[], indent: string): string {
    return `{\n${nodes.map((node) => this.#node(node, indent)).join('')}${indent.slice(INDENT.length)}}`;
  }

  graph(graph: GraphProto, indent: string): string {
    const inputs = graph.input.map(printInfo).join(', ');
    const outputs = graph.output.map(printInfo).join(', ');
    const stored = [
      ...graph.initializer.map((tensor) => this.#tensor(tensor)),
      ...graph.sparseInitializer.map((sparse) => this.#sparse(sparse)),
      ...graph.valueInfo.map(printInfo),
    ];
    const list =
      stored.length === 0
        ? ''
        : `\n${indent}<${stored.join(`,\n${indent} `)}>\n${indent.slice(INDENT.length)}`;
    return `${quoteName(graph.name ?? '')} (${inputs}) => (${outputs}) ${list}${this.#nodes(graph.node, indent)}`;
  }

  function(item: FunctionProto): string {
    const header = printHeader([
      ['domain', item.domain && quoteText(item.domain)],
      ['overload', item.overload && quoteText(item.overload)],
      ['opset_import', printOpsets(item.opsetImport)],
      ['doc_string', item.docString && quoteText(item.docString)],
    ]);
    const attributes = [
      ...item.attribute.map(quoteName),
      ...item.attributeProto.map((attribute) => this.#attribute(attribute, INDENT)),
    ];
    const formals = attributes.length === 0 ? '' : ` <${attributes.join(', ')}>`;
    const infos =
      item.valueInfo.length === 0 ? '' : `\n${INDENT}<${item.valueInfo.map(printInfo).join(', ')}>\n`;
    const signature = `(${printNames(item.input)}) => (${printNames(item.output)})`;
    return `${header}${quoteName(item.name ?? '')}${formals} ${signature} ${infos}${this.#nodes(item.node, INDENT)}\n`;
  }
}

const printHeader = (entries: readonly (readonly [string, string | undefined])[]): string => {
  const lines = entries.flatMap(([key, value]) => (value ? [`${INDENT}${key}: ${value}`] : []));
  return lines.length === 0 ? '' : `<\n${lines.join(',\n')}\n>\n`;
};

/** The text of a model. */
export const printModelText = (model: ModelProto, options: PrintOptions = {}): string => {
  const printer = new Printer(options.maxElements ?? Number.POSITIVE_INFINITY);
  const header = printHeader([
    ['ir_version', model.irVersion === undefined ? undefined : String(model.irVersion)],
    ['opset_import', printOpsets(model.opsetImport)],
    ['producer_name', model.producerName && quoteText(model.producerName)],
    ['producer_version', model.producerVersion && quoteText(model.producerVersion)],
    ['domain', model.domain && quoteText(model.domain)],
    ['model_version', model.modelVersion === undefined ? undefined : String(model.modelVersion)],
    ['doc_string', model.docString && quoteText(model.docString)],
    ['metadata_props', model.metadataProps.length > 0 ? printEntries(model.metadataProps) : undefined],
  ]);
  const graph = model.graph ? `${printer.graph(model.graph, INDENT)}\n` : '';
  return header + graph + model.functions.map((item) => printer.function(item)).join('');
};
