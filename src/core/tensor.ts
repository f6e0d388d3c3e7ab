/**
 * A tensor: element type, dimensions and its little-endian bytes, read only when asked for.
 */
import { byteLengthOf, type DType, dtypeInfo } from './dtype.ts';
import { OrthoError } from './errors.ts';
import { bfloat16ToNumber, float16ToNumber } from './half.ts';
import { type ByteSource, BytesSource } from './source.ts';

export interface Tensor {
  readonly dtype: DType;
  /** Non-negative safe integers; [] is a scalar. */
  readonly dims: readonly number[];
  /** Little-endian, row-major, packed bytes (`byteLengthOf(dtype, elements)` of them); empty for strings. */
  readonly data: ByteSource;
  /** The elements of a string tensor, UTF-8 or not; undefined for all other dtypes. */
  readonly strings?: readonly Uint8Array[];
}

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** Number of elements of these dimensions (1 for []). @throws OrthoError model/invalid beyond 2^53. */
export const elementCount = (dims: readonly number[]): number => {
  if (dims.includes(0)) return 0;
  let count = 1;
  for (const dim of dims) count *= dim;
  if (!Number.isSafeInteger(count)) {
    throw new OrthoError('model/invalid', `the number of elements of [${dims.join(', ')}] overflows`);
  }
  return count;
};

/** A tensor over bytes in memory. The byte length must fit dtype and dims (a bug otherwise). */
export const tensorOf = (dtype: DType, dims: readonly number[], bytes: Uint8Array): Tensor => {
  const expected = byteLengthOf(dtype, elementCount(dims));
  if (bytes.length !== expected) {
    throw new OrthoError(
      'internal/bug',
      `${dtype} [${dims.join(', ')}] needs ${expected} bytes, got ${bytes.length}`,
    );
  }
  return { dtype, dims, data: new BytesSource(bytes) };
};

const bytesOf = (array: TypedArray): Uint8Array =>
  new Uint8Array(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);

/** A float32 tensor over these values (a view, not a copy, of a Float32Array). */
export const float32Tensor = (dims: readonly number[], values: Float32Array | readonly number[]): Tensor =>
  tensorOf('float32', dims, bytesOf(values instanceof Float32Array ? values : Float32Array.from(values)));

/** An int64 tensor over these values. */
export const int64Tensor = (dims: readonly number[], values: readonly (number | bigint)[]): Tensor =>
  tensorOf('int64', dims, bytesOf(BigInt64Array.from(values, (value) => BigInt(value))));

/** A tensor of any numeric dtype over a typed array that holds its storage (Uint16Array for halves). */
export const typedTensor = (dtype: DType, dims: readonly number[], array: TypedArray): Tensor =>
  tensorOf(dtype, dims, bytesOf(array));

/** The whole content as bytes (may be a view: do not write to it). */
export const tensorBytes = (tensor: Tensor): Uint8Array => tensor.data.read(0, tensor.data.size);

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
} as const;

type ArrayOf<D extends DType> = D extends keyof typeof ARRAYS ? InstanceType<(typeof ARRAYS)[D]> : Uint8Array;

/**
 * The content as the typed array of its storage: Float32Array for float32, Uint16Array for halves, BigInt64Array for
 * int64, bytes for packed and 8-bit float types. Aligned; may share memory with the source: do not write to it.
 */
export const tensorArray = <D extends DType>(tensor: Tensor & { readonly dtype: D }): ArrayOf<D> => {
  const bytes = tensorBytes(tensor);
  const make = (ARRAYS as Partial<Record<DType, (typeof ARRAYS)[keyof typeof ARRAYS]>>)[tensor.dtype];
  if (make === undefined) return bytes as ArrayOf<D>;
  const size = make.BYTES_PER_ELEMENT;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new make(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / size) as ArrayOf<D>;
};

/** The values as float32 (exact for halves; float64 and integers are rounded). @throws dtype/unsupported otherwise. */
export const toFloat32 = (tensor: Tensor): Float32Array => {
  const { dtype } = tensor;
  if (dtype === 'float32') return tensorArray(tensor as Tensor & { dtype: 'float32' });
  if (dtype === 'float16')
    return Float32Array.from(tensorArray(tensor as Tensor & { dtype: 'float16' }), float16ToNumber);
  if (dtype === 'bfloat16')
    return Float32Array.from(tensorArray(tensor as Tensor & { dtype: 'bfloat16' }), bfloat16ToNumber);
  if (dtype === 'int64' || dtype === 'uint64') {
    return Float32Array.from(tensorArray(tensor as Tensor & { dtype: 'int64' }), Number);
  }
  if (dtypeInfo(dtype).bits >= 8 && dtype in ARRAYS) {
    return Float32Array.from(tensorArray(tensor as Tensor & { dtype: 'float64' }));
  }
  throw new OrthoError('dtype/unsupported', `${dtype} values cannot be read as float32`);
};

/** The values of an integer or bool tensor as bigints. @throws dtype/unsupported for other dtypes. */
export const toBigInts = (tensor: Tensor): bigint[] => {
  const { kind, bits } = dtypeInfo(tensor.dtype);
  if ((kind !== 'int' && kind !== 'uint' && kind !== 'bool') || bits < 8) {
    throw new OrthoError('dtype/unsupported', `${tensor.dtype} values cannot be read as integers`);
  }
  return Array.from(tensorArray(tensor as Tensor & { dtype: 'int64' }), (value) => BigInt(value));
};
