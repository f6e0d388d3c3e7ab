/**
 * The directory of a tar archive (POSIX ustar with pax headers): member names and where their bytes lie. Only regular
 * files are members; every header's checksum and size are checked against the file before anything is believed.
 */
import type { OrthoError } from '../core/errors.ts';
import { type ByteSource, SliceSource } from '../core/source.ts';

const BLOCK = 512;
/** Bytes of one pax header; torch's hold a time stamp. */
const MAX_PAX = 65_536;
/** Members that are looked at. */
const MAX_MEMBERS = 256;

export interface TarMember {
  readonly name: string;
  /** Where its header begins. */
  readonly at: number;
  readonly data: ByteSource;
}

const textAt = (header: Uint8Array, at: number, length: number): string => {
  const field = Buffer.from(header.buffer, header.byteOffset + at, length);
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? length : end);
};

/** A number in octal digits, or in base 256 when the first bit is set (files beyond 8 GB); NaN when malformed. */
const numberAt = (header: Uint8Array, at: number, length: number): number => {
  if (header[at] === 0x80) {
    let value = 0;
    for (let i = at + 1; i < at + length; i++) value = value * 256 + header[i]!;
    return value;
  }
  const text = textAt(header, at, length).trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
};

/** The sum of all bytes, with those of the checksum itself as spaces. */
const checksumOf = (header: Uint8Array): number => {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i]!;
  return sum;
};

/** `length key=value\n` records. */
const paxRecords = (
  bytes: Uint8Array,
  invalid: (message: string) => OrthoError,
): ReadonlyMap<string, string> => {
  const records = new Map<string, string>();
  const text = Buffer.from(bytes).toString('latin1');
  for (let at = 0; at < text.length; ) {
    const [, digits] = /^(\d{1,5}) /.exec(text.slice(at, at + 6)) ?? [];
    const end = at + Number(digits);
    const record = text.slice(at + (digits?.length ?? 0) + 1, end);
    const equals = record.indexOf('=');
    if (digits === undefined || end > text.length || !record.endsWith('\n') || equals < 1) {
      throw invalid(`a malformed pax header`);
    }
    records.set(record.slice(0, equals), record.slice(equals + 1, -1));
    at = end;
  }
  return records;
};

/**
 * The regular files of a tar archive, in file order; at most MAX_MEMBERS of them are looked at.
 * @throws the error that `invalid` makes, when headers are damaged, members leave the file, repeat a name, or are
 *   anything but regular files.
 */
export const tarMembers = (source: ByteSource, invalid: (message: string) => OrthoError): TarMember[] => {
  const members = new Map<string, TarMember>();
  let pax: ReadonlyMap<string, string> = new Map();
  for (let at = 0; at < source.size && members.size < MAX_MEMBERS; ) {
    if (source.size - at < BLOCK) throw invalid(`it ends within the header at byte ${at}`);
    const header = source.read(at, BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const where = `the header at byte ${at}`;
    if (numberAt(header, 148, 8) !== checksumOf(header)) throw invalid(`${where} has a wrong checksum`);
    const stated = pax.get('size') ?? '';
    const size = /^\d+$/.test(stated) ? Number(stated) : numberAt(header, 124, 12);
    if (!Number.isSafeInteger(size)) throw invalid(`${where} has a malformed size`);
    const start = at + BLOCK;
    if (size > source.size - start) {
      throw invalid(`${where} announces ${size} bytes, ${source.size - start} are left`);
    }
    const kind = String.fromCharCode(header[156]!);
    const prefix = textAt(header, 345, 155);
    const name = pax.get('path') ?? (prefix === '' ? '' : `${prefix}/`) + textAt(header, 0, 100);
    pax = new Map();
    if (kind === 'x' || kind === 'g') {
      if (size > MAX_PAX) throw invalid(`${where} is a pax header of ${size} bytes (at most ${MAX_PAX})`);
      const records = paxRecords(source.read(start, size), invalid);
      // Global headers hold defaults for all members; torch never writes any, and no default may move bytes.
      if (kind === 'x') pax = records;
      else if (records.has('size') || records.has('path')) throw invalid(`${where} changes every member`);
    } else if (kind !== '0' && kind !== '\0') {
      throw invalid(`${where} is ${describeKind(kind)}, not a file`);
    } else {
      if (members.has(name)) throw invalid(`two members are called ${JSON.stringify(name.slice(0, 100))}`);
      members.set(name, { name, at, data: new SliceSource(source, start, size) });
    }
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return [...members.values()];
};

const KINDS: ReadonlyMap<string, string> = new Map([
  ['1', 'a hard link'],
  ['2', 'a symbolic link'],
  ['3', 'a character device'],
  ['4', 'a block device'],
  ['5', 'a folder'],
  ['6', 'a named pipe'],
  ['S', 'a sparse file'],
]);
const describeKind = (kind: string): string =>
  KINDS.get(kind) ?? `a member of the unknown kind ${JSON.stringify(kind)}`;
