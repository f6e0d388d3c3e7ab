/**
 * A state dict as a PyTorch zip checkpoint, readable by torch.load(..., weights_only=True): the records that PyTorch 2.13
 * writes, in its order: `data.pkl` (pickle protocol 2), `.format_version`, `.storage_alignment`, `byteorder`, one record
 * a storage aligned to 64 bytes, `version`, `.data/serialization_id`. Aliases share one storage. Types that PyTorch has
 * no storage class for (uint16, uint32, uint64, float8) go through _rebuild_tensor_v3, which PyTorch 2.1 and later read.
 */
import { crc32 } from '../core/crc32.ts';
import { contiguousStrides } from '../core/derived-source.ts';
import type { DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, chunksOf } from '../core/source.ts';
import type { WeightTensor } from './state-dict.ts';
import { STORAGE_KINDS, TORCH_DTYPES } from './torch-tensor.ts';
import { type ZipContent, type ZipRecord, zipChunks } from './zip-writer.ts';

const ROOT = 'archive';
const ALIGNMENT = 64;
/** Items between two SETITEMS, as Python's pickler batches them. */
const BATCH = 1000;

const STORAGE_CLASSES = new Map<DType, string>();
for (const [name, { dtype }] of STORAGE_KINDS) if (dtype !== undefined) STORAGE_CLASSES.set(dtype, name);
// The table lists each torch name before its short form.
const TORCH_NAMES = new Map<DType, string>();
for (const [name, dtype] of TORCH_DTYPES) if (!TORCH_NAMES.has(dtype)) TORCH_NAMES.set(dtype, name);

/** Builds pickles: only what state dicts need. */
class PickleWriter {
  readonly #parts: Buffer[] = [];

  op(...bytes: number[]): this {
    this.#parts.push(Buffer.from(bytes));
    return this;
  }
  global(module: string, name: string): this {
    this.#parts.push(Buffer.from(`c${module}\n${name}\n`, 'latin1'));
    return this;
  }
  text(value: string): this {
    const bytes = Buffer.from(value, 'utf8');
    const head = Buffer.alloc(5);
    head[0] = 0x58;
    head.writeUInt32LE(bytes.length, 1);
    this.#parts.push(head, bytes);
    return this;
  }
  int(value: number): this {
    if (value < 256) return this.op(0x4b, value);
    const isLong = value > 0x7fffffff;
    const bytes = Buffer.alloc(isLong ? 10 : 5);
    bytes[0] = isLong ? 0x8a : 0x4a;
    if (isLong) {
      bytes[1] = 8;
      bytes.writeBigInt64LE(BigInt(value), 2);
    } else bytes.writeInt32LE(value, 1);
    this.#parts.push(bytes);
    return this;
  }
  tuple(values: readonly number[]): this {
    this.op(MARK);
    for (const value of values) this.int(value);
    return this.op(TUPLE);
  }
  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

const MARK = 0x28;
const TUPLE = 0x74;
const REDUCE = 0x52;
const EMPTY_TUPLE = 0x29;
const BINPERSID = 0x51;
const SETITEMS = 0x75;
const FALSE = 0x89;

const orderedDict = (writer: PickleWriter): void => {
  writer.global('collections', 'OrderedDict').op(EMPTY_TUPLE, REDUCE);
};

const writeTensor = (
  writer: PickleWriter,
  name: string,
  { dtype, dims, data }: WeightTensor,
  key: string,
): void => {
  const storage = STORAGE_CLASSES.get(dtype);
  const torchName = TORCH_NAMES.get(dtype);
  if (torchName === undefined) {
    throw new OrthoError('dtype/unsupported', `PyTorch has no tensors of ${dtype} ("${name}")`, {
      hint: 'drop the tensor, or write .safetensors or .npz',
      at: { key: name },
    });
  }
  const count = dims.reduce((product, dim) => product * dim, 1);
  writer.global('torch._utils', storage === undefined ? '_rebuild_tensor_v3' : '_rebuild_tensor_v2');
  writer.op(MARK, MARK).text('storage');
  if (storage === undefined) writer.global('torch.storage', 'UntypedStorage');
  else writer.global('torch', storage);
  writer
    .text(key)
    .text('cpu')
    .int(storage === undefined ? data.size : count)
    .op(TUPLE, BINPERSID);
  writer.int(0).tuple(dims).tuple(contiguousStrides(dims)).op(FALSE);
  orderedDict(writer);
  if (storage === undefined) writer.global('torch', torchName);
  writer.op(TUPLE, REDUCE);
};

const pickleOf = (
  tensors: ReadonlyMap<string, WeightTensor>,
): { pickle: Buffer; storages: readonly ByteSource[] } => {
  const writer = new PickleWriter().op(0x80, 2);
  const storages: ByteSource[] = [];
  const keys = new Map<string, string>();
  orderedDict(writer);
  let batched = 0;
  for (const [name, tensor] of tensors) {
    if (batched % BATCH === 0) writer.op(...(batched > 0 ? [SETITEMS] : []), MARK);
    batched++;
    let key = tensor.sharedWith === undefined ? undefined : keys.get(tensor.sharedWith);
    if (key === undefined) {
      key = String(storages.length);
      storages.push(tensor.data);
    }
    keys.set(name, key);
    writeTensor(writer.text(name), name, tensor, key);
  }
  if (batched > 0) writer.op(SETITEMS);
  return { pickle: writer.op(0x2e).finish(), storages };
};

/** Forty digits that tell files apart, as PyTorch's do: of the records' names and of their checksums. */
const serializationId = (records: readonly ZipRecord[]): string =>
  [records.map(({ name }) => name), records.map(({ crc }) => crc)]
    .map((values) => String(crc32(Buffer.from(values.join('\n')))).padStart(20, '0'))
    .join('');

/**
 * The bytes of a checkpoint chunk by chunk; the same tensors give the same bytes. Each chunk is only valid until the
 * next is asked for.
 * @throws OrthoError dtype/unsupported (4-bit types, strings)
 */
export const torchZipChunks = (tensors: ReadonlyMap<string, WeightTensor>): Generator<Uint8Array> => {
  const { pickle, storages } = pickleOf(tensors);
  const records: ZipRecord[] = [];
  const whole = (name: string, content: Uint8Array | string): ZipContent => {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    return { name: `${ROOT}/${name}`, size: bytes.length, chunks: () => [bytes] };
  };
  function* contents(): Generator<ZipContent> {
    yield whole('data.pkl', pickle);
    yield whole('.format_version', '1');
    yield whole('.storage_alignment', String(ALIGNMENT));
    yield whole('byteorder', 'little');
    for (const [i, data] of storages.entries()) {
      yield { name: `${ROOT}/data/${i}`, size: data.size, chunks: () => chunksOf(data) };
    }
    yield whole('version', '3\n');
    yield whole('.data/serialization_id', serializationId(records));
  }
  return zipChunks(contents(), ALIGNMENT, (record) => records.push(record));
};
