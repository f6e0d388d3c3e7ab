/**
 * Zip archives read in place: yauzl walks the central directory, which has the true sizes; the local header only tells
 * where an entry's bytes begin. Stored entries are windows of the file, deflated ones are inflated when first read.
 *
 * Checked before any content is believed: names (no absolute paths, no `..`, no duplicates), central against local
 * header, no two entries that share bytes, sizes against limits.
 */
import { constants, inflateRawSync } from 'node:zlib';
import { type Entry, fromRandomAccessReader, RandomAccessReader, type ZipFile } from 'yauzl';
import { crc32 } from '../core/crc32.ts';
import { type ErrorCode, OrthoError } from '../core/errors.ts';
import { type ByteSource, checkRange, chunksOf, SliceSource } from '../core/source.ts';
import { CheckedSource } from './checked-source.ts';

/** Entries of one archive: some times the tensors of the largest published checkpoints' shards. */
const MAX_ENTRIES = 100_000;
/** Letters of the name of an entry. */
const MAX_NAME = 1024;
/** An inflated entry lives in memory as a whole. */
const MAX_INFLATED = 2 ** 31 - 1;
/** Beyond this size and ratio an entry is a bomb. */
const MAX_BOMB = 64 * 1024 * 1024;
const MAX_BOMB_RATIO = 100;
/** Inflated entries that are kept, and the first bytes of one, in bytes. */
const MAX_KEPT = 64 * 1024 * 1024;
const MAX_HEAD = 1 << 16;
/** Bytes that are inflated of one archive: so much, and so many times what it holds. */
const FREE_INFLATION = 2 ** 30;
const MAX_INFLATIONS = 8;
/** Deflate cannot do better than 1032:1; more is a lie in the directory. */
const MAX_DEFLATE_RATIO = 1040;

const { Z_SYNC_FLUSH } = constants;
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
  /** Bytes of the whole archive. */
  readonly bytes: number;
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

/** Inflated entries that were read last, of all archives: whoever reads one to its end reads it in pieces. */
class InflatedEntries {
  readonly #kept = new Map<InflatedSource, Uint8Array>();
  #bytes = 0;

  get(source: InflatedSource): Uint8Array | undefined {
    return this.#kept.get(source);
  }
  keep(source: InflatedSource, bytes: Uint8Array): void {
    this.#kept.set(source, bytes);
    this.#bytes += bytes.length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#bytes <= MAX_KEPT || oldest === source) return;
      this.#kept.delete(oldest);
      this.#bytes -= length;
    }
  }
}
const inflated = new InflatedEntries();

/** What may be inflated of one archive, again where it has to be: reading here and there must end. */
interface InflationBudget {
  left: number;
}

/** A deflated entry: its head inflated alone, else as a whole when it is read, and again after others were. */
class InflatedSource implements ByteSource {
  readonly size: number;
  readonly #compressed: ByteSource;
  readonly #invalid: (message: string, cause?: unknown) => OrthoError;
  readonly #budget: InflationBudget;
  #head: Uint8Array = new Uint8Array(0);

  constructor(
    compressed: ByteSource,
    size: number,
    budget: InflationBudget,
    invalid: (message: string, cause?: unknown) => OrthoError,
  ) {
    this.#compressed = compressed;
    this.size = size;
    this.#budget = budget;
    this.#invalid = invalid;
  }
  get path(): string | undefined {
    return this.#compressed.path;
  }
  #inflate(): Uint8Array {
    const kept = inflated.get(this);
    if (kept !== undefined) return kept;
    const packed = this.#compressed.size;
    this.#budget.left -= this.size;
    if (this.#budget.left < 0 || (this.size > MAX_BOMB && this.size > packed * MAX_BOMB_RATIO)) {
      const { message, at } = this.#invalid(`it inflates from ${packed} to ${this.size} bytes`);
      throw new OrthoError('file/limit', message, {
        hint: 'store it without compression (numpy.savez, zip -0), or the file is hostile',
        at,
      });
    }
    let bytes: Uint8Array;
    try {
      const compressed = this.#compressed.read(0, this.#compressed.size);
      bytes = inflateRawSync(compressed, { maxOutputLength: Math.max(this.size, 1) });
    } catch (cause) {
      throw this.#invalid('its deflated bytes are damaged or longer than the directory says', cause);
    }
    if (bytes.length !== this.size)
      throw this.#invalid(`it inflates to ${bytes.length} bytes, not ${this.size}`);
    if (this.size <= MAX_KEPT) inflated.keep(this, bytes);
    return bytes;
  }
  /** The first `length` bytes, of as little as possible; undefined where that is damaged. */
  #start(length: number): Uint8Array | undefined {
    if (this.#head.length >= length) return this.#head;
    for (let taken = 2048; taken < this.#compressed.size && taken <= 4 * MAX_HEAD; taken *= 4) {
      try {
        const part = inflateRawSync(this.#compressed.read(0, taken), { finishFlush: Z_SYNC_FLUSH });
        if (part.length < length) continue;
        this.#head = part.slice(0, MAX_HEAD);
        return this.#head;
      } catch {
        return undefined;
      }
    }
    return undefined;
  }
  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    const end = offset + length;
    const head = end <= MAX_HEAD && inflated.get(this) === undefined ? this.#start(end) : undefined;
    return (head ?? this.#inflate()).subarray(offset, end);
  }
  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}

/** The entries, and where the directory that lists them begins. */
const listEntries = (
  source: ByteSource,
  fail: (message: string, cause?: unknown) => OrthoError,
): { readonly entries: Entry[]; readonly directory: number } => {
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
  return { entries, directory: checkDirectory(source, zip.comment, entries, fail) };
};

/** Bytes between the directory and the end record of a ZIP64 archive: another end record and its locator. */
const ZIP64_RECORDS = 76;

/**
 * The end record states where the directory lies and how long it is, and nothing else comes between them: an archive
 * behind another one, or with a gap, would show different readers different entries. Values of a ZIP64 archive that do
 * not fit here are all ones. yauzl gives a letter of `comment` a byte. Returns where the directory begins.
 */
const checkDirectory = (
  source: ByteSource,
  comment: string,
  entries: readonly Entry[],
  fail: (message: string) => OrthoError,
): number => {
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
  return offset === ALL_ONES ? source.size : offset;
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
  const budget: InflationBudget = { left: FREE_INFLATION };
  const { entries: listed, directory } = listEntries(source, fail);
  for (const entry of listed) {
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
    if (isDeflated) budget.left += MAX_INFLATIONS * size;
    if (isDeflated && (size > MAX_INFLATED || size > compressedSize * MAX_DEFLATE_RATIO)) {
      throw new OrthoError('file/limit', `${context.label}: "${name}" claims to inflate to ${size} bytes`, {
        hint: 'deflate cannot compress that well; the archive is hostile or damaged',
        ...at,
      });
    }
    places.push({ name, from: entry.relativeOffsetOfLocalHeader, to: start + compressedSize });
    const stored = new SliceSource(source, start, compressedSize);
    const inEntry = (message: string, cause?: unknown) => fail(`"${name}": ${message}`, cause);
    const plain = isDeflated ? new InflatedSource(stored, size, budget, inEntry) : stored;
    const data =
      entry.crc32 === 0
        ? plain
        : new CheckedSource(plain, entry.crc32, () => damaged.add(entries.get(name)!));
    entries.set(name, { name, size, compressedSize, isDeflated, crc32: entry.crc32, data });
  }
  places.push({ name: 'the directory', from: directory, to: source.size });
  checkOverlaps(places, fail);
  return { bytes: source.size, entries, damaged };
};

/** Whether an entry's content has the checksum that the directory states (reads it all, where that has not happened). */
export const hasRightChecksum = (entry: ZipEntry): boolean => {
  if (entry.data instanceof CheckedSource) return entry.data.isRight();
  let sum = 0;
  for (const chunk of chunksOf(entry.data)) sum = crc32(chunk, sum);
  return sum === entry.crc32;
};
