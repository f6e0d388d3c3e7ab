/**
 * safetensors: an 8-byte little-endian header length, a JSON header (name -> dtype, shape, byte range), then the data.
 * https://github.com/huggingface/safetensors#format. As the reference reader does, the ranges must cover the data
 * without hole or overlap.
 */
import { byteLengthOf, type DType, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, chunksOf, type FileSource, SliceSource } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import type { Json, StateDict, WeightFile, WeightTensor } from './state-dict.ts';

/** 25 MB hold the names of a quarter of a million tensors. */
const MAX_HEADER = 25_000_000;

const TYPES: readonly [string, DType][] = [
  ['F64', 'float64'],
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['I16', 'int16'],
  ['I8', 'int8'],
  ['U64', 'uint64'],
  ['U32', 'uint32'],
  ['U16', 'uint16'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
  ['C64', 'complex64'],
  ['F8_E4M3', 'float8e4m3fn'],
  ['F8_E4M3FNUZ', 'float8e4m3fnuz'],
  ['F8_E5M2', 'float8e5m2'],
  ['F8_E5M2FNUZ', 'float8e5m2fnuz'],
  ['F8_E8M0', 'float8e8m0'],
];
const TO_DTYPE = new Map(TYPES);
const FROM_DTYPE = new Map(TYPES.map(([name, dtype]) => [dtype, name]));

interface Header {
  readonly tensors: { name: string; dtype: DType; dims: number[]; from: number; to: number }[];
  readonly metadata: Map<string, Json>;
}

type Fail = (message: string, cause?: unknown) => OrthoError;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSize = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const tensorEntry = (name: string, value: unknown, label: string, fail: Fail): Header['tensors'][number] => {
  if (!isRecord(value)) throw fail(`the entry of "${name}" is no object`);
  const { dtype: type, shape, data_offsets: range } = value;
  const dtype = typeof type === 'string' ? TO_DTYPE.get(type) : undefined;
  if (dtype === undefined) {
    throw new OrthoError('dtype/unsupported', `${label}: "${name}" has type ${JSON.stringify(type)}`, {
      hint: `known are ${[...TO_DTYPE.keys()].join(', ')}`,
      at: { file: label, key: name },
    });
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) throw fail(`the shape of "${name}" is malformed`);
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isSize)) {
    throw fail(`the byte range of "${name}" is malformed`);
  }
  const [from, to] = range as [number, number];
  const dims = shape as number[];
  const count = dims.includes(0) ? 0 : dims.reduce((product, dim) => product * dim, 1);
  const expected = byteLengthOf(dtype, count);
  if (!Number.isSafeInteger(expected) || to - from !== expected) {
    throw fail(`"${name}": ${type} [${dims.join(', ')}] needs ${expected} bytes, its range has ${to - from}`);
  }
  return { name, dtype, dims, from, to };
};

const parseHeader = (source: ByteSource, label: string, fail: Fail): { header: Header; start: number } => {
  if (source.size < 10) throw fail(`${source.size} bytes are too few`);
  const prefix = source.read(0, 8);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true));
  if (length > source.size - 8) throw fail(`the header needs ${length} bytes, ${source.size - 8} are left`);
  if (length > MAX_HEADER) {
    throw new OrthoError('file/limit', `${label}: a header of ${length} bytes (at most ${MAX_HEADER})`);
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(source.read(8, length)));
  } catch (cause) {
    throw fail('the header is no UTF-8 JSON', cause);
  }
  if (!isRecord(json)) throw fail('the header is no JSON object');
  const tensors: Header['tensors'] = [];
  const metadata = new Map<string, Json>();
  for (const [name, value] of Object.entries(json)) {
    if (name !== '__metadata__') tensors.push(tensorEntry(name, value, label, fail));
    else if (!isRecord(value)) throw fail('__metadata__ is no object');
    else for (const [key, text] of Object.entries(value)) metadata.set(key, String(text));
  }
  return { header: { tensors, metadata }, start: 8 + length };
};

/** Ranges in order, from 0 to the end, without hole or overlap. */
const checkCover = (tensors: Header['tensors'], bytes: number, fail: Fail): void => {
  tensors.sort((a, b) => a.from - b.from || a.to - b.to);
  let at = 0;
  for (const { name, from, to } of tensors) {
    if (from !== at)
      throw fail(`"${name}" begins at byte ${from} of the data, ${at} expected (a hole or an overlap)`);
    at = to;
  }
  if (at !== bytes) {
    throw fail(
      at > bytes ? `the data needs ${at} bytes, ${bytes} follow` : `${bytes - at} bytes belong to no tensor`,
    );
  }
};

/**
 * The tensors of a safetensors file in data order, and its metadata.
 * @throws OrthoError safetensors/invalid, dtype/unsupported, file/limit
 */
export const readSafetensors = (
  source: ByteSource,
  label: string = source.path ?? 'safetensors',
): { tensors: Map<string, WeightTensor>; metadata: Map<string, Json> } => {
  const fail: Fail = (message, cause) =>
    new OrthoError('safetensors/invalid', `${label}: ${message}`, {
      hint: 'the file is cut off or damaged; copy it again',
      ...(source.path === undefined ? {} : { at: { file: source.path } }),
      ...(cause === undefined ? {} : { cause }),
    });
  const { header, start } = parseHeader(source, label, fail);
  checkCover(header.tensors, source.size - start, fail);
  const tensors = new Map<string, WeightTensor>();
  for (const { name, dtype, dims, from, to } of header.tensors) {
    tensors.set(name, { dtype, dims, data: new SliceSource(source, start + from, to - from) });
  }
  return { tensors, metadata: header.metadata };
};

/** A safetensors file as a weight file: one state dict at the top level. */
export const openSafetensors = (source: FileSource): WeightFile => {
  const { tensors, metadata } = readSafetensors(source);
  const stateDicts: StateDict[] = tensors.size === 0 ? [] : [{ path: '', tensors }];
  return {
    format: 'safetensors',
    stateDicts,
    globals: [],
    metadata,
    findings: [],
    close: () => source.close(),
  };
};

/**
 * The bytes of a safetensors file chunk by chunk: larger elements first, then by name, as the reference writer orders
 * them; the header padded with spaces to a multiple of 8. Each chunk is only valid until the next is asked for.
 * Aliases are written once each, for the format has none.
 * @throws OrthoError dtype/unsupported (complex128, 4-bit types, strings)
 */
export function* safetensorsChunks(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Generator<Uint8Array> {
  const ordered = [...tensors].sort(
    ([nameA, a], [nameB, b]) =>
      dtypeInfo(b.dtype).bits - dtypeInfo(a.dtype).bits || (nameA < nameB ? -1 : nameA > nameB ? 1 : 0),
  );
  const header: Record<string, unknown> = Object.create(null);
  if (metadata.size > 0) header.__metadata__ = { ...Object.fromEntries(metadata) };
  let at = 0;
  for (const [name, { dtype, dims, data }] of ordered) {
    const type = FROM_DTYPE.get(dtype);
    if (type === undefined) {
      throw new OrthoError('dtype/unsupported', `safetensors has no type for ${dtype} ("${name}")`, {
        hint: 'drop the tensor or cast it in Python',
        at: { key: name },
      });
    }
    if (name === '__metadata__') {
      throw new OrthoError(
        'weights/key-collision',
        'a tensor called "__metadata__" cannot be written as safetensors',
        {
          hint: 'rename it',
        },
      );
    }
    if (data.size !== byteLengthOf(dtype, elementCount(dims))) {
      throw new OrthoError('internal/bug', `"${name}" has ${data.size} bytes`);
    }
    header[name] = { dtype: type, shape: dims, data_offsets: [at, at + data.size] };
    at += data.size;
  }
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(padded);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));
  yield Buffer.concat([prefix, padded]);
  for (const [, tensor] of ordered) yield* chunksOf(tensor.data);
}
