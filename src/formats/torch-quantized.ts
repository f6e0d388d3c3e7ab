/**
 * Quantized tensors of PyTorch, read as float32 the way `Tensor.dequantize()` computes them:
 *
 *   per tensor:                          f32(q - zero_point) * f32(scale), the difference in 32-bit integers
 *   per channel:                         f32((q - zero_point) * scale), in binary64
 *   per channel, float zero points:      (f32(q) - f32(zero_point)) * f32(scale)
 *
 * every other step rounded to binary32 (measured; fbgemm::Dequantize and ATen/native/quantized). quint4x2 and quint2x4 pack two and four
 * values into a byte, the first into the lowest bits, row after row without padding between them.
 */
import { isContiguous } from '../core/derived-source.ts';
import { type DType, dtypeInfo } from '../core/dtype.ts';
import { type ByteSource, checkRange, SliceSource } from '../core/source.ts';
import { type Tensor, tensorArray } from '../core/tensor.ts';
import { PickleGlobal, PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import {
  ConvertedTensor,
  makeTensor,
  RefusedTensor,
  StorageRecord,
  TensorRecord,
  tensorFromRecord,
} from './torch-tensor.ts';

const HINT = 'dequantize it in Python before saving';

/** How the integers of a quantized storage are kept. */
interface Packing {
  readonly dtype: Extract<DType, 'int8' | 'uint8' | 'int32'>;
  /** Values in one element of `dtype`. */
  readonly perElement: number;
}
const PACKINGS: ReadonlyMap<string, Packing> = new Map<string, Packing>([
  ['QInt8Storage', { dtype: 'int8', perElement: 1 }],
  ['QUInt8Storage', { dtype: 'uint8', perElement: 1 }],
  ['QInt32Storage', { dtype: 'int32', perElement: 1 }],
  ['QUInt4x2Storage', { dtype: 'uint8', perElement: 2 }],
  ['QUInt2x4Storage', { dtype: 'uint8', perElement: 4 }],
]);

/** Scales and zero points: one of each, or one for every index of `axis`. */
interface Parameters {
  readonly scheme: string;
  readonly axis: number | undefined;
  readonly scales: () => number[];
  readonly zeros: () => number[];
  /** The value of an integer, not yet rounded to binary32. */
  readonly value: (integer: number, scale: number, zero: number) => number;
}

const perTensor = (integer: number, scale: number, zero: number): number =>
  Math.fround((integer - zero) | 0) * Math.fround(scale);
const perChannel = (integer: number, scale: number, zero: number): number => (integer - zero) * scale;
const perChannelFloat = (integer: number, scale: number, zero: number): number =>
  Math.fround(Math.fround(integer) - Math.fround(zero)) * Math.fround(scale);

type Invalid = (message: string) => Error;

const isNumber = (value: PickleValue | undefined): value is number => typeof value === 'number';

/** One number an index of the axis: a tensor (read when asked for) or, from old files, a list. */
const vectorOf = (
  value: PickleValue | undefined,
  length: number,
  what: string,
  invalid: Invalid,
): (() => number[]) => {
  const wrong = (found: number | string) =>
    invalid(`a quantized tensor with ${found} ${what}, not ${length}`);
  if (value instanceof TensorRecord) {
    const count = value.dims.reduce((product, dim) => product * dim, 1);
    if (count !== length) throw wrong(count);
    // An expanded vector would make a small file cost endless memory.
    if (count > value.storage.elements) throw invalid(`a quantized tensor with expanded ${what}`);
    return () => Array.from(tensorArray(tensorFromRecord(value) as Tensor & { dtype: 'float64' }), Number);
  }
  const items = Array.isArray(value) ? (value as PickleValue[]) : [];
  const numbers = items.filter(isNumber);
  if (numbers.length !== length || items.length !== length) throw wrong(items.length);
  return () => numbers;
};

const parametersOf = (
  value: PickleValue,
  dims: readonly number[],
  invalid: Invalid,
): Parameters | RefusedTensor => {
  const items = value instanceof PickleTuple ? value.items : [];
  const [scheme, scale, zero, axis] = items;
  const name = scheme instanceof PickleGlobal ? scheme.qualified : textOf(scheme);
  if (name === 'torch.per_tensor_affine') {
    if (!isNumber(scale) || !isNumber(zero)) throw invalid('a quantized tensor without scale and zero point');
    return { scheme: name, axis: undefined, scales: () => [scale], zeros: () => [zero], value: perTensor };
  }
  const isFloatScheme = name === 'torch.per_channel_affine_float_qparams';
  if (!isFloatScheme && name !== 'torch.per_channel_affine') {
    return new RefusedTensor(`a quantized tensor (${name})`, HINT);
  }
  const length = isNumber(axis) ? dims[axis] : undefined;
  if (length === undefined || !isNumber(axis)) {
    throw invalid(`a quantized tensor of ${dims.length} dimensions with the axis ${textOf(axis)}`);
  }
  // PyTorch writes one scheme for both; the type of the zero points decides.
  const isFloat = zero instanceof TensorRecord ? dtypeInfo(zero.dtype).kind === 'float' : isFloatScheme;
  return {
    scheme: name,
    axis,
    scales: vectorOf(scale, length, 'scales', invalid),
    zeros: vectorOf(zero, length, 'zero points', invalid),
    value: isFloat ? perChannelFloat : perChannel,
  };
};

/** The values of a row-major quantized tensor as float32. */
class DequantizedSource implements ByteSource {
  readonly size: number;
  readonly #base: ByteSource;
  readonly #packing: Packing;
  readonly #parameters: Parameters;
  readonly #channels: number;
  /** Elements between two channels. */
  readonly #inner: number;
  #scales: readonly number[] | undefined;
  #zeros: readonly number[] | undefined;

  constructor(base: ByteSource, packing: Packing, parameters: Parameters, dims: readonly number[]) {
    this.#base = base;
    this.#packing = packing;
    this.#parameters = parameters;
    const { axis } = parameters;
    this.#channels = axis === undefined ? 1 : dims[axis]!;
    this.#inner = axis === undefined ? 1 : dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
    this.size = 4 * dims.reduce((product, dim) => product * dim, 1);
  }

  get path(): string | undefined {
    return this.#base.path;
  }

  /** The integers from `first` on. */
  #integers(first: number, count: number): ArrayLike<number> {
    const { dtype, perElement } = this.#packing;
    const from = Math.floor(first / perElement);
    const length = Math.ceil((first + count) / perElement) - from;
    const unit = dtype === 'int32' ? 4 : 1;
    const data = new SliceSource(this.#base, from * unit, length * unit);
    const stored = tensorArray({ dtype, dims: [length], data });
    if (perElement === 1) return stored;
    const bits = 8 / perElement;
    return Uint8Array.from({ length: count }, (_, i) => {
      const index = first + i - from * perElement;
      return (stored[Math.floor(index / perElement)]! >> ((index % perElement) * bits)) & (2 ** bits - 1);
    });
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    const first = Math.floor(offset / 4);
    const count = Math.ceil((offset + length) / 4) - first;
    const { value } = this.#parameters;
    this.#scales ??= this.#parameters.scales();
    this.#zeros ??= this.#parameters.zeros();
    const integers = this.#integers(first, count);
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const channel = Math.floor((first + i) / this.#inner) % this.#channels;
      values[i] = value(integers[i]!, this.#scales[channel]!, this.#zeros[channel]!);
    }
    return new Uint8Array(values.buffer).subarray(offset - first * 4, offset - first * 4 + length);
  }

  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}

/** The integers as a tensor of their own, with the shape of the whole; packed ones have to lie in order. */
const integersOf = (
  [storage = null, offset = null, size = null, stride = null]: readonly PickleValue[],
  packing: Packing,
  invalid: Invalid,
): { integers: TensorRecord; dims: readonly number[] } | RefusedTensor => {
  const { dtype, perElement } = packing;
  const flags = { dtype, conjugated: false, negated: false };
  if (perElement === 1 || !(storage instanceof StorageRecord)) {
    const integers = makeTensor({ storage, offset, size, stride, ...flags }, invalid);
    return integers instanceof RefusedTensor ? integers : { integers, dims: integers.dims };
  }
  // The geometry counts values, the storage bytes.
  const unpacked = new StorageRecord(storage.key, storage.kind, storage.elements * perElement, false);
  const record = makeTensor({ storage: unpacked, offset, size, stride, ...flags }, invalid);
  if (record instanceof RefusedTensor) return record;
  if (record.offset !== 0 || !isContiguous(record.dims, record.strides)) {
    return new RefusedTensor('a view of a packed quantized tensor', HINT);
  }
  const count = record.dims.reduce((product, dim) => product * dim, 1);
  const packed = [Math.ceil(count / perElement)];
  return {
    integers: new TensorRecord({ ...record, storage, dims: packed, strides: [1] }),
    dims: record.dims,
  };
};

/** `_rebuild_qtensor(storage, offset, size, stride, quantizer parameters, requires_grad, hooks)`. */
export const makeQuantized = (
  args: readonly PickleValue[],
  invalid: Invalid,
): ConvertedTensor | RefusedTensor => {
  const [storage, , , , quantizer = null] = args;
  const packing = storage instanceof StorageRecord ? PACKINGS.get(storage.kind.name) : undefined;
  if (packing === undefined) throw invalid('a quantized tensor over a storage that is not quantized');
  const stored = integersOf(args, packing, invalid);
  if (stored instanceof RefusedTensor) return stored;
  const { integers, dims } = stored;
  const parameters = parametersOf(quantizer, dims, invalid);
  if (parameters instanceof RefusedTensor) return parameters;
  const what = `quantized tensor (${parameters.scheme})`;
  return new ConvertedTensor(
    { what, form: 'float32', dtype: 'float32', dims },
    () => new DequantizedSource(tensorFromRecord(integers).data, packing, parameters, dims),
  );
};
