/** Writes test files to folders that are removed after the tests of the file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { checkpointBytes } from '../fuzz/builders.ts';

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

/** A zip checkpoint of this object with these storages, as a file; gives its path. */
export const checkpointFile = (
  object: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
): string => fileWith(checkpointBytes(object, storages));

export {
  call,
  dict,
  floats,
  global,
  int,
  ops,
  pickled,
  storage,
  str,
  tensor,
  tuple,
  uint32,
  zipped,
} from '../fuzz/builders.ts';
