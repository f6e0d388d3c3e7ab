/**
 * Elements of stored tensors as binary64 numbers, many at a time into one buffer: no element is boxed, and whoever
 * loops over the buffer has one kind of array to deal with. Exact for all types but 64-bit integers beyond 2^53.
 */
import { byteLengthOf, type DType, dtypeInfo } from './dtype.ts';
import { OrthoError } from './errors.ts';
import { bfloat16ToNumber, float16ToNumber } from './half.ts';
import { smallFloatValues } from './small-float.ts';
import type { ByteSource } from './source.ts';

/** Elements that are read at once: a multiple of 8, so that sub-byte types end on a byte; they stay in the cache. */
const BATCH = 1 << 14;

/** Fills `values` from packed little-endian bytes that are aligned to 8 bytes. A complex number is two values. */
export type Decoder = (bytes: Uint8Array, values: Float64Array) => void;

type Plain =
  | Float64ArrayConstructor
  | Float32ArrayConstructor
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor;

const VIEWS: Partial<Record<DType, Plain>> = {
  float64: Float64Array,
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  complex64: Float32Array,
  complex128: Float64Array,
};

/** The conversion is the typed array's own. */
const plain =
  (view: Plain): Decoder =>
  (bytes, values) =>
    values.set(new view(bytes.buffer as ArrayBuffer, bytes.byteOffset, values.length));

const halves = (decode: (bits: number) => number): Decoder => {
  const table = Float64Array.from({ length: 1 << 16 }, (_, bits) => decode(bits));
  return (bytes, values) => {
    const stored = new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
    for (let i = 0; i < values.length; i++) values[i] = table[stored[i]!]!;
  };
};

/** 64-bit integers as two words. */
const wide = (Upper: Int32ArrayConstructor | Uint32ArrayConstructor): Decoder => {
  return (bytes, values) => {
    const lower = new Uint32Array(bytes.buffer, bytes.byteOffset, values.length * 2);
    const upper = new Upper(bytes.buffer as ArrayBuffer, bytes.byteOffset, values.length * 2);
    for (let i = 0; i < values.length; i++) values[i] = upper[2 * i + 1]! * 2 ** 32 + lower[2 * i]!;
  };
};

/** Fields of `bits` bits, packed from the lowest bit of the first byte on. */
const packed = (bits: number, table: Float64Array): Decoder => {
  const mask = (1 << bits) - 1;
  return (bytes, values) => {
    for (let i = 0, at = 0; i < values.length; i++, at += bits) {
      const byte = at >> 3;
      const pair = bytes[byte]! | ((bytes[byte + 1] ?? 0) << 8);
      values[i] = table[(pair >> (at & 7)) & mask]!;
    }
  };
};

const integerValues = (bits: number, isSigned: boolean): Float64Array =>
  Float64Array.from({ length: 1 << bits }, (_, pattern) =>
    isSigned && pattern >= 1 << (bits - 1) ? pattern - (1 << bits) : pattern,
  );

const makeDecoder = (dtype: DType): Decoder | undefined => {
  const view = VIEWS[dtype];
  if (view !== undefined) return plain(view);
  if (dtype === 'float16') return halves(float16ToNumber);
  if (dtype === 'bfloat16') return halves(bfloat16ToNumber);
  if (dtype === 'int64') return wide(Int32Array);
  if (dtype === 'uint64') return wide(Uint32Array);
  const { bits, kind } = dtypeInfo(dtype);
  if (kind === 'string') return undefined;
  return packed(bits, smallFloatValues(dtype) ?? integerValues(bits, kind === 'int'));
};

const decoders = new Map<DType, Decoder>();

/** How elements of a type are read. @throws OrthoError dtype/unsupported for strings */
export const decoderOf = (dtype: DType): Decoder => {
  const known = decoders.get(dtype);
  if (known !== undefined) return known;
  const decoder = makeDecoder(dtype);
  if (decoder === undefined) {
    throw new OrthoError('dtype/unsupported', `elements of type ${dtype} are no numbers`);
  }
  decoders.set(dtype, decoder);
  return decoder;
};

/** How many elements a source of packed bytes holds; for sub-byte types the last byte may hold fewer. */
export const elementsIn = (dtype: DType, data: ByteSource): number =>
  Math.floor((data.size * 8) / Math.max(1, dtypeInfo(dtype).bits));

/** One buffer each way for everybody: nothing that reads elements is interrupted by something else that does. */
let stored: Uint8Array | undefined;
let decoded: Float64Array | undefined;

/**
 * The first `count` elements, in batches of at most 16,384 (a view that is only valid until the next step, and may be
 * written to). A complex number is two elements of a batch, and counts as one.
 * @throws OrthoError dtype/unsupported for strings, and what the source throws
 */
export function* elementBatches(
  dtype: DType,
  data: ByteSource,
  count: number = elementsIn(dtype, data),
): Generator<Float64Array> {
  const decode = decoderOf(dtype);
  const parts = dtypeInfo(dtype).kind === 'complex' ? 2 : 1;
  stored ??= new Uint8Array(BATCH * 16);
  decoded ??= new Float64Array(BATCH * 2);
  for (let done = 0; done < count; done += BATCH) {
    const length = Math.min(BATCH, count - done);
    const bytes = stored.subarray(0, byteLengthOf(dtype, length));
    data.readInto(bytes, byteLengthOf(dtype, done));
    const values = decoded.subarray(0, length * parts);
    decode(bytes, values);
    yield values;
  }
}
