/**
 * NumPy objects inside pickles: dtypes, scalars (best_acc of a training checkpoint) and arrays, as records.
 */

import { contiguousStrides, StridedSource, swappedSource } from '../core/derived-source.ts';
import type { DType } from '../core/dtype.ts';
import { dtypeInfo } from '../core/dtype.ts';
import { type ByteSource, BytesSource } from '../core/source.ts';
import { type Tensor, tensorArray, tensorOf, toFloat32 } from '../core/tensor.ts';
import { dtypeFromNumpyCode } from './numpy-dtype.ts';
import { PickleTuple, type PickleValue, textOf } from './pickle-values.ts';

/** Dimensions of an array (NumPy allows 64), and letters of the name of a type. */
const MAX_RANK = 64;
const MAX_TYPE_NAME = 100;

/** `numpy.dtype(code)`; BUILD sets the byte order. */
export class NumpyDType {
  readonly code: string;
  bigEndian = false;
  constructor(code: string) {
    this.code = code;
  }
  get dtype(): DType | undefined {
    return dtypeFromNumpyCode(this.code);
  }
}

/** An array that `_reconstruct` made; BUILD fills it. */
export class NumpyArray {
  tensor: Tensor | undefined;
  /** Why there is no tensor, where its dtype is none of ours (objects, structs). */
  refused: string | undefined;
}

type Invalid = (message: string) => Error;

/** A type name of NumPy (`f4`, `>f8`, `float32`). */
export const numpyDType = (name: PickleValue | undefined, invalid: Invalid): NumpyDType => {
  if (typeof name !== 'string') throw invalid('a numpy.dtype without a name');
  if (name.length > MAX_TYPE_NAME) throw invalid(`a numpy.dtype whose name has ${name.length} letters`);
  const dtype = new NumpyDType(name.replace(/^[<>|=]/, ''));
  dtype.bigEndian = name.startsWith('>');
  return dtype;
};

/** BUILD of a dtype: `(version, byte order, subdtype, names, fields, itemsize, alignment[, flags])`. */
export const buildNumpyDType = (dtype: NumpyDType, state: PickleValue): boolean => {
  if (!(state instanceof PickleTuple)) return false;
  dtype.bigEndian = state.items[1] === '>';
  return true;
};

const bytesTensor = (
  type: NumpyDType,
  dims: readonly number[],
  bytes: Uint8Array,
  fortran: boolean,
): Tensor => {
  const dtype = type.dtype as DType;
  const info = dtypeInfo(dtype);
  const unit = info.bits / 8;
  const component = info.kind === 'complex' ? unit / 2 : unit;
  let data: ByteSource = new BytesSource(bytes);
  if (type.bigEndian) data = swappedSource(data, component);
  if (fortran && dims.length > 1 && bytes.length > 0) {
    data = new StridedSource(data, unit, dims, contiguousStrides([...dims].reverse()).reverse(), 0);
  }
  return { dtype, dims, data };
};

/** Fills an array. @throws the error of `invalid` when bytes and shape do not fit. */
export const fillNumpyArray = (
  array: NumpyArray,
  shape: PickleValue | undefined,
  type: PickleValue | undefined,
  fortran: boolean,
  bytes: PickleValue | undefined,
  invalid: Invalid,
): void => {
  if (!(type instanceof NumpyDType) || !(shape instanceof PickleTuple))
    throw invalid('a malformed numpy array');
  const { dtype } = type;
  if (dtype === undefined || !(bytes instanceof Uint8Array)) {
    array.refused = `a numpy array of dtype ${type.code}`;
    return;
  }
  if (shape.items.length > MAX_RANK) {
    throw invalid(`a numpy array of ${shape.items.length} dimensions (at most ${MAX_RANK})`);
  }
  const dims = shape.items.map((dim) => {
    if (typeof dim === 'number' && Number.isSafeInteger(dim) && dim >= 0) return dim;
    throw invalid(`a numpy array whose shape holds ${textOf(dim)}`);
  });
  const expected = dims.reduce((product, dim) => product * dim, dtypeInfo(dtype).bits / 8);
  if (expected !== bytes.length) {
    throw invalid(
      `a numpy array [${dims.join(', ')}] of ${dtype} with ${bytes.length} bytes, ${expected} expected`,
    );
  }
  array.tensor = bytesTensor(type, dims, bytes, fortran);
};

/** The one value of a tensor with one element; complex values and unknown dtypes give undefined. */
export const scalarValue = (tensor: Tensor): number | bigint | boolean | undefined => {
  const { dtype } = tensor;
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === 'complex' || kind === 'string' || bits < 8) return undefined;
  const read = tensorOf(dtype, [1], tensor.data.read(0, tensor.data.size).slice());
  if (dtype === 'float16' || dtype === 'bfloat16') return toFloat32(read)[0];
  if (kind === 'float' && bits === 8) return undefined;
  const value = tensorArray(read)[0] as number | bigint | undefined;
  if (dtype === 'bool') return value !== 0;
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
};

/** `numpy.core.multiarray.scalar(dtype, bytes)`. */
export const numpyScalar = (
  type: PickleValue | undefined,
  bytes: PickleValue | undefined,
  invalid: Invalid,
): PickleValue => {
  if (!(type instanceof NumpyDType) || !(bytes instanceof Uint8Array))
    throw invalid('a malformed numpy scalar');
  const { dtype } = type;
  if (dtype === undefined) return `numpy.${type.code}`;
  if (bytes.length !== dtypeInfo(dtype).bits / 8)
    throw invalid(`a numpy scalar of ${bytes.length} bytes for ${dtype}`);
  return scalarValue(bytesTensor(type, [], bytes, false)) ?? `numpy.${type.code}`;
};
