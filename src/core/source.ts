/**
 * Byte sources: a length and positioned reads. Large weights stay where they are (in a file, in a buffer)
 * until somebody asks for a range; nothing here keeps a copy.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { OrthoError } from './errors.ts';

export interface ByteSource {
  /** Bytes in the source. */
  readonly size: number;
  /** The path that error messages name, if the bytes come from a file. */
  readonly path: string | undefined;
  /** All paths, where the bytes come from several files. */
  readonly paths?: readonly string[];
  /**
   * `length` bytes from `offset`. The result may be a view: callers must not write to it.
   * @throws OrthoError file/truncated when the range does not lie inside the source.
   */
  read(offset: number, length: number): Uint8Array;
  /** Copies `target.length` bytes from `offset` into `target`; throws as `read` does. */
  readInto(target: Uint8Array, offset: number): void;
}

/** The files that the bytes of a source come from. */
export const filesOf = ({ path, paths }: ByteSource): readonly string[] =>
  paths ?? (path === undefined ? [] : [path]);

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

/**
 * Keeps at most `limit` of its files open, the ones that were read last; the others are opened again when they are
 * read. For sets of files that may be larger than the number of descriptors a process may have.
 */
export class FilePool {
  readonly #limit: number;
  readonly #open = new Set<FileSource>();

  constructor(limit = 64) {
    this.#limit = limit;
  }

  /** How many files are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Called by a file that is open and about to be read. */
  touch(file: FileSource): void {
    this.#open.delete(file);
    this.#open.add(file);
    if (this.#open.size <= this.#limit) return;
    const [oldest] = this.#open;
    oldest?.park();
  }

  /** Called by a file that was closed. */
  forget(file: FileSource): void {
    this.#open.delete(file);
  }
}

/**
 * A source over an open file; every read is a positioned read of fresh bytes. Close it when done. With a pool it may
 * be closed between reads; a file that was replaced meanwhile is refused.
 */
export class FileSource implements ByteSource {
  readonly path: string;
  readonly size: number;
  readonly #pool: FilePool | undefined;
  readonly #identity: string;
  #fd = -1;
  #isClosed = false;

  /** @throws OrthoError file/not-found when the path is missing, unreadable or not a regular file. */
  constructor(path: string, pool?: FilePool) {
    this.path = path;
    this.#pool = pool;
    const stat = this.#open();
    this.size = stat.size;
    this.#identity = identityOf(stat);
    pool?.touch(this);
  }

  #open(): Stats {
    const { path } = this;
    let fd: number;
    try {
      // Opening a named pipe would wait for a writer; it is refused below. Windows has no such flag.
      fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      const why = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : String(code);
      throw new OrthoError('file/not-found', `${path}: ${why}`, {
        at: { file: path },
        hint: 'check the spelling and the permissions of the path',
        cause,
      });
    }
    const stat = fstatSync(fd);
    if (!stat.isFile()) {
      closeSync(fd);
      throw new OrthoError(
        'file/not-found',
        `${path}: ${stat.isDirectory() ? 'a folder' : 'not a regular file'}`,
        {
          at: { file: path },
          hint: stat.isDirectory() ? 'give a file in it' : 'copy it to a file first',
        },
      );
    }
    this.#fd = fd;
    return stat;
  }

  /** Sees to it that the file is open, where a pool may have closed it. */
  #wake(): void {
    if (this.#pool === undefined || this.#isClosed) return;
    if (this.#fd < 0 && identityOf(this.#open()) !== this.#identity) {
      this.close();
      throw new OrthoError('file/truncated', `${this.path}: the file changed while it was read`, {
        at: { file: this.path },
      });
    }
    this.#pool.touch(this);
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
    this.#wake();
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

  /** Closes the file until it is read again; for its pool. */
  park(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#pool?.forget(this);
  }

  close(): void {
    this.park();
    this.#isClosed = true;
  }
}

const identityOf = ({ dev, ino, size, mtimeMs }: Stats): string => [dev, ino, size, mtimeMs].join(':');

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

  get paths(): readonly string[] {
    return filesOf(this.#base);
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

/** Small enough that what is read is still in the processor's cache when it is looked at. */
const CHUNK = 1 << 18;

/** Walks a source in chunks of at most `chunk` bytes (a view that is only valid until the next step). */
export function* chunksOf(source: ByteSource, chunk = CHUNK): Generator<Uint8Array> {
  // Views of memory cost nothing; everything else is read into one buffer, so that no garbage piles up.
  const buffer =
    source instanceof BytesSource || source.size === 0
      ? undefined
      : new Uint8Array(Buffer.allocUnsafeSlow(Math.min(chunk, source.size)).buffer);
  for (let at = 0; at < source.size; at += chunk) {
    const length = Math.min(chunk, source.size - at);
    if (buffer === undefined) {
      yield source.read(at, length);
      continue;
    }
    const bytes = buffer.subarray(0, length);
    source.readInto(bytes, at);
    yield bytes;
  }
}
