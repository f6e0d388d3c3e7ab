/**
 * Zip archives read in place: yauzl walks the central directory, which has the true sizes; the local header only tells
 * where an entry's bytes begin. Stored entries are windows of the file, deflated ones are inflated when first read.
 *
 * Checked before any content is believed: names (no absolute paths, no `..`, no duplicates), central against local
 * header, no two entries that share bytes, sizes against limits.
 */
import { inflateRawSync } from 'node:zlib';
import { type Entry, fromRandomAccessReader, RandomAccessReader, type ZipFile } from 'yauzl';
import { crc32 } from '../core/crc32.ts';
import { type ErrorCode, OrthoError } from '../core/errors.ts';
import { type ByteSource, checkRange, chunksOf, SliceSource } from '../core/source.ts';
import { CheckedSource } from './checked-source.ts';

/** Entries of one archive: ten times the tensors of the largest published checkpoints' shards. */
const MAX_ENTRIES = 200_000;
/** Letters of the name of an entry. */
const MAX_NAME = 1024;
/** An inflated entry lives in memory as a whole. */
const MAX_INFLATED = 2 ** 31 - 1;
/** Deflate cannot do better than 1032:1; more is a lie in the directory. */
const MAX_DEFLATE_RATIO = 1040;

const ALL_ONES = 0xffffffff;
const STORED = 0;
const DEFLATED = 8;

export interface ZipEntry {
  readonly name: string;
  /** Bytes of the content. */
  readonly size: number;
  readonly compressedSize: number;
  readonly isDeflated: boolean;
  /** As the central directory has it; 0 where the writer did not compute it. */
  readonly crc32: number;
  /** The content; deflated entries are inflated on the first read. Read in order, its checksum is checked. */
  readonly data: ByteSource;
}

export interface ZipArchive {
  /** By name, in the order of the central directory. */
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Entries whose bytes, where they were read from the first to the last, do not have their checksum. */
  readonly damaged: ReadonlySet<ZipEntry>;
}

/** What error a caller wants for a damaged archive, and what it calls the file. */
export interface ZipContext {
  readonly label: string;
  readonly code: Extract<ErrorCode, 'checkpoint/invalid' | 'numpy/invalid'>;
}

/** yauzl's view of a byte source. It answers at once, so that the whole directory is read without waiting. */
class SourceReader extends RandomAccessReader {
  readonly #source: ByteSource;
  constructor(source: ByteSource) {
    super();
    this.#source = source;
  }
  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    try {
      this.#source.readInto(buffer.subarray(offset, offset + length), position);
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback(null);
  }
}

/** A deflated entry: inflated as a whole on the first read, and again after memory was needed elsewhere. */
class InflatedSource implements ByteSource {
  readonly size: number;
  readonly #compressed: ByteSource;
  readonly #invalid: (message: string, cause?: unknown) => OrthoError;
  #bytes: WeakRef<Uint8Array> | undefined;

  constructor(
    compressed: ByteSource,
    size: number,
    invalid: (message: string, cause?: unknown) => OrthoError,
  ) {
    this.#compressed = compressed;
    this.size = size;
    this.#invalid = invalid;
  }
  get path(): string | undefined {
    return this.#compressed.path;
  }
  #inflate(): Uint8Array {
    const kept = this.#bytes?.deref();
    if (kept !== undefined) return kept;
    let bytes: Uint8Array;
    try {
      const compressed = this.#compressed.read(0, this.#compressed.size);
      bytes = inflateRawSync(compressed, { maxOutputLength: Math.max(this.size, 1) });
    } catch (cause) {
      throw this.#invalid('its deflated bytes are damaged or longer than the directory says', cause);
    }
    if (bytes.length !== this.size)
      throw this.#invalid(`it inflates to ${bytes.length} bytes, not ${this.size}`);
    this.#bytes = new WeakRef(bytes);
    return bytes;
  }
  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    return this.#inflate().subarray(offset, offset + length);
  }
  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}

const listEntries = (source: ByteSource, fail: (message: string, cause?: unknown) => OrthoError): Entry[] => {
  if (source.size < 22) throw fail(`${source.size} bytes are too few for a zip archive`);
  let zip: ZipFile | undefined;
  let failure: unknown;
  const options = { lazyEntries: true, autoClose: false, strictFileNames: true };
  fromRandomAccessReader(new SourceReader(source), source.size, options, (error, opened) => {
    failure = error;
    zip = opened;
  });
  if (failure || zip === undefined) throw fail(zipMessage(failure), failure);
  if (zip.entryCount > MAX_ENTRIES) {
    throw new OrthoError(
      'file/limit',
      `${source.path ?? 'zip'}: ${zip.entryCount} entries (at most ${MAX_ENTRIES})`,
      { hint: 'no checkpoint has that many; the archive is hostile or something else' },
    );
  }
  const entries: Entry[] = [];
  zip.on('error', (error) => {
    failure = error;
  });
  zip.on('entry', (entry: Entry) => entries.push(entry));
  for (let i = 0; i < zip.entryCount; i++) {
    try {
      zip.readEntry();
    } catch (error) {
      failure = error;
    }
    if (failure) throw fail(zipMessage(failure), failure);
    // yauzl reads an entry without name, extra field and comment on a later tick only; no archive has a reason for one.
    if (entries.length !== i + 1) throw fail(`entry ${i} of the directory has no name`);
  }
  checkDirectory(source, zip.comment, entries, fail);
  return entries;
};

/** Bytes between the directory and the end record of a ZIP64 archive: another end record and its locator. */
const ZIP64_RECORDS = 76;

/**
 * The end record states where the directory lies and how long it is, and nothing else comes between them: an archive
 * behind another one, or with a gap, would show different readers different entries. Values of a ZIP64 archive that do
 * not fit here are all ones. yauzl gives a letter of `comment` a byte.
 */
const checkDirectory = (
  source: ByteSource,
  comment: string,
  entries: readonly Entry[],
  fail: (message: string) => OrthoError,
): void => {
  const end = source.size - 22 - comment.length;
  const record = source.read(end, 22);
  const view = new DataView(record.buffer, record.byteOffset, 22);
  const [size, offset] = [view.getUint32(12, true), view.getUint32(16, true)];
  const found = entries.reduce(
    (sum, { fileNameLength, extraFieldLength, fileCommentLength }) =>
      sum + 46 + fileNameLength + extraFieldLength + fileCommentLength,
    0,
  );
  if (size !== ALL_ONES && size !== found) {
    throw fail(`its directory has ${found} bytes, not ${size} as the end record states`);
  }
  const gap = end - offset - found;
  if (offset !== ALL_ONES && gap !== 0 && gap !== ZIP64_RECORDS) {
    throw fail(`its directory does not lie before its end: ${gap} bytes between them`);
  }
};

const zipMessage = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error);
  return message.startsWith('End of central directory')
    ? 'the zip directory at the end of the file is missing'
    : message;
};

/** Where an entry's bytes begin, after its local header agreed with the directory. */
const dataStart = (source: ByteSource, entry: Entry, fail: (message: string) => OrthoError): number => {
  const at = entry.relativeOffsetOfLocalHeader;
  if (at + 30 > source.size) throw fail(`the header of "${entry.fileName}" lies beyond the end of the file`);
  const header = source.read(at, 30);
  const view = new DataView(header.buffer, header.byteOffset, 30);
  if (view.getUint32(0, true) !== 0x04034b50)
    throw fail(`no local header of "${entry.fileName}" at byte ${at}`);
  const nameLength = view.getUint16(26, true);
  const start = at + 30 + nameLength + view.getUint16(28, true);
  if (start + entry.compressedSize > source.size) {
    throw fail(
      `"${entry.fileName}" ends at byte ${start + entry.compressedSize}, the file at ${source.size}`,
    );
  }
  if (Buffer.compare(source.read(at + 30, nameLength), entry.fileNameRaw) !== 0) {
    throw fail(`the local header at byte ${at} names another entry than "${entry.fileName}"`);
  }
  if (view.getUint16(8, true) !== entry.compressionMethod) {
    throw fail(`the headers of "${entry.fileName}" disagree about its compression`);
  }
  const hasDescriptor = (view.getUint16(6, true) & 8) !== 0;
  const localSize = view.getUint32(22, true);
  if (!hasDescriptor && localSize !== ALL_ONES && localSize !== entry.uncompressedSize) {
    throw fail(
      `the headers of "${entry.fileName}" disagree about its size: ${localSize}, ${entry.uncompressedSize}`,
    );
  }
  const localSum = view.getUint32(14, true);
  if (!hasDescriptor && localSum !== 0 && localSum !== entry.crc32) {
    throw fail(`the headers of "${entry.fileName}" disagree about its checksum`);
  }
  return start;
};

/** No two entries may share bytes, and none may reach into the directory. */
const checkOverlaps = (
  places: { name: string; from: number; to: number }[],
  fail: (message: string) => OrthoError,
): void => {
  places.sort((a, b) => a.from - b.from);
  for (let i = 1; i < places.length; i++) {
    const [before, after] = [places[i - 1]!, places[i]!];
    if (before.to > after.from) throw fail(`"${before.name}" and "${after.name}" overlap`);
  }
};

/**
 * Reads the directory of a zip archive; no content is read.
 * @throws OrthoError `context.code` when the archive is damaged, file/limit, checkpoint/unsupported for encryption and
 *   unknown compression
 */
export const openZip = (source: ByteSource, context: ZipContext): ZipArchive => {
  const at = source.path === undefined ? {} : { at: { file: source.path } };
  const fail = (message: string, cause?: unknown): OrthoError =>
    new OrthoError(context.code, `${context.label}: ${message}`, {
      hint: 'the archive is damaged, cut off or was changed after it was written; copy it again',
      ...at,
      ...(cause === undefined ? {} : { cause }),
    });
  const entries = new Map<string, ZipEntry>();
  const damaged = new Set<ZipEntry>();
  const places: { name: string; from: number; to: number }[] = [];
  for (const entry of listEntries(source, fail)) {
    const { fileName: name, compressedSize, uncompressedSize: size } = entry;
    if (name.length > MAX_NAME) throw fail(`an entry whose name has ${name.length} letters`);
    if (entries.has(name)) throw fail(`two entries are called "${name}"`);
    if (name.includes('\0')) throw fail(`an entry name holds a NUL byte`);
    if (entry.isEncrypted())
      throw new OrthoError('checkpoint/unsupported', `${context.label}: "${name}" is encrypted`, {
        hint: 'decrypt the archive first',
        ...at,
      });
    const isDeflated = entry.compressionMethod === DEFLATED;
    if (!isDeflated && entry.compressionMethod !== STORED) {
      throw new OrthoError(
        'checkpoint/unsupported',
        `${context.label}: "${name}" uses zip compression ${entry.compressionMethod} (stored and deflated are known)`,
        { hint: 'repack it stored (zip -0)', ...at },
      );
    }
    const start = dataStart(source, entry, fail);
    if (isDeflated && (size > MAX_INFLATED || size > compressedSize * MAX_DEFLATE_RATIO)) {
      throw new OrthoError('file/limit', `${context.label}: "${name}" claims to inflate to ${size} bytes`, {
        hint: 'deflate cannot compress that well; the archive is hostile or damaged',
        ...at,
      });
    }
    places.push({ name, from: entry.relativeOffsetOfLocalHeader, to: start + compressedSize });
    const stored = new SliceSource(source, start, compressedSize);
    const inEntry = (message: string, cause?: unknown) => fail(`"${name}": ${message}`, cause);
    const plain = isDeflated ? new InflatedSource(stored, size, inEntry) : stored;
    const data =
      entry.crc32 === 0
        ? plain
        : new CheckedSource(plain, entry.crc32, () => damaged.add(entries.get(name)!));
    entries.set(name, { name, size, compressedSize, isDeflated, crc32: entry.crc32, data });
  }
  checkOverlaps(places, fail);
  return { entries, damaged };
};

/** Whether an entry's content has the checksum that the directory states (reads it all, where that has not happened). */
export const hasRightChecksum = (entry: ZipEntry): boolean => {
  if (entry.data instanceof CheckedSource) return entry.data.isRight();
  let sum = 0;
  for (const chunk of chunksOf(entry.data)) sum = crc32(chunk, sum);
  return sum === entry.crc32;
};
