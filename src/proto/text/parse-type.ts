/** Types and tensor constants of ONNX text. */
import { dtypeFromOnnx, dtypeFromText, dtypeInfo } from '../../core/dtype.ts';
import { BytesSource } from '../../core/source.ts';
import { NESTING_LIMIT } from '../decode.ts';
import { createMessage } from '../fields.ts';
import {
  DATA_LOCATION,
  type Dimension,
  type SparseTensorProto,
  type StringStringEntryProto,
  type TensorProto,
  type TensorTypeProto,
  type TypeProto,
} from '../schema.ts';
import type { Scanner } from './scanner.ts';

/** Words that start a type which is not a tensor. */
const CONTAINERS = ['seq', 'map', 'optional', 'sparse_tensor', 'opaque'];

/** Whether a word starts a type; `undefined` is a tensor of unknown element type. */
export const isTypeWord = (word: string): boolean =>
  dtypeFromText(word) !== undefined || word === 'undefined' || CONTAINERS.includes(word);

const parseElementType = (scanner: Scanner): number | undefined => {
  const { position } = scanner;
  const word = scanner.identifier('an element type');
  if (word === 'undefined') return undefined;
  const dtype = dtypeFromText(word) ?? scanner.fail(`${word} is not an element type`, position);
  return dtypeInfo(dtype).onnx;
};

const parseDim = (scanner: Scanner): Dimension => {
  if (scanner.matches('?')) return createMessage('Dimension');
  const dimParam = scanner.optionalName();
  return createMessage('Dimension', dimParam === undefined ? { dimValue: scanner.int64() } : { dimParam });
};

/** `float` is a scalar, `float[]` a tensor of unknown rank, `float[N, 3]` one of rank 2. */
const parseTensorType = (scanner: Scanner): TensorTypeProto => {
  const elemType = parseElementType(scanner);
  const dim: Dimension[] = [];
  if (scanner.matches('[')) {
    if (scanner.matches(']')) return createMessage('TensorTypeProto', { elemType });
    do dim.push(parseDim(scanner));
    while (scanner.matches(','));
    scanner.expect(']');
  }
  return createMessage('TensorTypeProto', { elemType, shape: createMessage('TensorShapeProto', { dim }) });
};

/** The inner type of `seq(…)` and `optional(…)`, possibly none. */
const parseElement = (scanner: Scanner, depth: number) => {
  scanner.expect('(');
  if (scanner.matches(')')) return createMessage('ElementTypeProto');
  const elemType = parseType(scanner, depth + 1);
  scanner.expect(')');
  return createMessage('ElementTypeProto', { elemType });
};

const parseDotted = (scanner: Scanner): string => {
  const parts = [scanner.name('a name')];
  while (scanner.matches('.')) parts.push(scanner.name('a name'));
  return parts.join('.');
};

export const parseType = (scanner: Scanner, depth = 0): TypeProto => {
  if (depth >= NESTING_LIMIT) scanner.fail(`types nest deeper than ${NESTING_LIMIT} levels (limit)`);
  const word = scanner.peekIdentifier();
  if (!CONTAINERS.includes(word)) return createMessage('TypeProto', { tensorType: parseTensorType(scanner) });
  scanner.identifier('a type');
  if (word === 'seq') return createMessage('TypeProto', { sequenceType: parseElement(scanner, depth) });
  if (word === 'optional') return createMessage('TypeProto', { optionalType: parseElement(scanner, depth) });
  scanner.expect('(');
  let type: TypeProto;
  if (word === 'map') {
    const keyType = parseElementType(scanner);
    scanner.expect(',');
    const valueType = scanner.peek() === ')' ? undefined : parseType(scanner, depth + 1);
    type = createMessage('TypeProto', { mapType: createMessage('MapTypeProto', { keyType, valueType }) });
  } else if (word === 'sparse_tensor') {
    type = createMessage('TypeProto', { sparseTensorType: parseTensorType(scanner) });
  } else {
    const first = scanner.peek() === ')' ? undefined : parseDotted(scanner);
    const opaque = scanner.matches(',')
      ? { domain: first, name: scanner.peek() === ')' ? undefined : scanner.name('a name') }
      : { name: first };
    type = createMessage('TypeProto', { opaqueType: createMessage('OpaqueTypeProto', opaque) });
  }
  scanner.expect(')');
  return type;
};

const parseEntry = (scanner: Scanner): StringStringEntryProto => {
  const key = scanner.string();
  scanner.expect(':');
  return createMessage('StringStringEntryProto', { key, value: scanner.string() });
};

/** `["key": "value", …]`. */
export const parseEntries = (scanner: Scanner): StringStringEntryProto[] => {
  const entries: StringStringEntryProto[] = [];
  scanner.expect('[');
  if (scanner.matches(']')) return entries;
  do entries.push(parseEntry(scanner));
  while (scanner.matches(','));
  scanner.expect(']');
  return entries;
};

const list = <T>(scanner: Scanner, item: () => T): T[] => {
  const items: T[] = [];
  if (scanner.peek() === '}') return items;
  do items.push(item());
  while (scanner.matches(','));
  return items;
};

const INT32_MAX = (1n << 31n) - 1n;

/** The typed field for the literals of an element type (halves, float8 and packed types are given as their bits). */
const parseElements = (scanner: Scanner, dataType: number): Partial<TensorProto> => {
  const dtype = dtypeFromOnnx(dataType);
  if (dtype === undefined) return scanner.fail('a tensor needs an element type');
  if (dtype === 'string') return { stringData: list(scanner, () => scanner.bytes()) };
  if (dtype === 'float32' || dtype === 'complex64') {
    const values = Float32Array.from(list(scanner, () => scanner.float()));
    return values.length === 0 ? {} : { floatData: new BytesSource(new Uint8Array(values.buffer)) };
  }
  if (dtype === 'float64' || dtype === 'complex128') {
    const values = Float64Array.from(list(scanner, () => scanner.float()));
    return values.length === 0 ? {} : { doubleData: new BytesSource(new Uint8Array(values.buffer)) };
  }
  if (dtype === 'int64') return { int64Data: BigInt64Array.from(list(scanner, () => scanner.int64())) };
  if (dtype === 'uint64' || dtype === 'uint32') {
    const high = dtype === 'uint64' ? (1n << 64n) - 1n : (1n << 32n) - 1n;
    return { uint64Data: BigUint64Array.from(list(scanner, () => scanner.integer(0n, high))) };
  }
  return {
    int32Data: Int32Array.from(list(scanner, () => Number(scanner.integer(-INT32_MAX - 1n, INT32_MAX)))),
  };
};

/** The data of a tensor whose type was read: `{1, 2, 3}`, or `["location": "file", …]` for external data. */
export const parseTensorData = (scanner: Scanner, type: TypeProto, name: string | undefined): TensorProto => {
  const { tensorType } = type;
  if (tensorType === undefined) return scanner.fail('a tensor constant needs a tensor type');
  const dims = (tensorType.shape ?? scanner.fail('a tensor constant needs a shape')).dim.map(
    ({ dimValue }) => dimValue ?? scanner.fail('the dimensions of a tensor constant must be numbers'),
  );
  const dataType = tensorType.elemType ?? scanner.fail('a tensor needs an element type');
  const fields = { dims, dataType, name };
  if (scanner.peek() === '[') {
    const externalData = parseEntries(scanner);
    return createMessage('TensorProto', { ...fields, externalData, dataLocation: DATA_LOCATION.external });
  }
  if (scanner.matches('...'))
    scanner.fail('the elements of this tensor were left out when the text was made');
  scanner.expect('{');
  const elements = parseElements(scanner, dataType);
  scanner.expect('}');
  return createMessage('TensorProto', { ...fields, ...elements });
};

/** The data of a sparse tensor, an addition of ours: `{values, indices}`, two tensor constants. */
export const parseSparseData = (
  scanner: Scanner,
  type: TypeProto,
  name: string | undefined,
): SparseTensorProto => {
  const shape = type.sparseTensorType?.shape ?? scanner.fail('a sparse constant needs a shape');
  const dims = shape.dim.map(
    ({ dimValue }) => dimValue ?? scanner.fail('the dimensions of a sparse constant must be numbers'),
  );
  scanner.expect('{');
  const values = { ...parseTensor(scanner), name };
  scanner.expect(',');
  const indices = parseTensor(scanner);
  scanner.expect('}');
  return createMessage('SparseTensorProto', { values, indices, dims });
};

/** A tensor constant: `float[2] name = {1, 2}`, name and `=` optional. */
const parseTensor = (scanner: Scanner): TensorProto => {
  const type = parseType(scanner);
  const name = scanner.optionalName();
  scanner.matches('=');
  return parseTensorData(scanner, type, name);
};
