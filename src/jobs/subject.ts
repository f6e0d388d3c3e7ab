/** The subject of a report: which file, how large, and its sha256 where that is cheap or asked for. */
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import type { Subject } from '../core/report.ts';
import { type ByteSource, FileSource } from '../core/source.ts';

/** Files above this size are hashed only when asked. */
export const HASH_LIMIT = 64 * 1024 * 1024;

/** One buffer for all pieces: large files must not churn memory. */
const CHUNK = 1 << 20;

/** Hex sha256 of a source, read in pieces; `onPart` learns the part that is done, 0 to 1. */
export const sha256Of = (source: ByteSource, onPart?: (part: number) => void): string => {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(Math.min(CHUNK, source.size));
  for (let at = 0; at < source.size; at += CHUNK) {
    const chunk = buffer.subarray(0, Math.min(CHUNK, source.size - at));
    source.readInto(chunk, at);
    hash.update(chunk);
    onPart?.((at + chunk.length) / source.size);
  }
  return hash.digest('hex');
};

const folderBytes = (folder: string): number => {
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    // Links count as what they lead to; those that lead nowhere are nothing.
    const stat = statSync(join(folder, name), { throwIfNoEntry: false });
    if (stat?.isFile()) bytes += stat.size;
  }
  return bytes;
};

/** Whether there is a folder at this path. */
export const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // opening it says why
  }
};

/**
 * The subject for a path. A folder has the bytes of the files directly in it and no hash.
 * @throws OrthoError file/not-found
 */
export const subjectOf = (path: string, { hash = false }: { readonly hash?: boolean } = {}): Subject => {
  if (isFolder(path)) {
    return { file: path, sha256: null, bytes: folderBytes(path) };
  }
  const source = new FileSource(path);
  try {
    const isHashed = hash || source.size <= HASH_LIMIT;
    return { file: path, sha256: isHashed ? sha256Of(source) : null, bytes: source.size };
  } catch (error) {
    if (error instanceof OrthoError || (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new OrthoError('file/not-found', `${path}: ${(error as Error).message}`, {
      at: { file: path },
      cause: error,
    });
  } finally {
    source.close();
  }
};
