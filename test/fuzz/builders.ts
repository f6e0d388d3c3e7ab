/** Makes PyTorch files, right and wrong ones, as bytes: pickles from their opcodes, zip archives from their fields. */
import { deflateRawSync } from 'node:zlib';
import { crc32 } from '../../src/core/crc32.ts';
import { zipChunks } from '../../src/formats/zip-writer.ts';

/** Bytes from opcodes (Latin-1 text) and numbers. */
export const ops = (...parts: (string | number | Uint8Array)[]): Buffer =>
  Buffer.concat(
    parts.map((part) =>
      typeof part === 'string'
        ? Buffer.from(part, 'latin1')
        : typeof part === 'number'
          ? Buffer.from([part])
          : part,
    ),
  );

export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** BINUNICODE. */
export const str = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'utf8');
  return ops('X', uint32(bytes.length), bytes);
};
/** BININT. */
export const int = (value: number): Buffer => ops('J', uint32(value >>> 0));
export const tuple = (...items: Uint8Array[]): Buffer => ops('(', ...items, 't');
export const global = (name: string): Buffer => {
  const at = name.lastIndexOf('.');
  return ops(`c${name.slice(0, at)}\n${name.slice(at + 1)}\n`);
};
export const call = (name: string, ...args: Uint8Array[]): Buffer => ops(global(name), tuple(...args), 'R');
/** A dict with string keys. */
export const dict = (entries: Record<string, Uint8Array>): Buffer =>
  ops('}(', ...Object.entries(entries).flatMap(([key, value]) => [str(key), value]), 'u');

export const storage = (key: string, elements: number, kind = 'torch.FloatStorage'): Buffer =>
  ops(tuple(str('storage'), global(kind), str(key), str('cpu'), int(elements)), 'Q');

export const tensor = (
  data: Uint8Array,
  size: readonly number[],
  stride: readonly number[],
  offset = 0,
  ...more: Uint8Array[]
): Buffer =>
  call(
    'torch._utils._rebuild_tensor_v2',
    data,
    int(offset),
    tuple(...size.map(int)),
    tuple(...stride.map(int)),
    ops(0x89),
    call('collections.OrderedDict'),
    ...more,
  );

/** A NumPy array of float32: made, then given its state. */
export const numpyArray = (shape: readonly number[], bytes: Uint8Array): Buffer =>
  ops(
    call('numpy.core.multiarray._reconstruct'),
    tuple(
      int(1),
      tuple(...shape.map(int)),
      call('numpy.dtype', str('f4')),
      ops(0x89),
      ops('B', uint32(bytes.length), bytes),
    ),
    'b',
  );

/** LONG_BINPUT and LONG_BINGET. */
export const put = (index: number): Buffer => ops('r', uint32(index));
export const get = (index: number): Buffer => ops('j', uint32(index));

/** A protocol 2 pickle of one value. */
export const pickled = (value: Uint8Array): Buffer => ops(0x80, 2, value, '.');

export const floats = (...values: number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);

/** The bytes of a zip archive with these entries. */
export const zipped = (entries: Readonly<Record<string, Uint8Array>>): Buffer => {
  const contents = Object.entries(entries).map(([name, bytes]) => ({
    name,
    size: bytes.length,
    chunks: () => [bytes],
  }));
  return Buffer.concat([...zipChunks(contents)].map((chunk) => Buffer.from(chunk)));
};

/** The bytes of a zip checkpoint of this object with these storages. */
export const checkpointBytes = (
  object: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
): Buffer => {
  const records = Object.entries(storages).map(([key, bytes]) => [`archive/data/${key}`, bytes]);
  return zipped({ 'archive/data.pkl': pickled(object), ...Object.fromEntries(records) });
};

/** An entry of a zip archive whose fields may lie; what is left out is right. */
export interface RawEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** 0 stored, 8 deflated. */
  readonly method?: number;
  readonly flags?: number;
  /** In the directory. */
  readonly crc?: number;
  readonly size?: number;
  readonly compressedSize?: number;
  readonly offset?: number;
  /** In the local header. */
  readonly localName?: string;
  readonly localSize?: number;
}

const header = (
  signature: number,
  length: number,
  entry: RawEntry,
  data: Uint8Array,
  name: Buffer,
): Buffer => {
  const isCentral = length === 46;
  const shift = isCentral ? 2 : 0;
  const record = Buffer.alloc(length);
  record.writeUInt32LE(signature, 0);
  record.writeUInt16LE(entry.flags ?? 0, 6 + shift);
  record.writeUInt16LE(entry.method ?? 0, 8 + shift);
  record.writeUInt32LE(entry.crc ?? crc32(entry.bytes), 14 + shift);
  record.writeUInt32LE(isCentral ? (entry.compressedSize ?? data.length) : data.length, 18 + shift);
  record.writeUInt32LE((isCentral ? entry.size : entry.localSize) ?? entry.bytes.length, 22 + shift);
  record.writeUInt16LE(name.length, 26 + shift);
  return record;
};

/** A zip archive written field by field; `end` are lies of its last record. */
export const rawZip = (
  entries: readonly RawEntry[],
  end: { readonly count?: number; readonly directorySize?: number; readonly disk?: number } = {},
): Buffer => {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const data = entry.method === 8 ? deflateRawSync(entry.bytes) : Buffer.from(entry.bytes);
    const name = Buffer.from(entry.name);
    const localName = Buffer.from(entry.localName ?? entry.name);
    const local = Buffer.concat([header(0x04034b50, 30, entry, data, localName), localName, data]);
    const central = header(0x02014b50, 46, entry, data, name);
    central.writeUInt32LE(entry.offset ?? at, 42);
    directory.push(central, name);
    parts.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const last = Buffer.alloc(22);
  last.writeUInt32LE(0x06054b50, 0);
  last.writeUInt16LE(end.disk ?? 0, 4);
  last.writeUInt16LE(end.count ?? entries.length, 8);
  last.writeUInt16LE(end.count ?? entries.length, 10);
  last.writeUInt32LE(end.directorySize ?? central.length, 12);
  last.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, central, last]);
};
