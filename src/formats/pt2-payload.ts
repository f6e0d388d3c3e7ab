/**
 * The tensors that a payload config of a torch.export archive describes:
 *
 *   {"config": {NAME: {"path_name": FILE, "is_param": BOOL, "use_pickle": BOOL, "tensor_meta": {"dtype": NUMBER,
 *    "sizes": [{"as_int": N}], "strides": [{"as_int": N}], "storage_offset": {"as_int": N}, "layout": NUMBER}}}}
 *
 * FILE holds the bytes of a whole storage, of which the tensor is a strided view; names that share a storage share the
 * file. With use_pickle, FILE is a checkpoint of its own. Numbers are those of torch's ScalarType and Layout
 * (torch/_export/serde/schema.py).
 */
import { type DType, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { type DescriptionBudget, isRecord, jsonOf, member, shown } from './pt2-json.ts';
import type { OpenOptions, StateDict, WeightFile, WeightTensor } from './state-dict.ts';
import { checkInflation } from './torch-archive.ts';
import { toStateDict } from './torch-content.ts';
import type { TensorLike } from './torch-structure.ts';
import { makeTensor, RefusedTensor, StorageRecord, UNTYPED } from './torch-tensor.ts';
import { readTorchZip } from './torch-zip.ts';
import { openZip, type ZipArchive, type ZipEntry } from './zip.ts';

/** Bytes of one payload config; a tensor takes about 400. */
const MAX_CONFIG = 16 * 1024 * 1024;
const PATH_NAME = /^(?!\.+$)[A-Za-z0-9_.-]{1,256}$/;
const STRIDED = 7;
const SUBCLASS_HINT = 'export plain tensors (tensor.full_tensor() or tensor.dequantize())';

const SCALAR_TYPES: ReadonlyMap<unknown, DType> = new Map<unknown, DType>([
  [1, 'uint8'],
  [2, 'int8'],
  [3, 'int16'],
  [4, 'int32'],
  [5, 'int64'],
  [6, 'float16'],
  [7, 'float32'],
  [8, 'float64'],
  [10, 'complex64'],
  [11, 'complex128'],
  [12, 'bool'],
  [13, 'bfloat16'],
  [28, 'uint16'],
  [29, 'float8e4m3fn'],
  [30, 'float8e5m2'],
  [31, 'float8e4m3fnuz'],
  [32, 'float8e5m2fnuz'],
  [33, 'float8e8m0'],
  [34, 'uint32'],
  [35, 'uint64'],
]);

/** Where payloads lie, and how their archive is to be read. */
export interface PayloadContext {
  readonly archive: ZipArchive;
  readonly label: string;
  readonly bigEndian: boolean;
  readonly options: OpenOptions;
  readonly budget: DescriptionBudget;
}

/** What a config, or a checkpoint in its place, gave. */
export interface Payload {
  /** Under path ''. */
  readonly dict: StateDict;
  readonly findings: readonly Finding[];
  /** Checkpoints that were read on the way. */
  readonly nested: readonly Pick<WeightFile, 'globals'>[];
}

type Fail = (message: string) => OrthoError;

/** A torch.save file inside the archive, read as safely as any other. Empty ones stand for an empty dict. */
export const nestedCheckpoint = (
  entry: ZipEntry,
  { label, options, budget }: PayloadContext,
): Omit<WeightFile, 'close'> => {
  checkInflation(entry, label);
  const name = `${label}: ${entry.name}`;
  if (entry.isDeflated) budget.charge(entry.size, name);
  const archive = openZip(entry.data, { label: name, code: 'checkpoint/invalid' });
  for (const inner of archive.entries.values()) {
    if (inner.name.endsWith('/data.pkl')) budget.charge(inner.size, name);
  }
  return readTorchZip(archive, name, options, budget.pickles);
};

/** `[{"as_int": 3}, …]`; symbolic sizes have no place in stored tensors. */
const integersOf = (value: unknown, what: string, fail: Fail): number[] => {
  if (!Array.isArray(value)) throw fail(`its ${what} are no list`);
  return value.map((each: unknown) => {
    const number = member(each, 'as_int');
    if (typeof number === 'number' && Number.isSafeInteger(number)) return number;
    throw fail(`its ${what} hold ${shown(each)}`);
  });
};

const dtypeOf = (meta: unknown, fail: Fail): DType | RefusedTensor => {
  const layout = member(meta, 'layout');
  const number = member(meta, 'dtype');
  if (layout !== STRIDED) {
    if (typeof layout !== 'number') throw fail('it has no layout');
    return new RefusedTensor(`a tensor of layout ${layout}, not strided`, 'export it dense (to_dense())');
  }
  const dtype = SCALAR_TYPES.get(number);
  if (dtype !== undefined) return dtype;
  if (typeof number !== 'number') throw fail('it has no dtype');
  return new RefusedTensor(`a tensor of torch's scalar type ${number}`, 'export it as another dtype');
};

/** The raw storages of one folder, by file name. */
class Payloads {
  readonly #context: PayloadContext;
  readonly #folder: string;
  readonly #checkpoints = new Map<string, Omit<WeightFile, 'close'>>();
  readonly #storages = new Map<string, { readonly record: StorageRecord; readonly dtype: DType }>();

  constructor(context: PayloadContext, folder: string) {
    this.#context = context;
    this.#folder = folder;
  }

  entry(value: unknown, fail: Fail): ZipEntry {
    const path = member(value, 'path_name');
    if (typeof path !== 'string' || !PATH_NAME.test(path)) {
      throw fail(`its path_name is ${shown(path)}`);
    }
    const entry = this.#context.archive.entries.get(this.#folder + path);
    if (entry === undefined) throw fail(`the archive has no "${this.#folder}${path}"`);
    return entry;
  }

  /** The checkpoint in a pickled payload; names may share it. */
  checkpoint(value: unknown, fail: Fail): Omit<WeightFile, 'close'> {
    const entry = this.entry(value, fail);
    const known = this.#checkpoints.get(entry.name);
    if (known !== undefined) return known;
    const file = nestedCheckpoint(entry, this.#context);
    this.#checkpoints.set(entry.name, file);
    return file;
  }
  get nested(): Omit<WeightFile, 'close'>[] {
    return [...this.#checkpoints.values()];
  }

  tensor(value: unknown, fail: Fail): TensorLike {
    const meta = member(value, 'tensor_meta');
    const entry = this.entry(value, fail);
    const dtype = dtypeOf(meta, fail);
    if (dtype instanceof RefusedTensor) return dtype;
    const size = integersOf(member(meta, 'sizes'), 'sizes', fail);
    const stride = integersOf(member(meta, 'strides'), 'strides', fail);
    const [offset = 0] = integersOf([member(meta, 'storage_offset')], 'storage_offset', fail);
    if (entry.size === 0 && !size.includes(0)) {
      return new RefusedTensor(
        'a tensor whose values were not saved',
        'export the program with real weights',
      );
    }
    const storage = this.#storage(entry, dtype, fail);
    return makeTensor({ storage, offset, size, stride, dtype, conjugated: false, negated: false }, fail);
  }

  #storage(entry: ZipEntry, dtype: DType, fail: Fail): StorageRecord {
    const known = this.#storages.get(entry.name);
    if (known !== undefined) {
      if (known.dtype === dtype) return known.record;
      throw fail(`"${entry.name}" is ${dtype} here and ${known.dtype} elsewhere`);
    }
    checkInflation(entry, this.#context.label);
    const unit = dtypeInfo(dtype).bits / 8;
    if (entry.size % unit !== 0)
      throw fail(`"${entry.name}" has ${entry.size} bytes, no multiple of ${unit}`);
    const record = new StorageRecord(entry.name, UNTYPED, entry.size, this.#context.bigEndian, entry.data);
    this.#storages.set(entry.name, { record, dtype });
    return record;
  }
}

/** Custom objects are no tensors; they are named and never opened. */
const isObject = (value: unknown): boolean =>
  /^(custom_obj|opaque_obj)_\d+$/.test(String(member(value, 'path_name')));

/**
 * The tensors of the config in `config`, whose files lie in `folder` (with its slash).
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const payloadOf = (config: ZipEntry, folder: string, context: PayloadContext): Payload => {
  const { label } = context;
  const failOf =
    (key: string): Fail =>
    (message) =>
      new OrthoError('checkpoint/invalid', `${label}: ${config.name}: "${key.slice(0, 200)}": ${message}`, {
        hint: 'the file is damaged or was put together by hand; export the program again',
        at: { file: label, key },
      });
  const listed = member(jsonOf(config, label, MAX_CONFIG, context.budget), 'config');
  if (!isRecord(listed)) throw failOf('config')('it is no object');
  const payloads = new Payloads(context, folder);
  const entries = new Map<string, TensorLike>();
  const pickled = new Map<string, WeightTensor>();
  const findings: Finding[] = [];
  for (const [key, value] of Object.entries(listed)) {
    const fail = failOf(key);
    if (isObject(value)) {
      findings.push({
        level: 'note',
        rule: 'skipped-object',
        message: `"${key}" is an object of a class, not a tensor; it was left out`,
        at: { file: label, key },
      });
    } else if (member(value, 'use_pickle') === true) {
      const file = payloads.checkpoint(value, fail);
      const tensor = file.stateDicts[0]?.tensors.get('tensor');
      if (tensor !== undefined) pickled.set(key, tensor);
      else entries.set(key, new RefusedTensor('a tensor subclass', SUBCLASS_HINT));
    } else entries.set(key, payloads.tensor(value, fail));
  }
  const dict = toStateDict({ path: '', entries }, label, findings);
  if (pickled.size === 0) return { dict, findings, nested: payloads.nested };
  const tensors = new Map<string, WeightTensor>();
  for (const key of Object.keys(listed)) {
    const tensor = dict.tensors.get(key) ?? pickled.get(key);
    if (tensor !== undefined) tensors.set(key, tensor);
  }
  return { dict: { ...dict, tensors }, findings, nested: payloads.nested };
};
