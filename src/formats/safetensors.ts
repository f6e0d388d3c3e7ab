/**
 * safetensors: an 8-byte little-endian header length, a JSON header (name -> dtype, shape, byte range), then the data.
 * https://github.com/huggingface/safetensors#format. As the reference reader does, the ranges must cover the data
 * without hole or overlap.
 */
import { byteLengthOf, type DType, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, chunksOf, type FileSource, SliceSource } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import { dtypeFromSafetensors, SAFETENSORS_TYPES, safetensorsType } from './safetensors-dtype.ts';
import { headerEntries } from './safetensors-header.ts';
import type { Json, StateDict, WeightFile, WeightTensor } from './state-dict.ts';
import { jsonText } from './strict-json.ts';

/** 25 MB hold the names of 150,000 tensors. */
const MAX_HEADER = 25_000_000;
/** Tensors of one file, and letters of their names. */
const MAX_TENSORS = 150_000;
const MAX_NAME = 4096;
/** Dimensions of one tensor, as in checkpoints. */
const MAX_RANK = 64;

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
  const dtype = typeof type === 'string' ? dtypeFromSafetensors(type) : undefined;
  if (dtype === undefined) {
    throw new OrthoError('dtype/unsupported', `${label}: "${name}" has type ${JSON.stringify(type)}`, {
      hint: `known are ${SAFETENSORS_TYPES.join(', ')}`,
      at: { file: label, key: name },
    });
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) throw fail(`the shape of "${name}" is malformed`);
  if (shape.length > MAX_RANK) throw fail(`"${name}" has ${shape.length} dimensions (at most ${MAX_RANK})`);
  if (!Array.isArray(range) || range.length !== 2 || !range.every(isSize)) {
    throw fail(`the byte range of "${name}" is malformed`);
  }
  const [from, to] = range as [number, number];
  const dims = shape as number[];
  const count = dims.includes(0) ? 0 : dims.reduce((product, dim) => product * dim, 1);
  const expected = byteLengthOf(dtype, count);
  if ((count * dtypeInfo(dtype).bits) % 8 !== 0) {
    throw fail(`"${name}": ${type} [${dims.join(', ')}] does not end on a byte boundary`);
  }
  if (!Number.isSafeInteger(expected) || to - from !== expected) {
    throw fail(`"${name}": ${type} [${dims.join(', ')}] needs ${expected} bytes, its range has ${to - from}`);
  }
  return { name, dtype, dims, from, to };
};

const readMetadata = (value: unknown, metadata: Map<string, Json>, fail: Fail): void => {
  if (!isRecord(value)) throw fail('__metadata__ is no object');
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw fail(`the entry "${key}" of __metadata__ is no string`);
    metadata.set(key, text);
  }
};

const parseHeader = (source: ByteSource, label: string, fail: Fail): { header: Header; start: number } => {
  if (source.size < 10) throw fail(`${source.size} bytes are too few`);
  const prefix = source.read(0, 8);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true));
  if (length > source.size - 8) throw fail(`the header needs ${length} bytes, ${source.size - 8} are left`);
  if (length > MAX_HEADER) {
    throw new OrthoError('file/limit', `${label}: a header of ${length} bytes (at most ${MAX_HEADER})`);
  }
  const bytes = source.read(8, length);
  const invalid: Fail = (message, cause) => fail(`the header is not sound: ${message}`, cause);
  const tensors: Header['tensors'] = [];
  const metadata = new Map<string, Json>();
  for (const [name, value] of headerEntries(jsonText(bytes, invalid), invalid)) {
    if (name.length > MAX_NAME) throw fail(`a name of ${name.length} letters (at most ${MAX_NAME})`);
    if (tensors.length === MAX_TENSORS) {
      throw new OrthoError('file/limit', `${label}: more than ${MAX_TENSORS} tensors`, {
        hint: 'no model has as many in one file; the file is hostile',
      });
    }
    if (name !== '__metadata__') tensors.push(tensorEntry(name, value, label, fail));
    else if (value !== null) readMetadata(value, metadata, fail);
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

/** UTF-8 byte order: that of the code points, which UTF-16 order is not beyond U+FFFF. */
const compareNames = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  if (at === length) return a.length - b.length;
  const isSurrogate = (code: number): boolean => code >= 0xd800 && code < 0xe000;
  const x = a.charCodeAt(at);
  const y = b.charCodeAt(at);
  if (isSurrogate(x) === isSurrogate(y)) return x - y;
  return isSurrogate(x) ? 1 : -1;
};

/** The type of a tensor. @throws OrthoError dtype/unsupported */
const typeFor = (name: string, { dtype, dims, data }: Tensor): { name: string; rank: number } => {
  const type = safetensorsType(dtype);
  if (type === undefined) {
    throw new OrthoError('dtype/unsupported', `safetensors has no type for ${dtype} ("${name}")`, {
      hint: 'drop the tensor or cast it in Python',
      at: { key: name },
    });
  }
  const count = elementCount(dims);
  if (data.size !== byteLengthOf(dtype, count))
    throw new OrthoError('internal/bug', `"${name}" has ${data.size} bytes`);
  if ((count * dtypeInfo(dtype).bits) % 8 !== 0) {
    throw new OrthoError(
      'dtype/unsupported',
      `"${name}": ${dtype} [${dims.join(', ')}] does not end on a byte boundary, as safetensors needs`,
      { hint: 'pad the tensor', at: { key: name } },
    );
  }
  return type;
};

/** The length, the JSON table and its padding to a multiple of 8, for tensors in this order. */
const headerOf = (
  tensors: readonly { readonly name: string; readonly tensor: Tensor; readonly type: string }[],
  metadata: ReadonlyMap<string, string>,
): Uint8Array => {
  const members: string[] = [];
  const member = (key: string, value: unknown): void => {
    members.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
  };
  if (metadata.size > 0) {
    member('__metadata__', Object.fromEntries([...metadata].sort(([a], [b]) => compareNames(a, b))));
  }
  let at = 0;
  for (const { name, tensor, type } of tensors) {
    if (name === '__metadata__') {
      throw new OrthoError(
        'weights/key-collision',
        'a tensor called "__metadata__" cannot be written as safetensors',
        { hint: 'rename it' },
      );
    }
    member(name, { dtype: type, shape: tensor.dims, data_offsets: [at, at + tensor.data.size] });
    at += tensor.data.size;
  }
  const json = Buffer.from(`{${members.join(',')}}`, 'utf8');
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return header;
};

/**
 * The bytes of a safetensors file chunk by chunk, the same that the reference writer gives: tensors by type, the widest
 * first, then by name; the header padded with spaces to a multiple of 8; metadata sorted by key. Each chunk is only
 * valid until the next is asked for. Aliases are written once each, for the format has none.
 * @throws OrthoError dtype/unsupported (complex128, 2- and 4-bit integers, strings, packed tensors that end inside a
 *   byte), weights/key-collision for a tensor called `__metadata__`
 */
export function* safetensorsChunks(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Generator<Uint8Array> {
  const ordered = [...tensors]
    .map(([name, tensor]) => {
      const { name: type, rank } = typeFor(name, tensor);
      return { name, tensor, type, rank };
    })
    .sort((a, b) => b.rank - a.rank || compareNames(a.name, b.name));
  yield headerOf(ordered, metadata);
  for (const { tensor } of ordered) yield* chunksOf(tensor.data);
}
