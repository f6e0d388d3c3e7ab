/**
 * TensorProto as a lazy Tensor: a view of whichever field holds the data.
 *
 * raw_data, float_data and double_data are little-endian bytes already; int64_data and uint64_data were decoded into
 * typed memory; 8- and 16-bit types stored one element in each int32_data entry (packed types one *byte* in each) are
 * narrowed when they are read. External data is opened when it is read. Sizes are checked here, data is not touched.
 */

import { ConvertedSource } from '../core/derived-source.ts';
import { byteLengthOf, type DType, dtypeFromOnnx, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, BytesSource } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import { quoted } from '../proto/quote.ts';
import { DATA_LOCATION, type SparseTensorProto, type TensorProto } from '../proto/schema.ts';
import type { SparseTensor } from './attribute.ts';
import type { ExternalReader } from './external-reader.ts';

/** Where a tensor is, for messages, and how its external data is found. */
export interface TensorContext {
  /** `initializer 'W'`; default: the tensor's own name. */
  readonly what?: string;
  readonly external?: ExternalReader;
}

/** A tensor read from a message: whoever writes it again unchanged writes that message. */
class StoredTensor implements Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly strings?: readonly Uint8Array[];
  readonly #proto: TensorProto;
  readonly #open: () => ByteSource;
  #data: ByteSource | undefined;

  constructor(proto: TensorProto, dtype: DType, dims: readonly number[], open: () => ByteSource) {
    this.dtype = dtype;
    this.dims = dims;
    this.#proto = proto;
    this.#open = open;
    if (dtype === 'string') this.strings = proto.stringData;
  }

  get data(): ByteSource {
    this.#data ??= this.#open();
    return this.#data;
  }

  get proto(): TensorProto {
    return this.#proto;
  }
}

/** The message a tensor was read from; undefined for one that was made. */
export const protoOfTensor = (tensor: Tensor): TensorProto | undefined =>
  tensor instanceof StoredTensor ? tensor.proto : undefined;

const NOTHING = new BytesSource(new Uint8Array(0));

const bytesOfArray = (array: Int32Array | BigInt64Array | BigUint64Array): ByteSource =>
  new BytesSource(new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength));

/** int32_data to elements of 1 or 2 bytes: the low ones of each entry. @throws model/invalid for entries out of range. */
const narrowed = (entries: Int32Array, bytes: 1 | 2, dtype: DType, what: string): ByteSource => {
  const limit = bytes === 1 ? 256 : 65536;
  return new ConvertedSource(bytesOfArray(entries), 4, bytes, (input, output) => {
    const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    for (let i = 0; i * 4 < input.length; i++) {
      const value = view.getInt32(i * 4, true);
      if (value >= limit || value < -limit / 2) {
        throw new OrthoError(
          'model/invalid',
          `${what}: int32_data holds ${value}, which is not a ${dtype} value`,
          {
            hint: 'export the model again',
          },
        );
      }
      output[i * bytes] = value & 255;
      if (bytes === 2) output[i * 2 + 1] = (value >> 8) & 255;
    }
  });
};

/** Entries of 6 bits packed little end first: four of them in three bytes. */
const packed6 = (entries: Int32Array): ByteSource => {
  const bytes = new Uint8Array(Math.ceil((entries.length * 6) / 8));
  entries.forEach((entry, i) => {
    const at = Math.floor((i * 6) / 8);
    const shifted = (entry & 63) << ((i * 6) % 8);
    bytes[at] = bytes[at]! | (shifted & 255);
    if (shifted > 255) bytes[at + 1] = bytes[at + 1]! | (shifted >> 8);
  });
  return new BytesSource(bytes);
};

/** The typed field of a dtype: its name, how many entries it holds and how many it must hold. */
interface TypedField {
  readonly name: string;
  readonly entries: number;
  readonly needed: number;
  readonly open: () => ByteSource;
}

const typedField = (proto: TensorProto, dtype: DType, count: number, what: string): TypedField => {
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === 'string') {
    return { name: 'string_data', entries: proto.stringData.length, needed: count, open: () => NOTHING };
  }
  const scalars = kind === 'complex' ? count * 2 : count;
  if (dtype === 'float32' || dtype === 'complex64') {
    const data = proto.floatData ?? NOTHING;
    return { name: 'float_data', entries: data.size / 4, needed: scalars, open: () => data };
  }
  if (dtype === 'float64' || dtype === 'complex128') {
    const data = proto.doubleData ?? NOTHING;
    return { name: 'double_data', entries: data.size / 8, needed: scalars, open: () => data };
  }
  if (dtype === 'int64') {
    const { int64Data } = proto;
    return {
      name: 'int64_data',
      entries: int64Data.length,
      needed: count,
      open: () => bytesOfArray(int64Data),
    };
  }
  if (dtype === 'uint64' || dtype === 'uint32') {
    const { uint64Data } = proto;
    const open = (): ByteSource => (dtype === 'uint64' ? bytesOfArray(uint64Data) : low32(uint64Data, what));
    return { name: 'uint64_data', entries: uint64Data.length, needed: count, open };
  }
  const { int32Data } = proto;
  const open = (): ByteSource =>
    dtype === 'int32'
      ? bytesOfArray(int32Data)
      : bits === 6
        ? packed6(int32Data)
        : narrowed(int32Data, bits === 16 ? 2 : 1, dtype, what);
  // 6-bit floats have an entry each in int32_data, and are packed in raw_data only.
  const needed = bits < 6 ? byteLengthOf(dtype, count) : count;
  return { name: 'int32_data', entries: int32Data.length, needed, open };
};

const low32 = (entries: BigUint64Array, what: string): ByteSource =>
  new ConvertedSource(bytesOfArray(entries), 8, 4, (input, output) => {
    for (let i = 0; i * 8 < input.length; i++) {
      if (input[i * 8 + 4] || input[i * 8 + 5] || input[i * 8 + 6] || input[i * 8 + 7]) {
        throw new OrthoError('model/invalid', `${what}: uint64_data holds a value that is not a uint32`, {
          hint: 'export the model again',
        });
      }
      output.set(input.subarray(i * 8, i * 8 + 4), i * 4);
    }
  });

/** Fields that hold something, by their names in onnx.proto. */
const filledFields = (proto: TensorProto): string[] => {
  const fields: [string, number][] = [
    ['float_data', proto.floatData?.size ?? 0],
    ['int32_data', proto.int32Data.length],
    ['string_data', proto.stringData.length],
    ['int64_data', proto.int64Data.length],
    ['double_data', proto.doubleData?.size ?? 0],
    ['uint64_data', proto.uint64Data.length],
  ];
  return fields.filter(([, size]) => size > 0).map(([name]) => name);
};

const dimsFromProto = (dims: readonly bigint[], fail: (message: string) => never): number[] =>
  dims.map((dim, i) => {
    if (dim < 0n) fail(`dims[${i}] is ${dim}`);
    if (dim > BigInt(Number.MAX_SAFE_INTEGER)) fail(`dims[${i}] is ${dim}: beyond 2^53`);
    return Number(dim);
  });

/**
 * A lazy tensor over a message.
 * @throws OrthoError model/invalid for an unknown type, impossible dims, or data of the wrong size or in the wrong field.
 */
export const tensorFromProto = (proto: TensorProto, context: TensorContext = {}): Tensor => {
  const { what = proto.name ? `tensor ${quoted(proto.name)}` : 'the tensor', external } = context;
  const fail = (message: string): never => {
    throw new OrthoError('model/invalid', `${what}: ${message}`, {
      hint: 'export the model again',
      ...(proto.name && { at: { value: proto.name } }),
    });
  };
  const dtype = dtypeFromOnnx(proto.dataType ?? 0) ?? fail(`unknown data_type ${proto.dataType ?? 0}`);
  if (proto.segment) fail('uses segment, which no tool implements');
  const dims = dimsFromProto(proto.dims, fail);
  const count = elementCount(dims);
  const bytes = byteLengthOf(dtype, count);
  const { text } = dtypeInfo(dtype);
  const shape = dims.length === 0 ? 'scalar' : dims.join('x');
  const filled = filledFields(proto);

  if (proto.dataLocation === DATA_LOCATION.external) {
    if (proto.rawData?.size || filled.length > 0) fail(`is external and has ${filled[0] ?? 'raw_data'}`);
    if (dtype === 'string') fail('strings cannot be external');
    if (external === undefined) fail('has external data, which a tensor on its own cannot reach');
    return new StoredTensor(proto, dtype, dims, () => (external as ExternalReader).open(proto, bytes, what));
  }
  if (proto.rawData !== undefined && (proto.rawData.size > 0 || filled.length === 0)) {
    const { rawData } = proto;
    if (dtype === 'string') fail('strings cannot be in raw_data');
    if (filled.length > 0) fail(`has both raw_data and ${filled[0]}`);
    if (rawData.size !== bytes) fail(`${text} ${shape} needs ${bytes} bytes, raw_data has ${rawData.size}`);
    return new StoredTensor(proto, dtype, dims, () => rawData);
  }
  const field = typedField(proto, dtype, count, what);
  const wrong = filled.find((name) => name !== field.name);
  if (wrong) fail(`is ${text} but holds ${wrong}`);
  if (field.entries === 0 && field.needed > 0) {
    fail(`${text} ${shape} needs ${bytes === 0 ? `${count} strings` : `${bytes} bytes`}, there is no data`);
  }
  if (field.entries !== field.needed) fail(`${count} elements, ${field.name} has ${field.entries}`);
  return new StoredTensor(proto, dtype, dims, field.open);
};

const sparseOrigins = new WeakMap<SparseTensor, SparseTensorProto>();

/** The message a sparse tensor was read from; undefined for one that was made. */
export const protoOfSparse = (sparse: SparseTensor): SparseTensorProto | undefined =>
  sparseOrigins.get(sparse);

/** A sparse tensor over a message. @throws OrthoError model/invalid as tensorFromProto does. */
export const sparseFromProto = (proto: SparseTensorProto, context: TensorContext = {}): SparseTensor => {
  const { what = 'the sparse tensor' } = context;
  const fail = (message: string): never => {
    throw new OrthoError('model/invalid', `${what}: ${message}`, { hint: 'export the model again' });
  };
  const values = proto.values ?? fail('has no values');
  const indices = proto.indices ?? fail('has no indices');
  const dims = dimsFromProto(proto.dims, fail);
  elementCount(dims);
  const sparse: SparseTensor = {
    dims,
    values: tensorFromProto(values, { ...context, what: `values of ${what}` }),
    indices: tensorFromProto(indices, { ...context, what: `indices of ${what}` }),
  };
  sparseOrigins.set(sparse, proto);
  return sparse;
};
