/**
 * Writing outputs so that a reader sees the old file or the new one and never half of one: a temporary file beside
 * the target, fsync, rename, fsync of the folder. Of several files the last is the one that names the others: it is
 * renamed last.
 */
import { createHash, type Hash } from 'node:crypto';
import {
  closeSync,
  fchmodSync,
  fdatasync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  write,
  writeSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, FileSource } from '../core/source.ts';
import { discardTempFile, forgetTempFile, reserveTempFile, targetOf } from './temp-files.ts';

/** Small writes are gathered up to this size; sources are copied in pieces of it. */
const CHUNK = 1 << 20;
/**
 * After so many bytes the system is asked to put them on the disk while the next ones are made: large files are then
 * nearly there when the last byte is written.
 */
const SYNC_STEP = 64 << 20;

/** Where the content of an output goes, in order. */
export interface Sink {
  /** Appends bytes, or the whole of a source (copied in pieces). The bytes may be reused once this returns. */
  write(chunk: Uint8Array | ByteSource): void;
  /** As `write`, but the system writes while the caller makes what comes next. Wait for it before the next call. */
  push(chunk: Uint8Array): Promise<void>;
  /** Bytes written so far. */
  readonly bytes: number;
}

export interface OutputOptions {
  /** Replace the target if it exists. */
  readonly force?: boolean;
  /** Also give the sha256 of what was written. */
  readonly hash?: boolean;
  /** The target is itself a temporary file (of `reserveTempFile`): it is written as it is, and not forced to the disk. */
  readonly isTemporary?: boolean;
}

export interface OutputFile {
  readonly path: string;
  write(sink: Sink): void | Promise<void>;
}

/** What was written; `sha256` is null unless asked for. */
export interface WrittenFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string | null;
}

const REASONS = new Map([
  ['ENOSPC', 'no space left on the device'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EFBIG', 'the file is larger than the file system allows'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EROFS', 'the file system is read-only'],
  ['ENOENT', 'its folder does not exist'],
  ['ENOTDIR', 'a part of its path is not a folder'],
  ['EISDIR', 'it is a folder'],
  ['ENAMETOOLONG', 'its name is too long'],
  ['ELOOP', 'its symbolic links form a loop'],
  ['EIO', 'the device reports an error'],
]);

const unwritable = (path: string, why: string, cause?: unknown): OrthoError => {
  const target = targetOf(path);
  return new OrthoError('output/unwritable', `cannot write ${target}: ${why}`, {
    at: { file: target },
    hint: 'choose another -o, or make room and check its permissions; nothing was left behind',
    ...(cause === undefined ? {} : { cause }),
  });
};

/** Turns what the file system said into output/unwritable; other errors (of the writer) pass through. */
const asOutputError = (target: string, error: unknown): unknown => {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof OrthoError || code === undefined || syscall === undefined) return error;
  return unwritable(target, REASONS.get(code) ?? `${syscall} failed with ${code}`, error);
};

const guarded = <T>(target: string, action: () => T): T => {
  try {
    return action();
  } catch (error) {
    throw asOutputError(target, error);
  }
};

const statOf = (path: string): Stats | undefined => statSync(path, { throwIfNoEntry: false });

/**
 * Makes a folder and those around it, one by one: the file system's own way to do so at once never ends where it says
 * that a folder cannot be (`/proc/x`).
 * @throws OrthoError output/unwritable
 */
export const makeFolder = (folder: string): void => {
  const missing: string[] = [];
  for (let at = resolve(folder); guarded(folder, () => statOf(at)) === undefined; at = dirname(at)) {
    missing.push(at);
    if (at === dirname(at)) break;
  }
  for (const one of missing.toReversed()) {
    guarded(folder, () => {
      try {
        mkdirSync(one);
      } catch (error) {
        // Another process was faster.
        if (statOf(one)?.isDirectory() !== true) throw error;
      }
    });
  }
};

/** The place that is really written: a symbolic link stays a link, what it points to is replaced. */
const followLink = (target: string): string => {
  if (lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return target;
  return statOf(target) === undefined ? resolve(dirname(target), readlinkSync(target)) : realpathSync(target);
};

/** Devices and pipes (/dev/null, a FIFO) are written directly: there is nothing to replace. */
const isStream = (stat: Stats | undefined): boolean =>
  stat !== undefined && !stat.isFile() && !stat.isDirectory();

/**
 * Looks before the work whether `target` may be written, so that an hour of work is not lost to a typing error.
 * @throws OrthoError usage/output-exists, usage/conflict when it is one of the inputs, output/unwritable
 */
export const checkOutput = (
  target: string,
  { force = false, inputs = [] }: { readonly force?: boolean; readonly inputs?: readonly string[] } = {},
): void => {
  const stat = guarded(target, () => statOf(target));
  if (stat === undefined) {
    const folder = dirname(target);
    const parent = guarded(target, () => statOf(folder));
    if (parent === undefined) throw unwritable(target, `the folder ${folder} does not exist`);
    if (!parent.isDirectory()) throw unwritable(target, `${folder} is not a folder`);
    return;
  }
  if (stat.isDirectory()) throw unwritable(target, 'it is a folder');
  if (isStream(stat)) return;
  for (const input of inputs) {
    const other = guarded(target, () => statOf(input));
    if (other === undefined || other.ino !== stat.ino || other.dev !== stat.dev) continue;
    throw new OrthoError('usage/conflict', `the output ${target} is the input ${input}`, {
      at: { file: target },
      hint: 'inputs are never modified: choose another output',
    });
  }
  if (!force) {
    throw new OrthoError('usage/output-exists', `the output ${target} exists`, {
      at: { file: target },
      hint: 'choose another name, or --force to replace it',
    });
  }
};

class FileSink implements Sink {
  readonly #fd: number;
  readonly #target: string;
  readonly #hash: Hash | undefined;
  readonly #isForced: boolean;
  readonly #syncs: Promise<Error | null>[] = [];
  #buffer = Buffer.allocUnsafeSlow(CHUNK);
  #buffered = 0;
  #bytes = 0;
  /** Where the next write goes, in a file. */
  #position = 0;
  #unsynced = 0;
  /** What `push` handed to the system last, and the buffer that is then free. */
  #behind: Promise<void> = Promise.resolve();
  #spare: Buffer<ArrayBuffer> | undefined;

  /** @param forced the file is to be on the disk when it is finished. */
  constructor(fd: number, target: string, { hash, forced }: { hash: boolean; forced: boolean }) {
    this.#fd = fd;
    this.#target = target;
    this.#hash = hash ? createHash('sha256') : undefined;
    this.#isForced = forced;
  }

  get bytes(): number {
    return this.#bytes;
  }

  write(chunk: Uint8Array | ByteSource): void {
    if (chunk instanceof Uint8Array) this.#append(chunk);
    else this.#copy(chunk);
  }

  async push(chunk: Uint8Array): Promise<void> {
    if (!this.#isForced) {
      this.#append(chunk);
      return;
    }
    this.#bytes += chunk.length;
    for (let done = 0; done < chunk.length; ) {
      if (this.#buffered === CHUNK) await this.#flushBehind();
      const length = Math.min(CHUNK - this.#buffered, chunk.length - done);
      this.#buffer.set(chunk.subarray(done, done + length), this.#buffered);
      this.#buffered += length;
      done += length;
    }
  }

  /** Hands the full buffer to the system when it has written the one before. */
  async #flushBehind(): Promise<void> {
    await this.#behind;
    const full = this.#buffer;
    this.#buffer = this.#spare ?? Buffer.allocUnsafeSlow(CHUNK);
    this.#spare = full;
    this.#buffered = 0;
    this.#hash?.update(full);
    this.#behind = this.#putBehind(full, this.#position);
    this.#position += full.length;
    // Whoever waits next is told.
    this.#behind.catch(() => undefined);
  }

  async #putBehind(bytes: Buffer, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const rest = bytes.length - done;
      done += await new Promise<number>((resolve, reject) => {
        write(this.#fd, bytes, done, rest, position + done, (error, count) =>
          error === null ? resolve(count) : reject(asOutputError(this.#target, error)),
        );
      });
    }
    this.#sync(bytes.length);
  }

  /** Writes what is gathered and gives the digest. */
  async finish(): Promise<string | null> {
    await this.#behind;
    this.#flush();
    return this.#hash?.digest('hex') ?? null;
  }

  /** When this settles, nobody else uses the descriptor any more. */
  async settle(): Promise<void> {
    // An error of the disk is told to the first who asks: it must not be lost because that was not the last one.
    await this.#behind;
    const failures = (await Promise.all(this.#syncs)).filter((error) => error !== null);
    this.#syncs.length = 0;
    if (failures[0] !== undefined) throw asOutputError(this.#target, failures[0]);
  }

  #append(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#buffered + chunk.length > CHUNK) this.#flush();
    if (chunk.length >= CHUNK) {
      this.#put(chunk);
      return;
    }
    this.#buffer.set(chunk, this.#buffered);
    this.#buffered += chunk.length;
  }

  /** Errors of the source are the source's own; only errors of the target are output errors. */
  #copy(source: ByteSource): void {
    for (let at = 0; at < source.size; ) {
      if (this.#buffered === CHUNK) this.#flush();
      const length = Math.min(CHUNK - this.#buffered, source.size - at);
      source.readInto(this.#buffer.subarray(this.#buffered, this.#buffered + length), at);
      this.#buffered += length;
      this.#bytes += length;
      at += length;
    }
  }

  #flush(): void {
    this.#put(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  #put(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    guarded(this.#target, () => {
      for (let done = 0; done < bytes.length; ) {
        // Pipes and devices have no positions.
        const position = this.#isForced ? this.#position + done : null;
        done += writeSync(this.#fd, bytes, done, bytes.length - done, position);
      }
    });
    this.#position += bytes.length;
    this.#sync(bytes.length);
  }

  /** Counts what was written, and asks for it to be put on the disk when it is much. */
  #sync(bytes: number): void {
    this.#unsynced += bytes;
    if (!this.#isForced || this.#unsynced < SYNC_STEP) return;
    this.#unsynced = 0;
    this.#syncs.push(new Promise((resolve) => fdatasync(this.#fd, resolve)));
  }
}

interface Pending {
  readonly file: OutputFile;
  readonly target: string;
  /** The temporary file; undefined when the target is a stream. */
  readonly temp: string | undefined;
  readonly existed: boolean;
  readonly written: WrittenFile;
}

const writeOne = async (file: OutputFile, options: OutputOptions): Promise<Pending> => {
  const { path } = file;
  const target = guarded(path, () => followLink(path));
  const stat = guarded(path, () => statOf(target));
  const temp = isStream(stat) || options.isTemporary ? undefined : reserveTempFile(target);
  let fd: number | undefined;
  let sink: FileSink | undefined;
  try {
    fd = guarded(path, () => openSync(temp ?? target, temp === undefined ? 'w' : 'wx'));
    sink = new FileSink(fd, path, { hash: options.hash === true, forced: temp !== undefined });
    await file.write(sink);
    const sha256 = await sink.finish();
    await sink.settle();
    const open = fd;
    if (temp !== undefined) {
      guarded(path, () => {
        if (stat !== undefined) fchmodSync(open, stat.mode & 0o7777);
        fsyncSync(open);
      });
    }
    fd = undefined;
    guarded(path, () => closeSync(open));
    return { file, target, temp, existed: stat !== undefined, written: { path, bytes: sink.bytes, sha256 } };
  } catch (error) {
    await sink?.settle().catch(() => undefined);
    if (fd !== undefined) closeSync(fd);
    if (temp !== undefined) discardTempFile(temp);
    throw error;
  }
};

const syncFolder = (folder: string): void => {
  try {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // Some file systems cannot fsync a folder; the rename itself has happened.
  }
};

/** Renames in order; when one fails, those that took no old file's place are taken back. */
const renameAll = (pending: readonly Pending[]): void => {
  const done: Pending[] = [];
  try {
    for (const one of pending) {
      const { temp, target, file } = one;
      if (temp === undefined) continue;
      guarded(file.path, () => renameSync(temp, target));
      forgetTempFile(temp);
      done.push(one);
    }
  } catch (error) {
    for (const { target, existed } of done) if (!existed) unlinkSync(target);
    throw error;
  }
};

/**
 * Writes several files that belong together. All are complete on the disk before the first takes its name; they take
 * their names in order, so the last one should be the one that names the others, and the others should have names
 * that follow from their content. On any failure every target is as it was.
 * @throws OrthoError usage/output-exists, output/unwritable, and whatever a `write` throws
 */
export const writeFilesAtomically = async (
  files: readonly OutputFile[],
  options: OutputOptions = {},
): Promise<WrittenFile[]> => {
  const force = options.force === true || options.isTemporary === true;
  for (const { path } of files) checkOutput(path, { force });
  const pending: Pending[] = [];
  try {
    for (const file of files) pending.push(await writeOne(file, options));
    // A signal that came during the synchronous writes is delivered here, before anything is replaced.
    await setImmediate();
    for (const { path } of files) checkOutput(path, { force });
    renameAll(pending);
  } catch (error) {
    for (const { temp } of pending) if (temp !== undefined) discardTempFile(temp);
    throw error;
  }
  if (!options.isTemporary) {
    for (const folder of new Set(pending.map(({ target }) => dirname(target)))) syncFolder(folder);
  }
  return pending.map(({ written }) => written);
};

/**
 * Writes one file; see `writeFilesAtomically`.
 * @throws OrthoError usage/output-exists, output/unwritable, and whatever `write` throws
 */
export const writeAtomically = async (
  target: string,
  write: (sink: Sink) => void | Promise<void>,
  options: OutputOptions = {},
): Promise<WrittenFile> => (await writeFilesAtomically([{ path: target, write }], options))[0]!;

/**
 * Gives a finished temporary file (of `reserveTempFile`, beside the target) the target's name: what was proved is what
 * is kept. Where the target is a device or pipe, the content is copied.
 * @throws OrthoError usage/output-exists, output/unwritable
 */
export const moveIntoPlace = async (
  temp: string,
  target: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<void> => {
  checkOutput(target, { force });
  const place = guarded(target, () => followLink(target));
  const stat = guarded(target, () => statOf(place));
  if (isStream(stat)) {
    const source = new FileSource(temp);
    try {
      await writeAtomically(target, (sink) => sink.write(source), { force });
    } finally {
      source.close();
    }
    return;
  }
  guarded(target, () => {
    const fd = openSync(temp, 'r+');
    try {
      if (stat !== undefined) fchmodSync(fd, stat.mode & 0o7777);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temp, place);
  });
  forgetTempFile(temp);
  syncFolder(dirname(place));
};
