/** Makes PyTorch files, right and wrong ones, from pickle opcodes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { zipChunks } from '../../src/formats/zip-writer.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder, removed after the tests of the file. */
export const tempFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'ortho-test-'));
  folders.push(folder);
  return folder;
};

let count = 0;
/** Writes bytes to a fresh file and gives its path. */
export const fileWith = (bytes: Uint8Array | string, name = `file-${count++}.bin`): string => {
  const path = join(tempFolder(), name);
  writeFileSync(path, bytes);
  return path;
};

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

/** A zip checkpoint of this object with these storages, as a file; gives its path. */
export const checkpointFile = (
  object: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
): string => {
  const records = Object.entries(storages).map(([key, bytes]) => [`archive/data/${key}`, bytes]);
  return fileWith(zipped({ 'archive/data.pkl': pickled(object), ...Object.fromEntries(records) }));
};
