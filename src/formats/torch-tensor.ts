/**
 * Storages and tensors of PyTorch pickles as plain records, and the way from a record to lazy, row-major,
 * little-endian bytes. Nothing is read from a storage before a tensor's source is.
 */

import { isFloatDType } from '../core/cast.ts';
import { ConvertedSource, isContiguous, StridedSource, swappedSource } from '../core/derived-source.ts';
import { type DType, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, SliceSource } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { PickleTuple, type PickleValue, textOf } from './pickle-values.ts';

/** Dimensions of one tensor (torch allows 64). */
const MAX_RANK = 64;
/** Bytes an expanded (stride 0) tensor may pretend to have beyond those of its storage. */
const MAX_EXPANDED = 1024 * 1024 * 1024;

/** Element kinds of storages: a dtype of ours, or a kind that is read past but never as numbers. */
export interface ElementKind {
  readonly name: string;
  readonly bytes: number;
  readonly dtype: DType | undefined;
}
const kind = (name: string, dtype: DType): [string, ElementKind] => [
  name,
  { name, bytes: dtypeInfo(dtype).bits / 8, dtype },
];
const quantized = (name: string, bytes: number): [string, ElementKind] => [
  name,
  { name, bytes, dtype: undefined },
];

/** `torch.<name>` and `torch.cuda.<name>`; UntypedStorage counts bytes. */
export const STORAGE_KINDS: ReadonlyMap<string, ElementKind> = new Map([
  kind('DoubleStorage', 'float64'),
  kind('FloatStorage', 'float32'),
  kind('HalfStorage', 'float16'),
  kind('BFloat16Storage', 'bfloat16'),
  kind('LongStorage', 'int64'),
  kind('IntStorage', 'int32'),
  kind('ShortStorage', 'int16'),
  kind('CharStorage', 'int8'),
  kind('ByteStorage', 'uint8'),
  kind('BoolStorage', 'bool'),
  kind('ComplexDoubleStorage', 'complex128'),
  kind('ComplexFloatStorage', 'complex64'),
  quantized('QInt8Storage', 1),
  quantized('QUInt8Storage', 1),
  quantized('QInt32Storage', 4),
  quantized('QUInt4x2Storage', 1),
  quantized('QUInt2x4Storage', 1),
]);
export const UNTYPED: ElementKind = { name: 'UntypedStorage', bytes: 1, dtype: undefined };

/** `torch.<name>` of element types. */
export const TORCH_DTYPES: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['float32', 'float32'],
  ['float', 'float32'],
  ['float64', 'float64'],
  ['double', 'float64'],
  ['float16', 'float16'],
  ['half', 'float16'],
  ['bfloat16', 'bfloat16'],
  ['uint8', 'uint8'],
  ['uint16', 'uint16'],
  ['uint32', 'uint32'],
  ['uint64', 'uint64'],
  ['int8', 'int8'],
  ['int16', 'int16'],
  ['short', 'int16'],
  ['int32', 'int32'],
  ['int', 'int32'],
  ['int64', 'int64'],
  ['long', 'int64'],
  ['bool', 'bool'],
  ['complex64', 'complex64'],
  ['cfloat', 'complex64'],
  ['complex128', 'complex128'],
  ['cdouble', 'complex128'],
  ['float8_e4m3fn', 'float8e4m3fn'],
  ['float8_e4m3fnuz', 'float8e4m3fnuz'],
  ['float8_e5m2', 'float8e5m2'],
  ['float8_e5m2fnuz', 'float8e5m2fnuz'],
  ['float8_e8m0fnu', 'float8e8m0'],
]);

/** A storage: one run of elements in the file. The container attaches the bytes once it knows where they lie. */
export class StorageRecord {
  readonly key: string;
  readonly kind: ElementKind;
  /** Elements of `kind`. */
  readonly elements: number;
  /** Where the file keeps the bytes, in file byte order. */
  data: ByteSource | undefined;
  readonly bigEndian: boolean;

  constructor(key: string, kind: ElementKind, elements: number, bigEndian: boolean, data?: ByteSource) {
    this.key = key;
    this.kind = kind;
    this.elements = elements;
    this.bigEndian = bigEndian;
    this.data = data;
  }

  get byteLength(): number {
    return this.elements * this.kind.bytes;
  }
}

export class TensorRecord {
  readonly storage: StorageRecord;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
  /** In elements of the tensor's dtype. */
  readonly offset: number;
  /** The conjugate bit: imaginary parts are to be negated. */
  readonly conjugated: boolean;
  /** The negative bit: all values are to be negated. */
  readonly negated: boolean;

  constructor(record: Omit<TensorRecord, 'viewKey'>) {
    this.storage = record.storage;
    this.dtype = record.dtype;
    this.dims = record.dims;
    this.strides = record.strides;
    this.offset = record.offset;
    this.conjugated = record.conjugated;
    this.negated = record.negated;
  }

  /** Equal for two tensors that show the same elements of one storage in the same way. */
  get viewKey(): string {
    const flags = `${this.conjugated ? 'c' : ''}${this.negated ? 'n' : ''}`;
    return JSON.stringify([this.storage.key, this.dtype, this.offset, this.dims, this.strides, flags]);
  }
}

/** A tensor of a kind that has no dense values here: named and explained, never read. */
export class RefusedTensor {
  /** e.g. `a quantized tensor (torch.per_tensor_affine)`. */
  readonly what: string;
  readonly hint: string;
  constructor(what: string, hint: string) {
    this.what = what;
    this.hint = hint;
  }
}

/**
 * A tensor that the file keeps in another form (sparse, quantized) and that is read as an ordinary one. Its storages
 * need no data before `tensor` is called.
 */
export class ConvertedTensor {
  /** What it is, without its article: `sparse tensor (torch.sparse_coo)`. */
  readonly what: string;
  /** What it is read as: `dense`, `float32`. */
  readonly form: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly #open: () => ByteSource;
  #tensor: Tensor | undefined;

  constructor(
    { what, form, dtype, dims }: Pick<ConvertedTensor, 'what' | 'form' | 'dtype' | 'dims'>,
    open: () => ByteSource,
  ) {
    this.what = what;
    this.form = form;
    this.dtype = dtype;
    this.dims = dims;
    this.#open = open;
  }

  get tensor(): Tensor {
    this.#tensor ??= { dtype: this.dtype, dims: this.dims, data: this.#open() };
    return this.#tensor;
  }
}

const listOf = (value: PickleValue, invalid: (message: string) => Error, what: string): number[] => {
  const items =
    value instanceof PickleTuple ? value.items : Array.isArray(value) ? (value as PickleValue[]) : undefined;
  if (items === undefined) throw invalid(`a tensor whose ${what} is no tuple`);
  if (items.length > MAX_RANK) throw invalid(`a tensor of ${items.length} dimensions (at most ${MAX_RANK})`);
  return items.map((item) => {
    if (typeof item === 'number' && Number.isInteger(item) && item >= 0) return item;
    throw invalid(`a tensor whose ${what} holds ${textOf(item)}`);
  });
};

/** What `_rebuild_tensor*` were given, unchecked. */
export interface TensorArguments {
  readonly storage: PickleValue;
  readonly offset: PickleValue;
  readonly size: PickleValue;
  readonly stride: PickleValue;
  /** Set for _rebuild_tensor_v3, where the storage is untyped. */
  readonly dtype?: DType;
  readonly conjugated: boolean;
  readonly negated: boolean;
}

/**
 * A tensor record whose every element lies inside its storage, or a refused one for quantized storages.
 * @throws the error made by `invalid` when the geometry does not fit.
 */
export const makeTensor = (
  args: TensorArguments,
  invalid: (message: string) => Error,
): TensorRecord | RefusedTensor => {
  const { storage } = args;
  if (!(storage instanceof StorageRecord)) throw invalid('a tensor without a storage');
  const dims = listOf(args.size, invalid, 'size');
  const strides = listOf(args.stride, invalid, 'stride');
  if (strides.length !== dims.length) {
    throw invalid(`a tensor with ${dims.length} dimensions and ${strides.length} strides`);
  }
  const { offset } = args;
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < 0) {
    throw invalid(`a tensor with storage offset ${textOf(offset)}`);
  }
  const dtype = args.dtype ?? storage.kind.dtype;
  if (dtype === undefined) {
    return new RefusedTensor(
      `a tensor over a ${storage.kind.name}`,
      'dequantize it (or give it a dtype) in Python before saving',
    );
  }
  const unit = dtypeInfo(dtype).bits / 8;
  // The dtype of _rebuild_tensor_v3 counts, whatever the storage calls its elements.
  const elements = Math.floor(storage.byteLength / unit);
  const shown = `[${dims.join(', ')}] with strides [${strides.join(', ')}] from element ${offset}`;
  let count = 1;
  let last = offset;
  for (let axis = 0; axis < dims.length; axis++) {
    count *= dims[axis]!;
    last += (dims[axis]! - 1) * strides[axis]!;
  }
  if (count > 0 && !(last < elements)) {
    throw invalid(`a tensor ${shown} that leaves its storage "${storage.key}" of ${elements} elements`);
  }
  const { kind } = dtypeInfo(dtype);
  const isSigned = kind === 'int' || kind === 'uint' || kind === 'complex' || isFloatDType(dtype);
  if (args.negated && !isSigned) {
    return new RefusedTensor(`a ${dtype} tensor with the negative bit`, 'call resolve_neg() before saving');
  }
  if (!(count * unit <= Number.MAX_SAFE_INTEGER)) throw invalid(`a tensor ${shown} whose size overflows`);
  if (count * unit > Math.max(storage.byteLength, MAX_EXPANDED)) {
    const { message } = invalid(`a tensor ${shown} pretends to have ${count * unit} bytes`);
    throw new OrthoError('file/limit', message, {
      hint: `its storage has ${storage.byteLength}; save the tensor unexpanded`,
    });
  }
  const { conjugated, negated } = args;
  return new TensorRecord({ storage, dtype, dims, strides, offset, conjugated, negated });
};

/** Flips the sign of every `step`-th float component of `width` bytes, beginning with component `first`. */
const negatedSource = (base: ByteSource, width: number, step: number, first: number): ByteSource =>
  new ConvertedSource(base, width * step, width * step, (input, output) => {
    output.set(input);
    const stride = width * step;
    for (let at = first * width + width - 1; at < output.length; at += stride) output[at]! ^= 0x80;
  });

/** Two's complement: all bits flipped, plus one that is carried from byte to byte. */
const negatedInts = (base: ByteSource, width: number): ByteSource =>
  new ConvertedSource(base, width, width, (input, output) => {
    for (let at = 0; at < output.length; at += width) {
      let carry = 1;
      for (let i = at; i < at + width; i++) {
        const sum = (input[i]! ^ 0xff) + carry;
        output[i] = sum;
        carry = sum >> 8;
      }
    }
  });

/** Whatever byte stands for true becomes 1. */
const cleanBools = (base: ByteSource): ByteSource =>
  new ConvertedSource(base, 1, 1, (input, output) => {
    for (let i = 0; i < output.length; i++) output[i] = input[i] === 0 ? 0 : 1;
  });

/** A tensor over the record's storage: a slice of the file where it is contiguous, gathered on demand elsewhere. */
export const tensorFromRecord = (record: TensorRecord): Tensor => {
  const { storage, dtype, dims, strides, offset } = record;
  if (storage.data === undefined)
    throw new OrthoError('internal/bug', `storage "${storage.key}" has no data`);
  const info = dtypeInfo(dtype);
  const unit = info.bits / 8;
  const component = info.kind === 'complex' ? unit / 2 : unit;
  const stored = storage.bigEndian
    ? swappedSource(wholeElements(storage.data, component), component)
    : storage.data;
  const count = dims.reduce((product, dim) => product * dim, 1);
  let data: ByteSource;
  if (count === 0) data = new SliceSource(stored, 0, 0);
  else if (isContiguous(dims, strides)) data = new SliceSource(stored, offset * unit, count * unit);
  else data = new StridedSource(stored, unit, dims, strides, offset);
  if (info.kind === 'bool') data = cleanBools(data);
  if (record.negated) {
    const isInt = info.kind === 'int' || info.kind === 'uint';
    data = isInt ? negatedInts(data, unit) : negatedSource(data, component, 1, 0);
  }
  if (record.conjugated && info.kind === 'complex') data = negatedSource(data, component, 2, 1);
  return { dtype, dims, data };
};

// An untyped storage need not be a multiple of the element.
const wholeElements = (data: ByteSource, unit: number): ByteSource =>
  new SliceSource(data, 0, Math.floor(data.size / unit) * unit);

/** All elements of a storage as a tensor of one dimension; those without a dtype as bytes. */
export const tensorOfStorage = (storage: StorageRecord): Tensor | RefusedTensor => {
  const dtype = storage.kind === UNTYPED ? 'uint8' : storage.kind.dtype;
  if (dtype === undefined) {
    return new RefusedTensor(
      `a bare ${storage.kind.name}`,
      'save the quantized tensor, or its dequantized values',
    );
  }
  const dims = [storage.elements];
  return tensorFromRecord(
    new TensorRecord({ storage, dtype, dims, strides: [1], offset: 0, conjugated: false, negated: false }),
  );
};
