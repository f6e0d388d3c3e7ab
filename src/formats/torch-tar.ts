/**
 * PyTorch's first container (torch.save before 0.1.12): a tar archive of three members.
 *
 *   storages: pickle(count); per storage pickle((key, location, class)), int64 elements, raw elements;
 *             pickle([(view key, root key, offset, elements), ...])
 *   tensors:  pickle(count); per tensor pickle((key, storage key, class)), int32 dimensions, 4 bytes unused,
 *             int64 sizes, int64 strides, int64 offset
 *   pickle:   the object, whose persistent ids are tensor or storage keys, or (module class, file, source)
 *
 * All numbers are little-endian, keys are integers. Opening reads the pickles and geometries; storages stay in the file.
 */
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, type FileSource, SliceSource } from '../core/source.ts';
import { PickleBudget, type PickleMachine, unpickle } from './pickle.ts';
import { PickleReader } from './pickle-reader.ts';
import { PickleGlobal, PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import type { OpenOptions, WeightFile } from './state-dict.ts';
import { type TarMember, tarMembers } from './tar.ts';
import { contentOf } from './torch-content.ts';
import { storageKindOf } from './torch-globals.ts';
import { TorchHost } from './torch-host.ts';
import { makeTensor, type RefusedTensor, StorageRecord, TensorRecord } from './torch-tensor.ts';

const MEMBERS: readonly string[] = ['storages', 'tensors', 'pickle'];
/** Storages, and tensors, of one file. */
const MAX_RECORDS = 20_000;
const MAX_RANK = 64;

/** A storage, or a part of one: `elements` of `root` from `base`. */
interface Region {
  readonly root: StorageRecord;
  readonly base: number;
  readonly elements: number;
}

/** Python's integers, or text of their digits. */
const keyOf = (value: PickleValue | undefined): string | undefined => {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? value : undefined;
};

/** One member, read from front to back: pickles with raw numbers between them. */
class MemberReader {
  readonly #source: ByteSource;
  readonly #reader: PickleReader;
  readonly #host: TorchHost;

  constructor({ name, data }: TarMember, label: string, host: TorchHost) {
    this.#source = data;
    this.#reader = new PickleReader(data, `${label}: ${name}`);
    this.#host = host;
  }
  get invalid(): (message: string) => OrthoError {
    return (message) => this.#reader.invalid(message);
  }
  pickle(): PickleValue {
    return unpickle(this.#reader, this.#host);
  }
  /** A pickled count of `what`. */
  count(what: string): number {
    const count = this.pickle();
    if (typeof count !== 'number' || !Number.isInteger(count) || count < 0) {
      throw this.invalid(`${textOf(count)} ${what}`);
    }
    if (count > MAX_RECORDS) {
      throw new OrthoError('file/limit', `${this.#reader.label}: ${count} ${what} (at most ${MAX_RECORDS})`, {
        hint: 'no model of that time had as many; the file is hostile or damaged',
      });
    }
    return count;
  }
  /** A pickled tuple of three. */
  triple(what: string): readonly PickleValue[] {
    const value = this.pickle();
    if (value instanceof PickleTuple && value.items.length === 3) return value.items;
    throw this.invalid(`a malformed ${what}`);
  }
  /** The bytes that come next, unread. */
  skip(length: number): SliceSource {
    this.#reader.checkLeft(length);
    const bytes = new SliceSource(this.#source, this.#reader.position, length);
    this.#reader.position += length;
    return bytes;
  }
  int64s(count: number): number[] {
    const bytes = this.skip(8 * count).read(0, 8 * count);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return Array.from({ length: count }, (_, i) => Number(view.getBigInt64(8 * i, true)));
  }
  int32(): number {
    const bytes = this.skip(4).read(0, 4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getInt32(0, true);
  }
  end(): void {
    const left = this.#source.size - this.#reader.position;
    if (left > 0) throw this.invalid(`${left} bytes are left over`);
  }
}

const readStorages = (reader: MemberReader): Map<string, Region> => {
  const regions = new Map<string, Region>();
  const add = (value: PickleValue | undefined, region: (key: string) => Region): void => {
    const key = keyOf(value);
    if (key === undefined) throw reader.invalid(`a storage with the key ${textOf(value)}`);
    if (regions.has(key)) throw reader.invalid(`storage ${key} comes twice`);
    regions.set(key, region(key));
  };
  const count = reader.count('storages');
  for (let i = 0; i < count; i++) {
    const [key, , type] = reader.triple('storage');
    const kind = storageKindOf(type);
    if (kind === undefined) throw reader.invalid('a storage of an unknown class');
    const [elements = 0] = reader.int64s(1);
    if (!(elements >= 0 && Number.isSafeInteger(elements * kind.bytes))) {
      throw reader.invalid(`storage ${textOf(key)} of ${elements} elements`);
    }
    const data = reader.skip(elements * kind.bytes);
    add(key, (name) => ({ root: new StorageRecord(name, kind, elements, false, data), base: 0, elements }));
  }
  const views = reader.pickle();
  if (!Array.isArray(views)) throw reader.invalid('the list of storage views is no list');
  for (const view of views as PickleValue[]) {
    const [target, rootKey, offset, elements] = view instanceof PickleTuple ? view.items : [];
    const root = regions.get(keyOf(rootKey) ?? '');
    const isInside =
      typeof offset === 'number' &&
      typeof elements === 'number' &&
      Number.isInteger(offset) &&
      Number.isInteger(elements) &&
      Math.min(offset, elements) >= 0 &&
      offset + elements <= (root?.elements ?? -1);
    if (root === undefined || !isInside) throw reader.invalid(`a view that leaves its storage`);
    add(target, () => ({ root: root.root, base: root.base + offset, elements }));
  }
  reader.end();
  return regions;
};

/** A region as a storage of its own. */
const storageOf = (key: string, { root, base, elements }: Region): StorageRecord => {
  const { kind, data } = root;
  const bytes = data && new SliceSource(data, base * kind.bytes, elements * kind.bytes);
  return new StorageRecord(key, kind, elements, false, bytes);
};

/** `torch.FloatTensor` beside `torch.FloatStorage`; other classes say nothing about the elements. */
const checkType = (type: PickleValue | undefined, region: Region, reader: MemberReader): void => {
  if (!(type instanceof PickleGlobal)) throw reader.invalid('a tensor without a class');
  if (type.module.includes('sparse')) {
    throw new OrthoError('checkpoint/unsupported', reader.invalid('a sparse tensor').message, {
      hint: 'store it dense (tensor.to_dense()) in Python',
    });
  }
  const stated = storageKindOf(new PickleGlobal(type.module, type.name.replace(/Tensor$/, 'Storage')));
  if (stated !== undefined && stated !== region.root.kind) {
    throw reader.invalid(`a ${type.name} over a ${region.root.kind.name}`);
  }
};

/** The region of a tensor without a storage, which has no elements. */
const emptyRegion = (type: PickleValue | undefined, reader: MemberReader): Region => {
  const name = type instanceof PickleGlobal ? type.name.replace(/Tensor$/, 'Storage') : '';
  const kind = storageKindOf(new PickleGlobal('torch', name));
  if (kind === undefined) throw reader.invalid(`a tensor without a storage of the class ${textOf(type)}`);
  return { root: new StorageRecord('', kind, 0, false, reader.skip(0)), base: 0, elements: 0 };
};

const readTensor = (region: Region, reader: MemberReader): TensorRecord | RefusedTensor => {
  const rank = reader.int32();
  reader.skip(4);
  if (rank < 0 || rank > MAX_RANK) throw reader.invalid(`a tensor of ${rank} dimensions`);
  const sizes = reader.int64s(rank);
  const strides = reader.int64s(rank);
  const [offset = 0] = reader.int64s(1);
  // PyTorch had no 0-d tensors then: what has no dimensions is empty.
  const isEmpty = rank === 0 && region.elements === 0;
  const { root, base, elements } = region;
  const part = new StorageRecord(root.key, root.kind, elements, false);
  const tensor = makeTensor(
    {
      storage: part,
      offset,
      size: isEmpty ? [0] : sizes,
      stride: isEmpty ? [1] : strides,
      conjugated: false,
      negated: false,
    },
    reader.invalid,
  );
  return tensor instanceof TensorRecord
    ? new TensorRecord({ ...tensor, storage: root, offset: base + offset })
    : tensor;
};

const readTensors = (
  reader: MemberReader,
  regions: ReadonlyMap<string, Region>,
): Map<string, TensorRecord | RefusedTensor> => {
  const tensors = new Map<string, TensorRecord | RefusedTensor>();
  const count = reader.count('tensors');
  for (let i = 0; i < count; i++) {
    const [id, storageId, type] = reader.triple('tensor');
    const key = keyOf(id);
    if (key === undefined || tensors.has(key)) throw reader.invalid(`a tensor with the key ${textOf(id)}`);
    const region = storageId === null ? emptyRegion(type, reader) : regions.get(keyOf(storageId) ?? '');
    if (region === undefined)
      throw reader.invalid(`tensor ${key} over the unknown storage ${textOf(storageId)}`);
    checkType(type, region, reader);
    tensors.set(key, readTensor(region, reader));
  }
  reader.end();
  return tensors;
};

/** The three members. @throws OrthoError checkpoint/invalid, and checkpoint/unsupported for another tar archive */
const membersOf = (
  source: FileSource,
  label: string,
): { parts: Map<string, TarMember>; others: string[] } => {
  const invalid = (message: string): OrthoError =>
    new OrthoError('checkpoint/invalid', `${label}: a tar archive, but ${message}`, {
      hint: 'the file is cut off, damaged, or was packed with a tar tool; unpack it and look',
      at: { file: label },
    });
  const parts = new Map(tarMembers(source, invalid).map((member) => [member.name, member]));
  const others = [...parts.keys()].filter((name) => !MEMBERS.includes(name));
  if (parts.size - others.length === MEMBERS.length) return { parts, others };
  const missing = MEMBERS.filter((name) => !parts.has(name));
  if (missing.length < MEMBERS.length) throw invalid(`it lacks "${missing.join('" and "')}"`);
  const shown = [...parts.keys()].slice(0, 3).map((name) => JSON.stringify(name.slice(0, 80)));
  throw new OrthoError(
    'checkpoint/unsupported',
    `${label}: a tar archive without the members of PyTorch's old container (it has ${shown.join(', ') || 'none'})`,
    { hint: 'unpack it (tar xf) and give the checkpoint inside', at: { file: label } },
  );
};

/**
 * Opens a tar checkpoint.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const openTorchTar = (source: FileSource, options: OpenOptions = {}): WeightFile => {
  const label = source.path;
  const { parts, others } = membersOf(source, label);
  let regions: ReadonlyMap<string, Region> = new Map();
  let tensors: ReadonlyMap<string, TensorRecord | RefusedTensor> = new Map();
  const persistent = (id: PickleValue, machine: PickleMachine): PickleValue => {
    const [type] = id instanceof PickleTuple ? id.items : [];
    if (type instanceof PickleGlobal) return type;
    const key = keyOf(id) ?? '';
    const region = regions.get(key);
    const found = tensors.get(key) ?? (region === undefined ? undefined : storageOf(key, region));
    if (found === undefined) throw machine.invalid(`a persistent id that is no tensor: ${textOf(id)}`);
    return found;
  };
  const host = new TorchHost(persistent, options, new PickleBudget(source.size));
  const read = host.reading('torch-tar', label, () => {
    const readerOf = (name: string) => new MemberReader(parts.get(name)!, label, host);
    regions = readStorages(readerOf('storages'));
    tensors = readTensors(readerOf('tensors'), regions);
    const reader = readerOf('pickle');
    const object = reader.pickle();
    reader.end();
    const content = contentOf(object, label);
    if (!content.hasModule) host.refuseCalls();
    const findings = [...content.findings, ...host.findings(label)];
    if (others.length > 0) {
      findings.push({
        level: 'warning',
        rule: 'extra-members',
        message: `${others.length} members are none of a checkpoint's (${JSON.stringify(others[0]?.slice(0, 80))}); they are ignored`,
        at: { file: label },
      });
    }
    return {
      format: 'torch-tar' as const,
      stateDicts: content.stateDicts,
      globals: host.globals(),
      metadata: content.metadata,
      findings,
    };
  });
  return { ...read, close: () => source.close() };
};
