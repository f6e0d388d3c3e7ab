/**
 * ONNX text to ModelProto: the syntax of onnx.parser, by recursive descent.
 *
 * Additions, so that everything the printer writes can be read: quoted names wherever a name may stand, lists of
 * tensors, graphs and types, sparse constants, strings that are not UTF-8, values without a type.
 *
 * Source: https://github.com/onnx/onnx/blob/main/docs/Syntax.md
 */
import { createMessage } from '../fields.ts';
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  OperatorSetIdProto,
  SparseTensorProto,
  TensorProto,
  ValueInfoProto,
} from '../schema.ts';
import { parseAttribute } from './parse-attribute.ts';
import { isTypeWord, parseEntries, parseSparseData, parseTensorData, parseType } from './parse-type.ts';
import { Scanner } from './scanner.ts';

const parseValueInfo = (scanner: Scanner): ValueInfoProto => {
  const type = isTypeWord(scanner.peekIdentifier()) ? parseType(scanner) : undefined;
  return createMessage('ValueInfoProto', { name: scanner.name('a value name'), type });
};

/** Items between two brackets, separated by commas. */
const parseItems = (scanner: Scanner, open: string, close: string, item: () => void): void => {
  scanner.expect(open);
  if (scanner.matches(close)) return;
  do item();
  while (scanner.matches(','));
  scanner.expect(close);
};

/** Names of a node's inputs or outputs: an empty one is `""`, or nothing before a comma. */
const parseNames = (scanner: Scanner): string[] => {
  const names: string[] = [];
  for (;;) {
    const name = scanner.optionalName();
    if (name === undefined && scanner.peek() !== ',') return names;
    names.push(name ?? '');
    if (!scanner.matches(',')) return names;
  }
};

const parseAttributes = (scanner: Scanner, depth: number): AttributeProto[] => {
  const attributes: AttributeProto[] = [];
  if (scanner.peek() === '<') {
    parseItems(scanner, '<', '>', () => {
      attributes.push(parseAttribute(scanner, scanner.name('an attribute name'), parseGraph, depth));
    });
  }
  return attributes;
};

const parseNode = (scanner: Scanner, depth: number): NodeProto => {
  let name: string | undefined;
  if (scanner.matches('[')) {
    name = scanner.name('a node name');
    scanner.expect(']');
  }
  const output = parseNames(scanner);
  scanner.expect('=');
  const path = [scanner.name('an operator')];
  while (scanner.matches('.')) path.push(scanner.name('an operator'));
  const opType = path.pop();
  const overload = scanner.matches(':') ? scanner.name('an overload') : undefined;
  let attribute = parseAttributes(scanner, depth);
  scanner.expect('(');
  const input = parseNames(scanner);
  scanner.expect(')');
  if (attribute.length === 0) attribute = parseAttributes(scanner, depth);
  const domain = path.join('.');
  return createMessage('NodeProto', { input, output, name, opType, attribute, domain, overload });
};

const parseNodes = (scanner: Scanner, depth: number): NodeProto[] => {
  const nodes: NodeProto[] = [];
  scanner.expect('{');
  while (!scanner.matches('}')) {
    if (scanner.isAtEnd) scanner.fail("'}' expected, found the end");
    nodes.push(parseNode(scanner, depth));
  }
  return nodes;
};

/** A graph after its name. */
const parseGraph = (scanner: Scanner, name: string, depth: number): GraphProto => {
  const input: ValueInfoProto[] = [];
  const output: ValueInfoProto[] = [];
  const valueInfo: ValueInfoProto[] = [];
  const initializer: TensorProto[] = [];
  const sparseInitializer: SparseTensorProto[] = [];
  const parseData = ({ type, name: valueName }: ValueInfoProto): void => {
    if (type === undefined) scanner.fail('an initializer needs a type');
    if (type.sparseTensorType) sparseInitializer.push(parseSparseData(scanner, type, valueName));
    else initializer.push(parseTensorData(scanner, type, valueName));
  };
  parseItems(scanner, '(', ')', () => {
    const info = parseValueInfo(scanner);
    input.push(info);
    if (scanner.matches('=')) parseData(info);
  });
  scanner.expect('=>');
  parseItems(scanner, '(', ')', () => {
    output.push(parseValueInfo(scanner));
  });
  if (scanner.peek() === '<') {
    parseItems(scanner, '<', '>', () => {
      const info = parseValueInfo(scanner);
      if (scanner.matches('=')) parseData(info);
      else valueInfo.push(info);
    });
  }
  const node = parseNodes(scanner, depth);
  return createMessage('GraphProto', {
    node,
    name,
    initializer,
    input,
    output,
    valueInfo,
    sparseInitializer,
  });
};

const parseOpsets = (scanner: Scanner): OperatorSetIdProto[] => {
  const opsets: OperatorSetIdProto[] = [];
  parseItems(scanner, '[', ']', () => {
    const domain = scanner.string();
    scanner.expect(':');
    opsets.push(createMessage('OperatorSetIdProto', { domain, version: scanner.int64() }));
  });
  return opsets;
};

/** `<key: value, …>`: each key by its own parser. */
const parseHeader = <T>(
  scanner: Scanner,
  parsers: Readonly<Record<string, (scanner: Scanner) => Partial<T>>>,
): Partial<T> => {
  const fields: Partial<T> = {};
  if (scanner.peek() !== '<') return fields;
  parseItems(scanner, '<', '>', () => {
    const { position } = scanner;
    const key = scanner.identifier('a key');
    const parser = Object.hasOwn(parsers, key) ? parsers[key] : undefined;
    if (parser === undefined) {
      return scanner.fail(`${key} is none of ${Object.keys(parsers).join(', ')}`, position);
    }
    scanner.expect(':');
    Object.assign(fields, parser(scanner));
    return undefined;
  });
  return fields;
};

const parseFunction = (scanner: Scanner): FunctionProto => {
  const header = parseHeader<FunctionProto>(scanner, {
    opset_import: (at) => ({ opsetImport: parseOpsets(at) }),
    doc_string: (at) => ({ docString: at.string() }),
    domain: (at) => ({ domain: at.string() }),
    overload: (at) => ({ overload: at.string() }),
  });
  const name = scanner.name('a function name');
  const attribute: string[] = [];
  const attributeProto: AttributeProto[] = [];
  if (scanner.peek() === '<') {
    parseItems(scanner, '<', '>', () => {
      const attributeName = scanner.name('an attribute name');
      const next = scanner.peek();
      if (next === ':' || next === '=') {
        attributeProto.push(parseAttribute(scanner, attributeName, parseGraph, 0));
      } else attribute.push(attributeName);
    });
  }
  const valueInfo: ValueInfoProto[] = [];
  const parseFormals = (): string[] => {
    const names: string[] = [];
    parseItems(scanner, '(', ')', () => {
      const info = parseValueInfo(scanner);
      names.push(info.name ?? '');
      if (info.type) valueInfo.push(info);
    });
    return names;
  };
  const input = parseFormals();
  scanner.expect('=>');
  const output = parseFormals();
  if (scanner.peek() === '<') {
    parseItems(scanner, '<', '>', () => {
      valueInfo.push(parseValueInfo(scanner));
    });
  }
  const node = parseNodes(scanner, 0);
  return createMessage('FunctionProto', {
    ...header,
    name,
    input,
    output,
    attribute,
    attributeProto,
    valueInfo,
    node,
  });
};

/**
 * The model that a text describes.
 * @throws OrthoError model/text-syntax with line and column.
 */
export const parseModelText = (text: string): ModelProto => {
  const scanner = new Scanner(text);
  const header = parseHeader<ModelProto>(scanner, {
    ir_version: (at) => ({ irVersion: at.int64() }),
    opset_import: (at) => ({ opsetImport: parseOpsets(at) }),
    producer_name: (at) => ({ producerName: at.string() }),
    producer_version: (at) => ({ producerVersion: at.string() }),
    domain: (at) => ({ domain: at.string() }),
    model_version: (at) => ({ modelVersion: at.int64() }),
    doc_string: (at) => ({ docString: at.string() }),
    metadata_props: (at) => ({ metadataProps: parseEntries(at) }),
  });
  const graph = parseGraph(scanner, scanner.name('a graph name'), 0);
  const functions: FunctionProto[] = [];
  while (!scanner.isAtEnd) functions.push(parseFunction(scanner));
  return createMessage('ModelProto', { ...header, graph, functions });
};
