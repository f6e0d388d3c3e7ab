/**
 * Folders of torch.distributed.checkpoint: `.metadata` says what there is, the `__RANK_N.distcp` files hold it. Tensors
 * that several processes saved in parts are joined as they are read; the nested state dict is put together again, and
 * from there on it is looked at as one that torch.save wrote (torch-content.ts).
 */
import { dirname } from 'node:path';
import { byteLengthOf, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { type ByteSource, FilePool, FileSource, SliceSource } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import { TiledSource } from '../core/tiled-source.ts';
import { type DcpEntry, DcpHost, type DcpPlace, type DcpTensor, readDcpMetadata } from './dcp-metadata.ts';
import { RecordSource, recordArchive, recordObject } from './dcp-record.ts';
import { locateInside } from './inside-folder.ts';
import { PickleBudget } from './pickle.ts';
import { NumpyArray } from './pickle-numpy.ts';
import { judge } from './pickle-survey.ts';
import { PickleDict, type PickleValue, textOf } from './pickle-values.ts';
import { mergedGlobals } from './shard-index.ts';
import type { OpenOptions, WeightFile } from './state-dict.ts';
import { integrityOf } from './torch-archive.ts';
import { contentOf } from './torch-content.ts';
import type { TorchHost } from './torch-host.ts';
import { RefusedTensor } from './torch-tensor.ts';

/** Files of one checkpoint: one or a few a process. */
const MAX_FILES = 100_000;
/** Items of tensors whose pickles are judged when the folder is only described. */
const MAX_JUDGED = 100;
/** Objects that are no tensors and are read for the metadata; the least nested come first. */
const MAX_OBJECTS = 1000;

/** The files of a checkpoint, opened when they are first needed. */
class DcpFiles {
  readonly #metadata: string;
  readonly #files = new Map<string, FileSource>();
  readonly #pool = new FilePool();

  constructor(metadata: string) {
    this.#metadata = metadata;
  }

  /** The bytes of an item. @throws OrthoError checkpoint/invalid for paths outside and ranges beyond the end */
  open(key: string, { file: name, offset, length }: DcpPlace): ByteSource {
    let file = this.#files.get(name);
    if (file === undefined) {
      if (this.#files.size >= MAX_FILES) {
        throw new OrthoError('file/limit', `${this.#metadata}: more than ${MAX_FILES} files`);
      }
      file = new FileSource(locateInside(dirname(this.#metadata), name, this.#metadata), this.#pool);
      this.#files.set(name, file);
    }
    if (offset + length <= file.size) return new SliceSource(file, offset, length);
    throw new OrthoError(
      'checkpoint/invalid',
      `${file.path}: "${textOf(key)}" is said to end at byte ${offset + length}, the file at ${file.size}`,
      {
        hint: 'the file is cut off or of another checkpoint; copy the folder again',
        at: { file: file.path },
      },
    );
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
  }
}

const labelOf = (item: ByteSource, key: string): string => `${item.path}: "${textOf(key)}"`;

/** A tensor of the checkpoint, its parts joined. */
const tensorOf = (key: string, content: DcpTensor, files: DcpFiles): Tensor | RefusedTensor => {
  const { dtype, dims, chunks } = content;
  if (dtype === undefined || dtypeInfo(dtype).bits < 8) {
    return new RefusedTensor(`a tensor of torch.${content.torchDtype}`, 'save it as another dtype in Python');
  }
  const tiles = chunks.map(({ offsets, sizes, place }) => {
    const item = files.open(key, place);
    const bytes = byteLengthOf(dtype, elementCount(sizes));
    if (item.size < bytes) {
      throw new OrthoError(
        'checkpoint/invalid',
        `${labelOf(item, key)}: ${bytes} bytes lie in an item of ${item.size}`,
        {
          hint: 'the metadata belongs to another checkpoint, or is damaged',
        },
      );
    }
    return { offsets, sizes, data: new RecordSource(item, labelOf(item, key), dtype, sizes) };
  });
  const [only] = tiles;
  const isWhole = tiles.length === 1 && only !== undefined && only.data.size > 0;
  const data = isWhole ? only.data : new TiledSource(dtypeInfo(dtype).bits / 8, dims, tiles);
  return { dtype, dims, data };
};

/**
 * Puts a value at its place in the nested dicts and lists; false where something else is there, or where lists would get
 * more empty places than `room` has left.
 */
const put = (
  root: PickleDict,
  path: readonly (string | number)[],
  value: PickleValue,
  room: { left: number },
): boolean => {
  let at: PickleDict | PickleValue[] = root;
  for (const [depth, part] of path.entries()) {
    const isLast = depth === path.length - 1;
    const found: PickleValue | undefined =
      at instanceof PickleDict ? at.entries.get(part) : typeof part === 'number' ? at[part] : undefined;
    const isFree = found === undefined || (Array.isArray(at) && found === null);
    const next: PickleValue = isFree
      ? isLast
        ? value
        : typeof path[depth + 1] === 'number'
          ? []
          : new PickleDict()
      : found;
    if (!isFree && (isLast || !(next instanceof PickleDict || Array.isArray(next)))) return false;
    if (at instanceof PickleDict) at.entries.set(part, next);
    else if (typeof part !== 'number') return false;
    else {
      const empty = Math.max(0, part - at.length);
      if (empty > room.left) return false;
      room.left -= empty;
      for (let i = 0; i < empty; i++) at.push(null);
      at[part] = next;
    }
    if (!isLast) at = next as PickleDict | PickleValue[];
  }
  return true;
};

const isTensor = (content: DcpEntry['content']): content is DcpTensor => 'chunks' in content;

/** The objects that are read for the metadata. */
const readObjects = (entries: readonly DcpEntry[]): DcpEntry[] =>
  entries
    .filter(({ content }) => !isTensor(content))
    .sort((a, b) => a.path.length - b.path.length)
    .slice(0, MAX_OBJECTS);

/** The nested state dict; what is no tensor is unpickled. */
const treeOf = (
  entries: readonly DcpEntry[],
  files: DcpFiles,
  options: OpenOptions,
): { readonly root: PickleDict; readonly hosts: readonly TorchHost[]; readonly unread: number } => {
  const root = new PickleDict();
  const room = { left: entries.length };
  const hosts: TorchHost[] = [];
  const objects = entries.filter(({ content }) => !isTensor(content)).length;
  const isRead = new Set(readObjects(entries));
  let bytes = 0;
  for (const { content } of isRead) if (!isTensor(content)) bytes += content.length;
  const budget = new PickleBudget(bytes);
  for (const entry of entries) {
    const { key, path, content } = entry;
    let value: PickleValue;
    if (isTensor(content)) {
      const tensor = tensorOf(key, content, files);
      if (tensor instanceof RefusedTensor) value = tensor;
      else {
        const array = new NumpyArray();
        array.tensor = tensor;
        value = array;
      }
    } else if (isRead.has(entry)) {
      const item = files.open(key, content);
      const { object, host } = recordObject(item, labelOf(item, key), options, budget);
      hosts.push(host);
      value = object;
    } else continue;
    if (!put(root, path, value, room)) root.entries.set(key, value);
  }
  return { root, hosts, unread: objects - isRead.size };
};

/** What the items of tensors name, and those of objects that were not read: each is an archive with a pickle of its own. */
const surveyOf = (
  entries: readonly DcpEntry[],
  files: DcpFiles,
  { allPickles = false }: OpenOptions,
): ReturnType<typeof judge>[] => {
  const read = new Set(readObjects(entries));
  const items = entries.flatMap((entry) => {
    const { key, content } = entry;
    if (isTensor(content)) return content.chunks.map(({ place }) => ({ key, place }));
    return read.has(entry) ? [] : [{ key, place: content }];
  });
  const looked = allPickles ? items : items.slice(0, MAX_JUDGED);
  const judged = looked.map(({ key, place }) => {
    const item = files.open(key, place);
    return judge(item, labelOf(item, key));
  });
  if (looked.length === items.length) return judged;
  const message = `the pickles of ${items.length - looked.length} more items were not looked at (--globals looks at all)`;
  return [...judged, { globals: [], findings: [{ level: 'note', rule: 'unread-items', message }] }];
};

const sizeOf = (path: string): number => {
  const source = new FileSource(path);
  source.close();
  return source.size;
};

/**
 * Opens a checkpoint by its `.metadata`.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const openTorchDcp = (path: string, options: OpenOptions = {}): WeightFile => {
  const host = new DcpHost(options, sizeOf(path));
  const files = new DcpFiles(path);
  const close = (): void => files.close();
  try {
    return { ...host.reading('torch-dcp', path, () => readDcp(path, host, files, options)), close };
  } catch (error) {
    close();
    throw error;
  }
};

const readDcp = (
  path: string,
  host: DcpHost,
  files: DcpFiles,
  options: OpenOptions,
): Omit<WeightFile, 'close'> => {
  const { entries, strays } = readDcpMetadata(path, host);
  const { root, hosts, unread } = treeOf(entries, files, options);
  const content = contentOf(root, path);
  const survey = options.describe === true ? surveyOf(entries, files, options) : [];
  const findings: Finding[] = [
    ...content.findings,
    ...survey.flatMap((judged) => judged.findings),
    ...[host, ...hosts].flatMap((each) => each.findings(path)),
  ];
  const add = (level: Finding['level'], rule: string, message: string): void => {
    findings.push({ level, rule, message, at: { file: path } });
  };
  if (unread > 0) add('note', 'unread-objects', `${unread} objects that are no tensors were not looked at`);
  if (strays.length > 0) {
    const shown = strays.slice(0, 5).map((key) => `"${textOf(key)}"`);
    add('warning', 'unlisted-tensors', `${strays.length} keys have bytes and no entry: ${shown.join(', ')}`);
  }
  return {
    format: 'torch-dcp',
    stateDicts: content.stateDicts,
    globals: mergedGlobals([...[host, ...hosts].map((each) => ({ globals: each.globals() })), ...survey]),
    metadata: content.metadata,
    findings,
    checkIntegrity: () => integrityOfItems(entries, files),
  };
};

const integrityOfItems = (entries: readonly DcpEntry[], files: DcpFiles): Finding[] => {
  const findings: Finding[] = [];
  for (const { key, content } of entries) {
    const places = isTensor(content) ? content.chunks.map(({ place }) => place) : [content];
    for (const place of places) {
      const item = files.open(key, place);
      for (const finding of integrityOf(recordArchive(item, labelOf(item, key)), labelOf(item, key))) {
        findings.push({ ...finding, at: { file: item.path ?? place.file, key } });
      }
    }
  }
  return findings;
};
