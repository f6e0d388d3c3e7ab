/**
 * What PyTorch's zip archives have in common (torch.save, TorchScript, torch.export): one root folder, storages as
 * records of a folder, pickles, `byteorder`, checksums.
 */
import { crc32 } from '../core/crc32.ts';
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { chunksOf, SliceSource } from '../core/source.ts';
import { type PickleHost, type PickleMachine, unpickle } from './pickle.ts';
import { PickleReader } from './pickle-reader.ts';
import { PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import type { Json } from './state-dict.ts';
import { storageKindOf } from './torch-globals.ts';
import { StorageRecord } from './torch-tensor.ts';
import { hasRightChecksum, type ZipArchive, type ZipEntry } from './zip.ts';

/** Bytes of data.pkl; real ones have a few hundred bytes a tensor. */
const MAX_PICKLE = 64 * 1024 * 1024;
/** A deflated storage lives in memory once it is read; PyTorch itself never deflates storages. */
const MAX_INFLATED_STORAGE = 16 * 1024 * 1024;
const MAX_STORAGE_RATIO = 100;
/** Bytes of all deflated storages together, where they are compressed beyond that ratio. */
const MAX_INFLATED_TOTAL = 256 * 1024 * 1024;
const STORAGE_KEY = /^[A-Za-z0-9_.-]{1,256}$/;

/** The one folder that holds every entry, with its slash. @throws OrthoError checkpoint/invalid */
export const rootOf = (archive: ZipArchive, label: string): string => {
  const roots = new Set([...archive.entries.keys()].map((name) => name.slice(0, name.indexOf('/') + 1)));
  const [root = '', ...others] = roots;
  if (others.length > 0 || root === '') {
    throw new OrthoError(
      'checkpoint/invalid',
      `${label}: the archive has ${roots.size} root folders, not one`,
      {
        hint: 'a PyTorch checkpoint keeps everything in one folder; the archive was repacked or is something else',
      },
    );
  }
  return root;
};

/** A deflated record must not grow out of proportion. @throws OrthoError file/limit */
export const checkInflation = (entry: ZipEntry, label: string): void => {
  if (
    entry.isDeflated &&
    entry.size > MAX_INFLATED_STORAGE &&
    entry.size > entry.compressedSize * MAX_STORAGE_RATIO
  ) {
    throw new OrthoError(
      'file/limit',
      `${label}: "${entry.name}" inflates from ${entry.compressedSize} to ${entry.size} bytes`,
      {
        hint: 'PyTorch does not compress storages; the file is hostile or was repacked',
      },
    );
  }
};

/** The storages of one folder of an archive, by key. */
export class ArchiveStorages {
  readonly findings: Finding[] = [];
  readonly #records = new Map<string, StorageRecord>();
  readonly #archive: ZipArchive;
  readonly #folder: string;
  readonly #label: string;
  readonly #bigEndian: boolean;
  /** Of deflated records: bytes once they are inflated, and bytes in the file. */
  #inflated = 0;
  #deflated = 0;

  /** `folder` ends with a slash. */
  constructor(archive: ZipArchive, folder: string, label: string, bigEndian: boolean) {
    this.#archive = archive;
    this.#folder = folder;
    this.#label = label;
    this.#bigEndian = bigEndian;
  }

  /** Answers `('storage', class, key, location, elements)`. */
  resolve(id: PickleValue, machine: PickleMachine): StorageRecord {
    const items = id instanceof PickleTuple ? id.items : [];
    const [tag, type, key, , elements] = items;
    if (tag !== 'storage' || items.length < 5 || items.length > 6)
      throw machine.invalid('a persistent id that is no storage');
    const kind = storageKindOf(type);
    if (kind === undefined) throw machine.invalid('a storage of an unknown class');
    if (typeof key !== 'string' || !STORAGE_KEY.test(key)) {
      throw machine.invalid(`a storage with the key ${JSON.stringify(textOf(key))}`);
    }
    const isCount = typeof elements === 'number' && Number.isInteger(elements) && elements >= 0;
    if (!isCount || !Number.isSafeInteger(elements * kind.bytes)) {
      throw machine.invalid(`storage "${key}" of ${textOf(elements)} elements`);
    }
    const known = this.#records.get(key);
    if (known !== undefined) {
      if (known.kind === kind && known.elements === elements) return known;
      throw machine.invalid(
        `storage "${key}" is ${elements} elements of ${kind.name} here and ${known.elements} of ${known.kind.name} elsewhere`,
      );
    }
    machine.charge(200);
    const record = this.#open(
      key,
      kind.bytes * elements,
      (data) => new StorageRecord(key, kind, elements, this.#bigEndian, data),
      machine,
    );
    this.#records.set(key, record);
    return record;
  }

  #checkInflation(entry: ZipEntry): void {
    checkInflation(entry, this.#label);
    if (!entry.isDeflated) return;
    this.#inflated += entry.size;
    this.#deflated += entry.compressedSize;
    if (this.#inflated <= MAX_INFLATED_TOTAL || this.#inflated <= this.#deflated * MAX_STORAGE_RATIO) return;
    throw new OrthoError(
      'file/limit',
      `${this.#label}: its records inflate from ${this.#deflated} to more than ${MAX_INFLATED_TOTAL} bytes`,
      { hint: 'PyTorch does not compress storages; the file is hostile or was repacked' },
    );
  }

  #open(
    key: string,
    bytes: number,
    make: (data: SliceSource) => StorageRecord,
    machine: PickleMachine,
  ): StorageRecord {
    const name = `${this.#folder}${key}`;
    const entry = this.#archive.entries.get(name);
    if (entry === undefined) throw machine.invalid(`the archive has no "${name}"`);
    this.#checkInflation(entry);
    if (entry.size < bytes) {
      throw machine.invalid(`"${name}" has ${entry.size} bytes, its storage needs ${bytes}`);
    }
    if (entry.size > bytes) {
      this.findings.push({
        level: 'warning',
        rule: 'long-record',
        message: `"${name}" has ${entry.size} bytes, its storage needs ${bytes}; the rest is ignored`,
        at: { file: this.#label },
      });
    }
    return make(new SliceSource(entry.data, 0, bytes));
  }
}

/** What the archive says of its byte order; little-endian where it is silent. @throws OrthoError checkpoint/invalid */
export const isBigEndian = (archive: ZipArchive, root: string, label: string): boolean => {
  const entry = archive.entries.get(`${root}byteorder`);
  if (entry === undefined) return false;
  const text = entry.size > 16 ? '' : Buffer.from(entry.data.read(0, entry.size)).toString('latin1');
  if (text === 'little' || text === 'big') return text === 'big';
  throw new OrthoError(
    'checkpoint/invalid',
    `${label}: byteorder is ${JSON.stringify(text)}, not "little" or "big"`,
    { hint: 'PyTorch writes one of the two; the file is damaged or was changed' },
  );
};

/** Descriptions are small and all depends on them: their checksums are checked at once. @throws OrthoError checkpoint/invalid */
export const checkChecksum = (entry: ZipEntry, name: string, label: string): void => {
  // A writer that was told not to compute checksums leaves 0.
  if (entry.crc32 === 0 || crc32(entry.data.read(0, entry.size)) === entry.crc32) return;
  throw new OrthoError(
    'checkpoint/invalid',
    `${label}: ${name} does not have the checksum that the archive states`,
    {
      hint: 'the file was damaged after it was written; copy it again',
    },
  );
};

/**
 * The object of one pickle of an archive, which must fill its entry.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, file/limit
 */
export const readPickle = (entry: ZipEntry, root: string, label: string, host: PickleHost): PickleValue => {
  const name = entry.name.slice(root.length);
  if (entry.size > MAX_PICKLE) {
    throw new OrthoError('file/limit', `${label}: ${name} has ${entry.size} bytes (at most ${MAX_PICKLE})`, {
      hint: 'weights belong into records of their own; the file is hostile or was not written by torch.save',
    });
  }
  checkInflation(entry, label);
  checkChecksum(entry, name, label);
  const reader = new PickleReader(entry.data, `${label}: ${name}`);
  const object = unpickle(reader, host);
  if (reader.position === entry.size) return object;
  throw reader.invalid(`${entry.size - reader.position} bytes after the pickle`);
};

const MAX_NAMED = 5;
const named = (entries: readonly ZipEntry[]): string => {
  const shown = entries.slice(0, MAX_NAMED).map(({ name }) => `"${name}"`);
  return `${shown.join(', ')}${entries.length > MAX_NAMED ? ` and ${entries.length - MAX_NAMED} more` : ''}`;
};

/** A writer that computes no checksums, or skips the data, leaves 0; only the empty record has that checksum. */
const hasNoChecksum = ({ crc32: sum, size }: ZipEntry): boolean => sum === 0 && size > 0;

/** One warning for all records without a checksum; nothing is read. */
export const checksumFindings = (archive: ZipArchive, label: string): Finding[] => {
  const absent = [...archive.entries.values()].filter(hasNoChecksum);
  if (absent.length === 0) return [];
  return [
    {
      level: 'warning',
      rule: 'no-checksums',
      message: `${absent.length} records have no checksum, so damage cannot be seen, nor whether their data was ever written: ${named(absent)}`,
      hint: 'torch.save wrote them with compute_crc32=False or under skip_data; ortho inspect --check looks at their bytes',
      at: { file: label },
    },
  ];
};

const damageFinding = ({ name }: ZipEntry, label: string): Finding => ({
  level: 'warning',
  rule: 'checksum-mismatch',
  message: `"${name}" does not have the checksum that the archive states`,
  hint: 'the bytes were changed or damaged after they were written; copy the file again',
  at: { file: label },
});

/** Checksums that turned out wrong while records were read. */
export const damageFindings = (archive: ZipArchive, label: string): Finding[] =>
  [...archive.damaged].map((entry) => damageFinding(entry, label));

const isZero = ({ data }: ZipEntry): boolean => {
  for (const chunk of chunksOf(data)) if (chunk.some((byte) => byte !== 0)) return false;
  return true;
};

/** Reads all records: wrong checksums, and records without one that hold nothing but zeros. */
export const integrityOf = (archive: ZipArchive, label: string): Finding[] => {
  const entries = [...archive.entries.values()];
  const wrong = entries.filter((entry) => !hasNoChecksum(entry) && !hasRightChecksum(entry));
  const empty = entries.filter((entry) => hasNoChecksum(entry) && isZero(entry));
  const findings = wrong.map((entry) => damageFinding(entry, label));
  if (empty.length > 0) {
    findings.push({
      level: 'warning',
      rule: 'no-data',
      message: `${empty.length} records without a checksum hold only zeros: ${named(empty)}`,
      hint: 'their data was probably never written (torch.serialization.skip_data)',
      at: { file: label },
    });
  }
  return findings;
};

/** Extra files that are listed, and bytes of one whose text is shown. */
const MAX_EXTRA = 32;
const MAX_EXTRA_TEXT = 500;

const isText = (text: string): boolean => !/[\ufffd\u0000-\u0008\u000e-\u001f]/.test(text);

/** The files of a folder by name: their text where it is short, else their size; undefined where there are none. */
export const extraFilesOf = (archive: ZipArchive, folder: string): Json | undefined => {
  const found = [...archive.entries.values()].filter(({ name }) => name.startsWith(folder));
  if (found.length === 0) return undefined;
  const shown: Record<string, Json> = Object.create(null);
  for (const { name, size, data } of found.slice(0, MAX_EXTRA)) {
    const text = size > MAX_EXTRA_TEXT ? '\0' : Buffer.from(data.read(0, size)).toString('utf8');
    shown[name.slice(folder.length)] = isText(text) ? text : `${size} bytes`;
  }
  if (found.length > MAX_EXTRA) shown['…'] = `${found.length - MAX_EXTRA} more`;
  return shown;
};
