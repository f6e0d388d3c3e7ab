/**
 * Rules about stored tensors: dims, element type, and that exactly the bytes they need are there, in the field that
 * ONNX has for their type. Nothing is decoded: sizes are compared, and 32-bit entries tested against the type's range.
 *
 * Storage (onnx.proto, TensorProto): raw_data holds ceil(elements · bits / 8) bytes; int32_data one entry an element,
 * or one a byte for packed types; float_data and double_data two entries a complex element.
 */
import { type DType, dtypeFromOnnx, dtypeInfo } from '../core/dtype.ts';
import type { Place } from '../core/errors.ts';
import { DATA_LOCATION, type SparseTensorProto, type TensorProto } from '../proto/schema.ts';
import { type FindingList, formatBytes } from './check-context.ts';
import { checkExternal, type ExternalFiles } from './check-external.ts';
import { HIGH_RANK } from './check-type.ts';

const MAX_ELEMENTS = (1n << 63n) - 1n;

type TypedField = 'float_data' | 'int32_data' | 'int64_data' | 'double_data' | 'uint64_data' | 'string_data';

/** The typed field of a dtype. */
const fieldOf = (dtype: DType): TypedField => {
  const { kind } = dtypeInfo(dtype);
  if (dtype === 'float32' || dtype === 'complex64') return 'float_data';
  if (dtype === 'float64' || dtype === 'complex128') return 'double_data';
  if (dtype === 'int64') return 'int64_data';
  if (dtype === 'uint64' || dtype === 'uint32') return 'uint64_data';
  return kind === 'string' ? 'string_data' : 'int32_data';
};

/** Entries that each typed field of a tensor holds. */
const entriesOf = (tensor: TensorProto): ReadonlyMap<TypedField, number> => {
  const counts: [TypedField, number][] = [
    ['float_data', (tensor.floatData?.size ?? 0) / 4],
    ['int32_data', tensor.int32Data.length],
    ['int64_data', tensor.int64Data.length],
    ['double_data', (tensor.doubleData?.size ?? 0) / 8],
    ['uint64_data', tensor.uint64Data.length],
    ['string_data', tensor.stringData.length],
  ];
  return new Map(counts.filter(([, count]) => count > 0));
};

/** `float 2x3`, `float scalar`. */
const describe = (dtype: DType, dims: readonly bigint[]): string =>
  `${dtypeInfo(dtype).text} ${dims.length === 0 ? 'scalar' : dims.slice(0, 16).join('x')}${dims.length > 16 ? 'x…' : ''}`;

/** Entries of the typed field that `elements` elements take. */
const entriesNeeded = (dtype: DType, elements: bigint): bigint => {
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === 'complex') return elements * 2n;
  if (bits > 0 && bits < 6) return (elements * BigInt(bits) + 7n) / 8n;
  return elements;
};

const bytesNeeded = (dtype: DType, elements: bigint): bigint =>
  (elements * BigInt(dtypeInfo(dtype).bits) + 7n) / 8n;

/** Values that an int32_data entry may have; undefined for int32 itself. */
const rangeOf = (dtype: DType): readonly [number, number] | undefined => {
  const { kind, bits } = dtypeInfo(dtype);
  if (dtype === 'int32') return undefined;
  if (kind === 'bool') return [0, 1];
  if (dtype === 'float6e2m3' || dtype === 'float6e3m2') return [0, 63];
  if (bits === 16) return kind === 'int' ? [-32768, 32767] : [0, 65535];
  // Signed entries of packed types occur: writers cast the packed byte to int8 first.
  if (bits < 8) return [-128, 255];
  return kind === 'int' ? [-128, 127] : [0, 255];
};

const checkRange = (
  tensor: TensorProto,
  dtype: DType,
  what: string,
  findings: FindingList,
  at: Place,
): void => {
  const { text, kind } = dtypeInfo(dtype);
  const suffix = kind === 'float' ? ' bit pattern' : '';
  const report = (field: string, index: number, value: number | bigint): void => {
    const article = /^[aeio]/.test(text) ? 'an' : 'a';
    findings.error(
      'tensor-range',
      `${what}: ${field}[${index}] = ${value} is not ${article} ${text}${suffix}`,
      at,
    );
  };
  if (dtype === 'uint32') {
    const index = tensor.uint64Data.findIndex((value) => value > 0xffffffffn);
    if (index >= 0) report('uint64_data', index, tensor.uint64Data[index]!);
    return;
  }
  const range = rangeOf(dtype);
  if (range === undefined) return;
  const [low, high] = range;
  const index = tensor.int32Data.findIndex((value) => value < low || value > high);
  if (index >= 0) report('int32_data', index, tensor.int32Data[index]!);
};

const utf8 = new TextDecoder('utf-8', { fatal: true });

const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
};

const checkTexts = (tensor: TensorProto, what: string, findings: FindingList, at: Place): void => {
  const index = tensor.stringData.findIndex((bytes) => !isUtf8(bytes));
  if (index >= 0) findings.warning('tensor-range', `${what}: string_data[${index}] is not UTF-8`, at);
};

/** A bool byte must be 0 or 1: what others mean, no two readers agree on. */
const checkBooleans = (tensor: TensorProto, what: string, findings: FindingList, at: Place): void => {
  const { rawData } = tensor;
  if (rawData === undefined || rawData.size > 1 << 24) return;
  const index = rawData.read(0, rawData.size).findIndex((byte) => byte > 1);
  if (index < 0) return;
  const value = rawData.read(index, 1)[0];
  findings.warning('tensor-range', `${what}: raw_data[${index}] = ${value} is not a bool`, at);
};

/** The number of elements, or undefined when the dims are faulty (then they were reported). */
const checkDims = (
  dims: readonly bigint[],
  what: string,
  findings: FindingList,
  at: Place,
): bigint | undefined => {
  const negative = dims.findIndex((dim) => dim < 0n);
  if (negative >= 0) {
    findings.error('tensor-dims', `${what}: dims[${negative}] is ${dims[negative]}`, at);
    return undefined;
  }
  if (dims.length > HIGH_RANK) findings.warning('high-rank', `${what} has rank ${dims.length}`, at);
  const isEmpty = dims.includes(0n);
  let product = 1n;
  for (const dim of dims) {
    if (dim === 0n) continue;
    product *= dim;
    if (product <= MAX_ELEMENTS) continue;
    if (isEmpty) {
      findings.warning(
        'tensor-dims',
        `${what}: dims ${dims.join(' x ')}: no elements, though the other dims overflow`,
        at,
      );
      return 0n;
    }
    findings.error(
      'tensor-dims',
      `${what}: the number of elements overflows (dims ${dims.slice(0, 8).join(' x ')})`,
      at,
    );
    return undefined;
  }
  return isEmpty ? 0n : product;
};

const checkContent = (
  tensor: TensorProto,
  dtype: DType,
  elements: bigint,
  what: string,
  findings: FindingList,
  at: Place,
): void => {
  const held = entriesOf(tensor);
  const field = fieldOf(dtype);
  const { text } = dtypeInfo(dtype);
  const raw = tensor.rawData === undefined ? undefined : BigInt(tensor.rawData.size);
  // An empty raw_data beside typed data is written by some exporters and says nothing.
  const fields = [...held.keys(), ...(raw !== undefined && raw > 0n ? ['raw_data'] : [])];
  if (dtype === 'string' && raw !== undefined && raw > 0n) {
    findings.error('tensor-field', `${what}: strings cannot be in raw_data`, at);
    return;
  }
  const wrong = [...held.keys()].filter((name) => name !== field);
  if (wrong.length > 0)
    findings.error('tensor-field', `${what} is ${text} but holds ${wrong.join(' and ')}`, at);
  if (fields.length > 1) {
    findings.error('tensor-field', `${what} holds its data more than once: ${fields.join(' and ')}`, at);
    return;
  }
  if (wrong.length > 0) return;
  const entries = BigInt(held.get(field) ?? 0);
  if (entries > 0n) {
    const needed = entriesNeeded(dtype, elements);
    if (entries !== needed) {
      const packed = needed === elements ? '' : ` (${needed} entries)`;
      findings.error('tensor-size', `${what}: ${elements} elements${packed}, ${field} has ${entries}`, at);
    }
    checkRange(tensor, dtype, what, findings, at);
    if (dtype === 'string') checkTexts(tensor, what, findings, at);
    return;
  }
  const bytes = bytesNeeded(dtype, elements);
  const needs = `${describe(dtype, tensor.dims)} needs ${dtype === 'string' ? `${elements} strings` : formatBytes(bytes)}`;
  if (raw === undefined || (raw === 0n && bytes > 0n)) {
    if (elements > 0n) findings.error('tensor-size', `${what}: ${needs}, there is no data`, at);
  } else if (raw !== bytes) {
    findings.error('tensor-size', `${what}: ${needs}, raw_data has ${raw}`, at);
  }
  if (dtype === 'bool') checkBooleans(tensor, what, findings, at);
};

/** @param what how messages name the tensor: `initializer 'W'` */
export const checkTensor = (
  tensor: TensorProto,
  what: string,
  findings: FindingList,
  files: ExternalFiles,
  at: Place,
): void => {
  const elements = checkDims(tensor.dims, what, findings, at);
  const dtype = dtypeFromOnnx(tensor.dataType ?? 0);
  if (dtype === undefined) {
    const found = tensor.dataType ?? 0;
    findings.error(
      'tensor-type',
      `${what}: ${found === 0 ? 'no data_type' : `unknown data_type ${found}`}`,
      at,
    );
  }
  if (tensor.segment !== undefined) {
    findings.error('tensor-segment', `${what} uses segment, which no tool implements`, at);
  }
  const location = tensor.dataLocation ?? DATA_LOCATION.default;
  if (location !== DATA_LOCATION.default && location !== DATA_LOCATION.external) {
    findings.error('tensor-location', `${what}: unknown data_location ${location}`, at);
    return;
  }
  if (location === DATA_LOCATION.external) {
    const needed = dtype === undefined || elements === undefined ? undefined : bytesNeeded(dtype, elements);
    const inside = [...(tensor.rawData?.size ? ['raw_data'] : []), ...entriesOf(tensor).keys()];
    if (inside.length > 0) {
      findings.error('tensor-field', `${what} is external and has ${inside.join(' and ')}`, at);
    }
    if (dtype === 'string') findings.error('tensor-field', `${what}: strings cannot be external`, at);
    checkExternal(tensor, needed, what, findings, files, at);
    return;
  }
  if (tensor.externalData.length > 0) {
    findings.warning(
      'external-unused',
      `${what} has external_data, but its data_location is not EXTERNAL`,
      at,
    );
  }
  if (dtype !== undefined && elements !== undefined && tensor.segment === undefined) {
    checkContent(tensor, dtype, elements, what, findings, at);
  }
};

/** int64 entries of a tensor in memory, or undefined where they are elsewhere or faulty. */
const int64Entries = (tensor: TensorProto): BigInt64Array | undefined => {
  if (tensor.dataType !== 7 || tensor.dataLocation === DATA_LOCATION.external) return undefined;
  if (tensor.int64Data.length > 0) return tensor.int64Data;
  const { rawData } = tensor;
  if (rawData === undefined || rawData.size % 8 !== 0) return undefined;
  return new BigInt64Array(rawData.read(0, rawData.size).slice().buffer);
};

const checkIndices = (
  entries: BigInt64Array,
  dims: readonly bigint[],
  linear: boolean,
  elements: bigint,
  what: string,
  findings: FindingList,
  at: Place,
): void => {
  const width = linear ? 1 : dims.length;
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((a, b) => a * b, 1n));
  let previous = -1n;
  for (let start = 0; start + width <= entries.length; start += width) {
    let position = 0n;
    let isInside = true;
    if (linear) {
      position = entries[start]!;
      isInside = position >= 0n && position < elements;
    } else {
      for (let axis = 0; axis < width; axis++) {
        const index = entries[start + axis]!;
        isInside &&= index >= 0n && index < dims[axis]!;
        position += index * strides[axis]!;
      }
    }
    const shown = (): string =>
      linear ? `index ${position}` : `index (${entries.subarray(start, start + width).join(',')})`;
    if (!isInside) {
      const size = linear ? `${elements} elements` : dims.join('x');
      findings.error('sparse-index', () => `${what}: ${shown()} is out of range (${size})`, at);
      return;
    }
    if (position <= previous) {
      const why = position === previous ? 'occurs twice' : 'is out of order: indices must ascend';
      findings.error('sparse-index', () => `${what}: ${shown()} ${why}`, at);
      return;
    }
    previous = position;
  }
};

/** A sparse tensor: values [nnz], indices int64 [nnz] (linear) or [nnz, rank], ascending, inside the dense dims. */
export const checkSparse = (
  { values, indices, dims }: SparseTensorProto,
  what: string,
  findings: FindingList,
  files: ExternalFiles,
  at: Place,
): void => {
  const elements = checkDims(dims, what, findings, at);
  if (dims.length === 0) findings.error('sparse-shape', `${what} has no dims`, at);
  if (values === undefined || indices === undefined) {
    const missing =
      values === undefined ? (indices === undefined ? 'values and no indices' : 'values') : 'indices';
    findings.error('sparse-shape', `${what} has no ${missing}`, at);
    return;
  }
  checkTensor(values, `${what} values`, findings, files, at);
  checkTensor(indices, `${what} indices`, findings, files, at);
  if (values.dims.length !== 1) {
    findings.error('sparse-shape', `${what}: values must be 1-D, found rank ${values.dims.length}`, at);
    return;
  }
  const [count = 0n] = values.dims;
  if (indices.dataType !== undefined && indices.dataType !== 7) {
    const found = dtypeFromOnnx(indices.dataType);
    findings.error(
      'sparse-shape',
      `${what}: indices must be int64, found ${found === undefined ? indices.dataType : dtypeInfo(found).text}`,
      at,
    );
    return;
  }
  if (indices.dims.length !== 1 && indices.dims.length !== 2) {
    findings.error(
      'sparse-shape',
      `${what}: indices must be 1-D or 2-D, found rank ${indices.dims.length}`,
      at,
    );
    return;
  }
  const linear = indices.dims.length === 1;
  if (indices.dims[0] !== count) {
    findings.error('sparse-shape', `${what}: ${count} values, ${indices.dims[0]} indices`, at);
    return;
  }
  if (!linear && indices.dims[1] !== BigInt(dims.length)) {
    findings.error(
      'sparse-shape',
      `${what}: indices have ${indices.dims[1]} columns, the rank is ${dims.length}`,
      at,
    );
    return;
  }
  if (elements === undefined) return;
  if (count > elements) {
    findings.error('sparse-shape', `${what}: ${count} values do not fit into ${elements} elements`, at);
    return;
  }
  const entries = int64Entries(indices);
  const expected = count * (linear ? 1n : BigInt(dims.length));
  if (entries !== undefined && BigInt(entries.length) === expected) {
    checkIndices(entries, dims, linear, elements, what, findings, at);
  }
};
