/** Attributes of ONNX text: `name: type = value`; without `: type` the value says what it is. */
import { NESTING_LIMIT } from '../decode.ts';
import { createMessage } from '../fields.ts';
import { ATTRIBUTE_TYPES, type AttributeProto, type GraphProto } from '../schema.ts';
import { isTypeWord, parseSparseData, parseTensorData, parseType } from './parse-type.ts';
import { numberOf, type Scanner } from './scanner.ts';

type TypeName = keyof typeof ATTRIBUTE_TYPES;
type GraphParser = (scanner: Scanner, name: string, depth: number) => GraphProto;

/** The element kind of each list kind. */
const ELEMENTS: Partial<Record<TypeName, TypeName>> = {
  floats: 'float',
  ints: 'int',
  strings: 'string',
  tensors: 'tensor',
  graphs: 'graph',
  sparse_tensors: 'sparse_tensor',
  type_protos: 'type_proto',
};
const LISTS = new Map(Object.entries(ELEMENTS).map(([many, one]) => [one, many as TypeName]));

/** One value: exactly one of the single-valued fields, with its type. */
type Single = Pick<AttributeProto, 'f' | 'i' | 's' | 't' | 'g' | 'tp' | 'sparseTensor'> & {
  readonly kind: TypeName;
};

const parseTyped = (scanner: Scanner): Single => {
  const type = parseType(scanner);
  const hasData = scanner.peek() === '{' || scanner.peek() === '=' || scanner.peek() === '.';
  const name = hasData ? undefined : scanner.optionalName();
  if (!hasData && name === undefined) return { kind: 'type_proto', tp: type };
  scanner.matches('=');
  return type.sparseTensorType
    ? { kind: 'sparse_tensor', sparseTensor: parseSparseData(scanner, type, name) }
    : { kind: 'tensor', t: parseTensorData(scanner, type, name) };
};

const parseSingle = (scanner: Scanner, parseGraph: GraphParser, depth: number): Single => {
  if (scanner.isBytes) {
    const s = scanner.bytes();
    if (scanner.peek() !== '(') return { kind: 'string', s };
    return { kind: 'graph', g: parseGraph(scanner, new TextDecoder().decode(s), depth + 1) };
  }
  const number = scanner.optionalNumber();
  if (number?.isFloat) return { kind: 'float', f: Math.fround(numberOf(number.text)) };
  if (number) {
    const value = BigInt(number.text);
    if (BigInt.asIntN(64, value) !== value) scanner.fail(`${number.text} is out of range for an int`);
    return { kind: 'int', i: value };
  }
  const word = scanner.peekIdentifier();
  if (isTypeWord(word)) return parseTyped(scanner);
  return { kind: 'graph', g: parseGraph(scanner, scanner.identifier('a value'), depth + 1) };
};

/** The same value as a kind: only an int may stand for a float. */
const castTo = (scanner: Scanner, single: Single, kind: TypeName | undefined): Single => {
  if (kind === undefined || single.kind === kind) return single;
  if (kind === 'float' && single.i !== undefined) return { kind, f: Math.fround(Number(single.i)) };
  return scanner.fail(`a value of type ${kind} expected, found one of type ${single.kind}`);
};

const parseKind = (scanner: Scanner): TypeName | undefined => {
  if (!scanner.matches(':')) return undefined;
  const { position } = scanner;
  const word = scanner.identifier('an attribute type');
  if (!Object.hasOwn(ATTRIBUTE_TYPES, word) || word === 'undefined') {
    scanner.fail(`${word} is not an attribute type`, position);
  }
  return word as TypeName;
};

const parseList = (
  scanner: Scanner,
  declared: TypeName | undefined,
  parseGraph: GraphParser,
  depth: number,
): Partial<AttributeProto> => {
  let kind = declared && (ELEMENTS[declared] ?? scanner.fail(`a list cannot be a value of type ${declared}`));
  const items: Single[] = [];
  if (scanner.peek() !== ']') {
    do {
      const item = castTo(scanner, parseSingle(scanner, parseGraph, depth), kind);
      kind ??= item.kind;
      items.push(item);
    } while (scanner.matches(','));
  }
  scanner.expect(']');
  if (kind === undefined) return scanner.fail('an empty list needs a type, as in `axes: ints = []`');
  const pick = <K extends keyof Single>(key: K): NonNullable<Single[K]>[] =>
    items.map((item) => item[key] as NonNullable<Single[K]>);
  return {
    type: ATTRIBUTE_TYPES[LISTS.get(kind) as TypeName],
    ...(kind === 'float' && { floats: Float32Array.from(pick('f')) }),
    ...(kind === 'int' && { ints: pick('i') }),
    ...(kind === 'string' && { strings: pick('s') }),
    ...(kind === 'tensor' && { tensors: pick('t') }),
    ...(kind === 'graph' && { graphs: pick('g') }),
    ...(kind === 'sparse_tensor' && { sparseTensors: pick('sparseTensor') }),
    ...(kind === 'type_proto' && { typeProtos: pick('tp') }),
  };
};

/** What follows an attribute's name. */
export const parseAttribute = (
  scanner: Scanner,
  name: string,
  parseGraph: GraphParser,
  depth: number,
): AttributeProto => {
  if (depth > NESTING_LIMIT) scanner.fail(`subgraphs nest deeper than ${NESTING_LIMIT} levels (limit)`);
  const declared = parseKind(scanner);
  scanner.expect('=');
  if (scanner.matches('[')) {
    return createMessage('AttributeProto', { name, ...parseList(scanner, declared, parseGraph, depth) });
  }
  if (scanner.matches('@')) {
    const refAttrName = scanner.name('the name of a function attribute');
    const type = declared && ATTRIBUTE_TYPES[declared];
    return createMessage('AttributeProto', { name, refAttrName, type });
  }
  const { kind, ...value } = castTo(scanner, parseSingle(scanner, parseGraph, depth), declared);
  return createMessage('AttributeProto', { name, type: ATTRIBUTE_TYPES[kind], ...value });
};
