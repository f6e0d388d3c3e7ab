/**
 * `.metadata` of a torch.distributed.checkpoint folder: a pickled `Metadata` object, which says for every key how large
 * its tensor is, in which parts it was saved, and at which bytes of which file each part lies.
 *
 * Read as records only: the attributes of Metadata, TensorStorageMetadata, TensorProperties, ChunkStorageMetadata,
 * BytesStorageMetadata, MetadataIndex and _StorageInfo, as torch/distributed/checkpoint/{metadata,filesystem}.py has
 * them.
 */
import type { DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import { elementCount } from '../core/tensor.ts';
import { tilingFault } from '../core/tiled-source.ts';
import { PickleBudget, type PickleMachine, unpickle } from './pickle.ts';
import { PickleReader } from './pickle-reader.ts';
import {
  PickleDict,
  PickleGlobal,
  PickleObject,
  PickleTuple,
  type PickleValue,
  textOf,
} from './pickle-values.ts';
import type { GlobalUse, OpenOptions } from './state-dict.ts';
import { TorchHost } from './torch-host.ts';
import { TORCH_DTYPES } from './torch-tensor.ts';

/** Bytes of `.metadata`: a few hundred a part of a tensor. */
const MAX_METADATA = 64 * 1024 * 1024;
/** Estimated bytes of its objects: enough for a hundred thousand parts, as large models on many processes have them. */
const MAX_OBJECTS_MEMORY = 512 * 1024 * 1024;
/** Parts of one tensor: one a process that saved it. */
const MAX_CHUNKS = 65_536;
const MAX_PATH = 64;

/** Where one item lies. */
export interface DcpPlace {
  /** As the metadata names it, relative to the folder. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

export interface DcpChunk {
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  readonly place: DcpPlace;
}

/** A tensor, whose chunks cover it exactly, or one that cannot be read. */
export interface DcpTensor {
  readonly dtype: DType | undefined;
  /** The name of its dtype in PyTorch. */
  readonly torchDtype: string;
  readonly dims: readonly number[];
  readonly chunks: readonly DcpChunk[];
}

export interface DcpEntry {
  /** The key as it was saved. */
  readonly key: string;
  /** Where it lay in the nested state dict; list places are numbers. */
  readonly path: readonly (string | number)[];
  /** A tensor, or the place of a pickled object. */
  readonly content: DcpTensor | DcpPlace;
}

/** The classes of the metadata: known, and never more than records. */
const CLASSES: ReadonlySet<string> = new Set([
  ...[
    'Metadata',
    'MetadataIndex',
    'TensorStorageMetadata',
    'BytesStorageMetadata',
    'ChunkStorageMetadata',
    'TensorProperties',
    'StorageMeta',
    '_MEM_FORMAT_ENCODING',
  ].map((name) => `torch.distributed.checkpoint.metadata.${name}`),
  'torch.distributed._shard.sharded_tensor.metadata.TensorProperties',
  'torch.distributed._shard.sharded_tensor.metadata.MEM_FORMAT_ENCODING',
  'torch.distributed.checkpoint.filesystem._StorageInfo',
]);

/** Answers for the pickles of `.metadata`. */
export class DcpHost extends TorchHost {
  /** `bytes`: those of the file. */
  constructor(options: OpenOptions, bytes: number) {
    super(
      (_, machine) => {
        throw machine.invalid('a storage in the metadata');
      },
      options,
      new PickleBudget(bytes, MAX_OBJECTS_MEMORY),
    );
  }
  override call(callable: PickleValue, args: readonly PickleValue[], machine: PickleMachine): PickleValue {
    // Enumerations are called with their value.
    return callable instanceof PickleGlobal && CLASSES.has(callable.qualified)
      ? this.create(callable, args, machine)
      : super.call(callable, args, machine);
  }
  override globals(): GlobalUse[] {
    return super
      .globals()
      .map((use) => (use.kind === 'opaque' && CLASSES.has(use.name) ? { ...use, kind: 'data' } : use));
  }
}

type Invalid = (message: string) => OrthoError;

const isObject = (value: PickleValue | undefined, name: string): value is PickleObject =>
  value instanceof PickleObject && value.type.name === name;

/** A torch.Size, list or tuple of sizes. */
const sizesOf = (value: PickleValue | undefined, what: string, invalid: Invalid): number[] => {
  const items =
    value instanceof PickleTuple ? value.items : Array.isArray(value) ? (value as PickleValue[]) : undefined;
  if (items === undefined || items.length > MAX_PATH) throw invalid(`${what} is no list of sizes`);
  return items.map((item) => {
    if (typeof item === 'number' && Number.isSafeInteger(item) && item >= 0) return item;
    throw invalid(`${what} holds ${textOf(item)}`);
  });
};

const placeKey = (key: string, offsets: readonly number[] | undefined): string =>
  offsets === undefined ? key : `${key}\0${offsets.join(',')}`;

/** storage_data: MetadataIndex to _StorageInfo. */
const placesOf = (value: PickleValue | undefined, invalid: Invalid): Map<string, DcpPlace> => {
  if (!(value instanceof PickleDict)) throw invalid('it has no storage_data');
  const places = new Map<string, DcpPlace>();
  for (const [index, info] of value.entries) {
    const key = isObject(index, 'MetadataIndex') ? index.attribute('fqn') : undefined;
    if (typeof key !== 'string' || !isObject(index, 'MetadataIndex'))
      throw invalid('storage_data has an odd index');
    if (!isObject(info, '_StorageInfo')) throw invalid(`the place of "${textOf(key)}" is not known`);
    const offset = index.attribute('offset') ?? null;
    const name = placeKey(
      key,
      offset === null ? undefined : sizesOf(offset, `the offset of "${textOf(key)}"`, invalid),
    );
    if (places.has(name)) throw invalid(`a part of "${textOf(key)}" has two places`);
    places.set(name, placeOf(info, key, invalid));
  }
  return places;
};

/** No two items share bytes: a small file could stand for endless tensors. @throws the error made by `invalid` */
const checkApart = (places: readonly (readonly [string, DcpPlace])[], invalid: Invalid): void => {
  const sorted = places.toSorted(
    ([, a], [, b]) => (a.file === b.file ? 0 : a.file < b.file ? -1 : 1) || a.offset - b.offset,
  );
  for (let i = 1; i < sorted.length; i++) {
    const [[before, { file, offset, length }], [after, next]] = [sorted[i - 1]!, sorted[i]!];
    if (file !== next.file || length === 0 || next.length === 0 || offset + length <= next.offset) continue;
    throw invalid(`${shown(before)} and ${shown(after)} share bytes of "${textOf(file)}"`);
  }
};

/** The key of a place, for messages. */
const shown = (name: string): string => `"${textOf(name.split('\0')[0])}"`;

const placeOf = (info: PickleObject, key: string, invalid: Invalid): DcpPlace => {
  const file = info.attribute('relative_path');
  const offset = info.attribute('offset');
  const length = info.attribute('length');
  const transforms = info.attribute('transform_descriptors') ?? null;
  const isSize = (value: PickleValue | undefined): value is number =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  if (typeof file !== 'string' || !isSize(offset) || !isSize(length)) {
    throw invalid(`the place of "${textOf(key)}" is ${textOf(file)}, ${textOf(offset)}, ${textOf(length)}`);
  }
  if (transforms !== null && !(Array.isArray(transforms) && transforms.length === 0)) {
    throw new OrthoError(
      'checkpoint/unsupported',
      `${invalid('').message}"${textOf(key)}" was saved through a transform`,
      {
        hint: 'compressed or encrypted checkpoints are not read; save again without stream extensions',
      },
    );
  }
  return { file, offset, length };
};

const tensorOf = (
  key: string,
  value: PickleObject,
  places: ReadonlyMap<string, DcpPlace>,
  used: Set<string>,
  invalid: Invalid,
): DcpTensor => {
  const properties = value.attribute('properties');
  const state = properties instanceof PickleObject ? properties.state : undefined;
  const type =
    state instanceof PickleTuple
      ? state.items[0]
      : (properties as PickleObject | undefined)?.attribute?.('dtype');
  if (!(type instanceof PickleGlobal)) throw invalid(`"${textOf(key)}" has no dtype`);
  const dims = sizesOf(value.attribute('size'), `the size of "${textOf(key)}"`, invalid);
  const parts = value.attribute('chunks');
  if (!Array.isArray(parts)) throw invalid(`"${textOf(key)}" has no list of chunks`);
  if (parts.length > MAX_CHUNKS)
    throw invalid(`"${textOf(key)}" has ${parts.length} chunks (at most ${MAX_CHUNKS})`);
  const chunks = (parts as PickleValue[]).map((part): DcpChunk => {
    if (!isObject(part, 'ChunkStorageMetadata'))
      throw invalid(`a chunk of "${textOf(key)}" is ${textOf(part)}`);
    const offsets = sizesOf(part.attribute('offsets'), `a chunk of "${textOf(key)}"`, invalid);
    const sizes = sizesOf(part.attribute('sizes'), `a chunk of "${textOf(key)}"`, invalid);
    const name = placeKey(key, offsets);
    const place = places.get(name);
    if (place === undefined)
      throw invalid(`the chunk [${offsets.join(', ')}] of "${textOf(key)}" has no place`);
    used.add(name);
    return { offsets, sizes, place };
  });
  checkCount(key, dims, invalid);
  const fault = tilingFault(dims, chunks);
  if (fault !== undefined) throw invalid(`"${textOf(key)}" [${dims.join(', ')}]: ${fault}`);
  return { dtype: TORCH_DTYPES.get(type.name), torchDtype: type.name, dims, chunks };
};

const checkCount = (key: string, dims: readonly number[], invalid: Invalid): void => {
  try {
    elementCount(dims);
  } catch {
    throw invalid(`the number of elements of "${textOf(key)}" [${dims.join(', ')}] overflows`);
  }
};

/** Where the keys lay before the planner flattened them; keys it says nothing of are at the top. */
const pathOf = (key: string, planner: PickleValue | undefined): (string | number)[] => {
  const path = planner instanceof PickleDict ? planner.entries.get(key) : undefined;
  if (!(path instanceof PickleTuple) || path.items.length === 0 || path.items.length > MAX_PATH) return [key];
  const parts = path.items.filter(
    (part): part is string | number =>
      typeof part === 'string' || (typeof part === 'number' && Number.isSafeInteger(part) && part >= 0),
  );
  return parts.length === path.items.length ? parts : [key];
};

export interface DcpMetadata {
  readonly entries: readonly DcpEntry[];
  /** Keys that have bytes in the files and are no part of the state dict. */
  readonly strays: readonly string[];
}

/**
 * Reads `.metadata`.
 * @throws OrthoError checkpoint/invalid (also where the chunks of a tensor do not cover it exactly once),
 *   checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const readDcpMetadata = (path: string, host: DcpHost): DcpMetadata => {
  const source = new FileSource(path);
  const invalid: Invalid = (message) =>
    new OrthoError('checkpoint/invalid', `${path}: ${message}`, {
      hint: 'the metadata of the distributed checkpoint is damaged; copy the folder again',
      at: { file: path },
    });
  try {
    if (source.size > MAX_METADATA) {
      throw new OrthoError('file/limit', `${path}: ${source.size} bytes (at most ${MAX_METADATA})`);
    }
    const root = unpickle(new PickleReader(source, path), host);
    host.refuseCalls();
    if (!isObject(root, 'Metadata')) throw invalid('it holds no Metadata object');
    const items = root.attribute('state_dict_metadata');
    if (!(items instanceof PickleDict)) throw invalid('it has no state_dict_metadata');
    const places = placesOf(root.attribute('storage_data'), invalid);
    const planner = root.attribute('planner_data');
    const used = new Set<string>();
    const entries: DcpEntry[] = [];
    for (const [key, value] of items.entries) {
      if (typeof key !== 'string') throw invalid(`a key is ${textOf(key)}`);
      let content: DcpTensor | DcpPlace | undefined;
      if (isObject(value, 'TensorStorageMetadata')) content = tensorOf(key, value, places, used, invalid);
      else if (isObject(value, 'BytesStorageMetadata')) content = places.get(key);
      else throw invalid(`"${textOf(key)}" is ${textOf(value)}`);
      if (content === undefined) throw invalid(`"${textOf(key)}" has no place`);
      used.add(key);
      entries.push({ key, path: pathOf(key, planner), content });
    }
    checkApart(
      [...places].filter(([name]) => used.has(name)),
      invalid,
    );
    const strays = [...places.keys()].filter((name) => !used.has(name)).map((name) => name.split('\0')[0]!);
    return { entries, strays: [...new Set(strays)] };
  } finally {
    source.close();
  }
};
