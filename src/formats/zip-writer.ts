/**
 * Zip archives written as a stream of chunks: entries stored, in the order given, no clock and no platform in them, so
 * the same content gives the same bytes. Checksums follow the data (descriptors), so content passes through once.
 *
 * With an alignment, an extra field pads each local header so that the content begins at a multiple of it; the padding
 * is PyTorch's: id `FB`, then `Z`s. Archives beyond 4 GB use the ZIP64 records.
 */
import { crc32 } from '../core/crc32.ts';
import { OrthoError } from '../core/errors.ts';

export interface ZipContent {
  readonly name: string;
  /** Bytes that `chunks` gives. */
  readonly size: number;
  chunks(): Iterable<Uint8Array>;
}

const UTF8_AND_DESCRIPTOR = 0x0808;
const LIMIT = 0xffffffff;
/** 1980-01-01, the first day a zip archive can name. */
const DOS_EPOCH_DATE = 0x0021;

/** What became of an entry. */
export interface ZipRecord {
  readonly name: string;
  readonly crc: number;
}

interface Written {
  readonly name: Buffer;
  readonly size: number;
  readonly offset: number;
  readonly crc: number;
}

/** Says that the sizes in the descriptor have 64 bits; they are not known yet. */
const wideSizes = (size: number): Buffer => {
  const extra = Buffer.alloc(size >= LIMIT ? 20 : 0);
  if (extra.length > 0) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(16, 2);
  }
  return extra;
};

const paddingFor = (dataStart: number, alignment: number): Buffer => {
  if (alignment <= 1) return Buffer.alloc(0);
  const padding = (alignment - ((dataStart + 4) % alignment)) % alignment;
  const extra = Buffer.alloc(4 + padding, 'Z');
  extra.write('FB', 0, 'latin1');
  extra.writeUInt16LE(padding, 2);
  return extra;
};

const localHeader = (name: Buffer, size: number, at: number, alignment: number): Buffer => {
  const wide = wideSizes(size);
  const extra = Buffer.concat([wide, paddingFor(at + 30 + name.length + wide.length, alignment)]);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(45, 4);
  header.writeUInt16LE(UTF8_AND_DESCRIPTOR, 6);
  header.writeUInt16LE(DOS_EPOCH_DATE, 12);
  if (wide.length > 0) header.fill(0xff, 18, 26);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
};

const descriptor = (crc: number, size: number): Buffer => {
  const isLarge = size >= LIMIT;
  const record = Buffer.alloc(isLarge ? 24 : 16);
  record.writeUInt32LE(0x08074b50, 0);
  record.writeUInt32LE(crc, 4);
  if (isLarge) {
    record.writeBigUInt64LE(BigInt(size), 8);
    record.writeBigUInt64LE(BigInt(size), 16);
  } else {
    record.writeUInt32LE(size, 8);
    record.writeUInt32LE(size, 12);
  }
  return record;
};

const directoryRecord = ({ name, size, offset, crc }: Written): Buffer => {
  const large = [size >= LIMIT ? [size, size] : [], offset >= LIMIT ? [offset] : []].flat();
  const extra = Buffer.alloc(large.length === 0 ? 0 : 4 + 8 * large.length);
  if (large.length > 0) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(8 * large.length, 2);
    large.forEach((value, i) => {
      extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
    });
  }
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt16LE(45, 4);
  record.writeUInt16LE(45, 6);
  record.writeUInt16LE(UTF8_AND_DESCRIPTOR, 8);
  record.writeUInt16LE(DOS_EPOCH_DATE, 14);
  record.writeUInt32LE(crc, 16);
  record.writeUInt32LE(Math.min(size, LIMIT), 20);
  record.writeUInt32LE(Math.min(size, LIMIT), 24);
  record.writeUInt16LE(name.length, 28);
  record.writeUInt16LE(extra.length, 30);
  record.writeUInt32LE(Math.min(offset, LIMIT), 42);
  return Buffer.concat([record, name, extra]);
};

const endRecords = (entries: number, start: number, length: number): Buffer => {
  const wide = Buffer.alloc(56 + 20);
  wide.writeUInt32LE(0x06064b50, 0);
  wide.writeBigUInt64LE(44n, 4);
  wide.writeUInt16LE(45, 12);
  wide.writeUInt16LE(45, 14);
  wide.writeBigUInt64LE(BigInt(entries), 24);
  wide.writeBigUInt64LE(BigInt(entries), 32);
  wide.writeBigUInt64LE(BigInt(length), 40);
  wide.writeBigUInt64LE(BigInt(start), 48);
  wide.writeUInt32LE(0x07064b50, 56);
  wide.writeBigUInt64LE(BigInt(start + length), 64);
  wide.writeUInt32LE(1, 72);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(entries, 0xffff), 8);
  end.writeUInt16LE(Math.min(entries, 0xffff), 10);
  end.writeUInt32LE(Math.min(length, LIMIT), 12);
  end.writeUInt32LE(Math.min(start, LIMIT), 16);
  return Buffer.concat([wide, end]);
};

/**
 * The bytes of an archive, chunk by chunk. Chunks are only valid until the next one is asked for.
 * @param contents may be a generator: an entry is asked for when the ones before it are written.
 * @param onWritten told of each entry when all of its bytes are out.
 * @throws OrthoError internal/bug when an entry gives another number of bytes than it said.
 */
export function* zipChunks(
  contents: Iterable<ZipContent>,
  alignment = 1,
  onWritten: (record: ZipRecord) => void = () => undefined,
): Generator<Uint8Array> {
  const written: Written[] = [];
  let at = 0;
  for (const content of contents) {
    const name = Buffer.from(content.name, 'utf8');
    const header = localHeader(name, content.size, at, alignment);
    yield header;
    let crc = 0;
    let size = 0;
    for (const chunk of content.chunks()) {
      crc = crc32(chunk, crc);
      size += chunk.length;
      yield chunk;
    }
    if (size !== content.size) {
      throw new OrthoError(
        'internal/bug',
        `"${content.name}": ${size} bytes given, ${content.size} announced`,
      );
    }
    const tail = descriptor(crc, size);
    yield tail;
    written.push({ name, size, offset: at, crc });
    onWritten({ name: content.name, crc });
    at += header.length + size + tail.length;
  }
  const directory = Buffer.concat(written.map(directoryRecord));
  yield directory;
  yield endRecords(written.length, at, directory.length);
}
