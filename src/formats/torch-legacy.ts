/**
 * PyTorch's legacy checkpoints (torch.save before 1.6, or with _use_new_zipfile_serialization=False): five pickles back
 * to back (magic number, protocol version, system info, the object, the list of storage keys), then for each key in
 * list order an int64 element count and the raw elements. Opening reads the pickles and the counts only.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { type FileSource, SliceSource } from '../core/source.ts';
import { PickleBudget, type PickleMachine, unpickle } from './pickle.ts';
import { PickleReader } from './pickle-reader.ts';
import { PickleDict, PickleGlobal, PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import type { OpenOptions, WeightFile } from './state-dict.ts';
import { contentOf } from './torch-content.ts';
import { storageKindOf } from './torch-globals.ts';
import { TorchHost } from './torch-host.ts';
import { StorageRecord } from './torch-tensor.ts';

/** The integer that the first pickle holds, and its ten bytes. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const MAGIC_BYTES = '\x8a\n\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.';

/**
 * Whether these first bytes (Latin-1) begin a legacy checkpoint: PROTO, from protocol 4 on FRAME, LONG1, the number;
 * with protocol 1 LONG and the number in digits.
 */
export const startsLegacy = (head: string): boolean =>
  (head.startsWith('\x80') && [2, 11].includes(head.indexOf(MAGIC_BYTES))) ||
  head.startsWith(`L${MAGIC}L\n.`);

const PROTOCOL_VERSION = 1001;
/** The object's pickle ends long before this; the storages behind it are not limited. */
const MAX_PICKLE = 64 * 1024 * 1024;

/** Storage keys are addresses in decimal. */
const MAX_KEY = 256;

class LegacyStorages {
  readonly records = new Map<string, StorageRecord>();

  /** Answers `('storage', class, key, location, elements, view)` and `('module', class, file, source)`. */
  resolve(id: PickleValue, machine: PickleMachine): PickleValue {
    const items = id instanceof PickleTuple ? id.items : [];
    const [tag, type, key, , elements, view] = items;
    if (tag === 'module' && type instanceof PickleGlobal) return type;
    if (tag !== 'storage' || items.length < 5 || items.length > 6)
      throw machine.invalid('a persistent id that is no storage');
    const kind = storageKindOf(type);
    if (kind === undefined) throw machine.invalid('a storage of an unknown class');
    if (typeof key !== 'string' || key.length > MAX_KEY)
      throw machine.invalid('a storage without a usable key');
    const isCount = typeof elements === 'number' && Number.isInteger(elements) && elements >= 0;
    if (!isCount || !Number.isSafeInteger(elements * kind.bytes)) {
      throw machine.invalid(`storage "${key}" of ${textOf(elements)} elements`);
    }
    const known = this.records.get(key);
    const record = known ?? new StorageRecord(key, kind, elements, false);
    if (record.kind !== kind || record.elements !== elements) {
      throw machine.invalid(
        `storage "${key}" is ${elements} elements of ${kind.name} here and ${record.elements} of ${record.kind.name} elsewhere`,
      );
    }
    if (known === undefined) {
      machine.charge(200);
      this.records.set(key, record);
    }
    return view === null || view === undefined ? record : this.#view(record, view, machine);
  }

  /** A part of a storage under a key of its own: `(view key, offset, elements)`, as PyTorch before 0.4 shared them. */
  #view(root: StorageRecord, view: PickleValue, machine: PickleMachine): StorageRecord {
    const [key, offset, elements] = view instanceof PickleTuple ? view.items : [];
    const isCount = (value: PickleValue | undefined): value is number =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
    if (!isCount(offset) || !isCount(elements)) throw machine.invalid('a malformed storage view');
    if (offset + elements > root.elements) throw machine.invalid(`a view that leaves storage "${root.key}"`);
    const name = `${root.key}/${textOf(key)}`;
    const known = this.views.get(name);
    if (known !== undefined) {
      if (known.offset === offset && known.record.elements === elements) return known.record;
      throw machine.invalid(`two views of storage "${root.key}" with one key`);
    }
    machine.charge(200);
    const record = new StorageRecord(name, root.kind, elements, false);
    this.views.set(name, { record, root, offset });
    return record;
  }
  readonly views = new Map<string, { record: StorageRecord; root: StorageRecord; offset: number }>();
}

const int64 = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0, true));

/** Gives every storage its place in the file; returns where the last one ends. */
const placeStorages = (
  source: FileSource,
  label: string,
  start: number,
  keys: PickleValue,
  storages: LegacyStorages,
): number => {
  const invalid = (message: string) =>
    new OrthoError('checkpoint/invalid', `${label}: ${message}`, {
      hint: 'the file is cut off or damaged; copy it again',
      at: { file: label },
    });
  if (!Array.isArray(keys)) throw invalid('the list of storage keys is no list');
  let at = start;
  for (const key of keys as PickleValue[]) {
    const record = typeof key === 'string' ? storages.records.get(key) : undefined;
    if (record === undefined)
      throw invalid(`storage ${JSON.stringify(textOf(key))} is listed but nothing uses it`);
    if (record.data !== undefined) throw invalid(`storage "${record.key}" is listed twice`);
    if (at + 8 > source.size) throw invalid(`it ends before storage "${record.key}"`);
    const count = int64(source.read(at, 8));
    if (count !== record.elements) {
      throw invalid(
        `storage "${record.key}" has ${count} elements, its tensors were told ${record.elements}`,
      );
    }
    at += 8;
    if (at + record.byteLength > source.size) {
      throw invalid(`storage "${record.key}" needs ${record.byteLength} bytes, ${source.size - at} are left`);
    }
    record.data = new SliceSource(source, at, record.byteLength);
    at += record.byteLength;
  }
  for (const record of storages.records.values()) {
    if (record.data === undefined) throw invalid(`storage "${record.key}" is used but not in the file`);
  }
  for (const { record, root, offset } of storages.views.values()) {
    record.data = new SliceSource(root.data!, offset * root.kind.bytes, record.byteLength);
  }
  return at;
};

/**
 * torch writes legacy storages in little-endian order on every machine, but says `little_endian: False` on big-endian
 * ones; older versions and other writers mean it. Nothing in the file tells the two apart.
 */
const checkSystem = (info: PickleValue, label: string): void => {
  const isLittle = info instanceof PickleDict ? info.entries.get('little_endian') : undefined;
  if (isLittle === true) return;
  if (isLittle === false) {
    throw new OrthoError(
      'checkpoint/unsupported',
      `${label}: a legacy checkpoint from a big-endian machine`,
      {
        hint: 'its byte order cannot be told for certain; load it there and save it in the zip format',
      },
    );
  }
  throw new OrthoError(
    'checkpoint/invalid',
    `${label}: the system info of the legacy checkpoint is malformed`,
  );
};

const readLegacy = (source: FileSource, label: string, host: TorchHost, storages: LegacyStorages) => {
  let position = 0;
  const next = (what: string): PickleValue => {
    const end = Math.min(source.size, position + MAX_PICKLE);
    const reader = new PickleReader(source, `${label}: ${what}`, position, end);
    const value = unpickle(reader, host);
    position = reader.position;
    return value;
  };
  if (next('magic number') !== MAGIC) {
    throw new OrthoError('checkpoint/invalid', `${label}: the magic number of the legacy format is wrong`);
  }
  const version = next('protocol version');
  if (version !== PROTOCOL_VERSION) {
    throw new OrthoError(
      'checkpoint/unsupported',
      `${label}: legacy protocol ${textOf(version)} (1001 is known)`,
      { hint: 'load it with the PyTorch that wrote it and save it in the zip format' },
    );
  }
  checkSystem(next('system info'), label);
  const object = next('object');
  const keys = next('storage keys');
  const end = placeStorages(source, label, position, keys, storages);
  const content = contentOf(object, label);
  if (!content.hasModule) host.refuseCalls();
  const findings: Finding[] = [...content.findings, ...host.findings(label)];
  if (end < source.size) {
    findings.push({
      level: 'warning',
      rule: 'trailing-bytes',
      message: `${source.size - end} bytes follow the last storage; they are ignored`,
      at: { file: label },
    });
  }
  return {
    format: 'torch-legacy' as const,
    stateDicts: content.stateDicts,
    globals: host.globals(),
    metadata: content.metadata,
    findings,
  };
};

/**
 * Opens a legacy checkpoint.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const openTorchLegacy = (source: FileSource, options: OpenOptions = {}): WeightFile => {
  const label = source.path;
  const storages = new LegacyStorages();
  const host = new TorchHost(
    (id, machine) => storages.resolve(id, machine),
    options,
    new PickleBudget(source.size),
  );
  const read = host.reading('torch-legacy', label, () => readLegacy(source, label, host, storages));
  return { ...read, close: () => source.close() };
};
