/**
 * Byte sources: a length and positioned reads. Large weights stay where they are (in a file, in a buffer)
 * until somebody asks for a range; nothing here keeps a copy.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { OrthoError } from './errors.ts';

export interface ByteSource {
  /** Bytes in the source. */
  readonly size: number;
  /** The path that error messages name, if the bytes come from a file. */
  readonly path: string | undefined;
  /**
   * `length` bytes from `offset`. The result may be a view: callers must not write to it.
   * @throws OrthoError file/truncated when the range does not lie inside the source.
   */
  read(offset: number, length: number): Uint8Array;
  /** Copies `target.length` bytes from `offset` into `target`; throws as `read` does. */
  readInto(target: Uint8Array, offset: number): void;
}

/** @throws OrthoError file/truncated when the range does not lie inside the source. */
export const checkRange = (source: ByteSource, offset: number, length: number): void => {
  if (!(offset >= 0 && length >= 0 && offset + length <= source.size)) {
    const where = source.path === undefined ? '' : `${source.path}: `;
    throw new OrthoError(
      'file/truncated',
      `${where}${length} bytes wanted from byte ${offset}, the data ends at ${source.size}`,
    );
  }
};

/** A source over bytes in memory; reads are views. */
export class BytesSource implements ByteSource {
  readonly path: string | undefined;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, path?: string) {
    this.#bytes = bytes;
    this.path = path;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#bytes.subarray(offset, offset + length);
  }

  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}

/** A source over an open file; every read is a positioned read of fresh bytes. Close it when done. */
export class FileSource implements ByteSource {
  readonly path: string;
  readonly size: number;
  #fd: number;

  /** @throws OrthoError file/not-found when the path is missing, unreadable or not a regular file. */
  constructor(path: string) {
    this.path = path;
    try {
      // Opening a named pipe would wait for a writer; it is refused below. Windows has no such flag.
      this.#fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      const why = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : String(code);
      throw new OrthoError('file/not-found', `${path}: ${why}`, {
        at: { file: path },
        hint: 'check the spelling and the permissions of the path',
        cause,
      });
    }
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) {
      closeSync(this.#fd);
      this.#fd = -1;
      throw new OrthoError(
        'file/not-found',
        `${path}: ${stat.isDirectory() ? 'a folder' : 'not a regular file'}`,
        {
          at: { file: path },
          hint: stat.isDirectory() ? 'give a file in it' : 'copy it to a file first',
        },
      );
    }
    this.size = stat.size;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    // Not zeroed first: every byte is read, or the read throws.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    this.readInto(bytes, offset);
    return bytes;
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    let done = 0;
    while (done < target.length) {
      const got = readSync(this.#fd, target, done, target.length - done, offset + done);
      if (got === 0) {
        throw new OrthoError('file/truncated', `${this.path}: the file shrank while it was read`, {
          at: { file: this.path },
        });
      }
      done += got;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** A window of another source: `length` bytes from `offset`. */
export class SliceSource implements ByteSource {
  readonly size: number;
  readonly #base: ByteSource;
  readonly #offset: number;

  constructor(base: ByteSource, offset: number, length: number) {
    checkRange(base, offset, length);
    this.#base = base;
    this.#offset = offset;
    this.size = length;
  }

  get path(): string | undefined {
    return this.#base.path;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#base.read(this.#offset + offset, length);
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    this.#base.readInto(target, this.#offset + offset);
  }
}

/** Walks a source in chunks of at most `chunk` bytes (a view that is only valid until the next step). */
export function* chunksOf(source: ByteSource, chunk = 1 << 20): Generator<Uint8Array> {
  for (let at = 0; at < source.size; at += chunk) yield source.read(at, Math.min(chunk, source.size - at));
}
