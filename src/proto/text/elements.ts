/** The elements of a TensorProto as literals of ONNX text, whichever field holds them. */
import { type DType, dtypeFromOnnx, dtypeInfo } from '../../core/dtype.ts';
import type { TensorProto } from '../schema.ts';
import { quoteBytes } from './quoting.ts';

/** Shortest decimal that gives the same float32 again. */
export const float32Text = (value: number): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0';
  // Normal numbers are exact to 6 digits, subnormal ones to fewer.
  for (let digits = Math.abs(value) < 2 ** -126 ? 1 : 6; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  return String(Number(value.toPrecision(9)));
};

const float64Text = (value: number): string => {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  return Object.is(value, -0) ? '-0' : String(value);
};

type Getter = readonly [bytes: number, read: (view: DataView, at: number) => string];

/** How one literal is read from raw bytes; halves, float8 and packed types are given as their bits. */
const getterOf = (dtype: DType): Getter => {
  const { bits, kind } = dtypeInfo(dtype);
  if (dtype === 'float32' || dtype === 'complex64')
    return [4, (v, at) => float32Text(v.getFloat32(at, true))];
  if (dtype === 'float64' || dtype === 'complex128')
    return [8, (v, at) => float64Text(v.getFloat64(at, true))];
  const isSigned = kind === 'int';
  if (bits === 64)
    return [8, (v, at) => String(isSigned ? v.getBigInt64(at, true) : v.getBigUint64(at, true))];
  if (bits === 32) return [4, (v, at) => String(isSigned ? v.getInt32(at, true) : v.getUint32(at, true))];
  if (bits === 16) return [2, (v, at) => String(isSigned ? v.getInt16(at, true) : v.getUint16(at, true))];
  return [1, (v, at) => String(isSigned && bits === 8 ? v.getInt8(at) : v.getUint8(at))];
};

const literals = (bytes: Uint8Array, [width, read]: Getter): string[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / width) }, (_, i) => read(view, i * width));
};

/** The 6-bit elements of packed bytes: four in three bytes, low bits first. */
const sixBitLiterals = (bytes: Uint8Array, dims: readonly bigint[]): string[] => {
  const held = Math.floor((bytes.length * 8) / 6);
  const count = dims.reduce((product, dim) => product * dim, 1n);
  const length = count < BigInt(held) ? Number(count) : held;
  return Array.from({ length }, (_, i) => {
    const at = Math.floor((i * 6) / 8);
    const pair = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    return String((pair >> ((i * 6) % 8)) & 63);
  });
};

/** Literals of all elements (two for a complex one, one a byte for packed types), in order. */
export const elementTexts = (tensor: TensorProto): string[] => {
  const dtype = dtypeFromOnnx(tensor.dataType ?? 0);
  if (dtype === 'string') return tensor.stringData.map(quoteBytes);
  const { rawData, floatData, doubleData } = tensor;
  if (rawData && dtype && dtypeInfo(dtype).bits === 6) {
    return sixBitLiterals(rawData.read(0, rawData.size), tensor.dims);
  }
  if (rawData && dtype) return literals(rawData.read(0, rawData.size), getterOf(dtype));
  if (floatData) return literals(floatData.read(0, floatData.size), getterOf('float32'));
  if (doubleData) return literals(doubleData.read(0, doubleData.size), getterOf('float64'));
  const integers = [tensor.int32Data, tensor.int64Data, tensor.uint64Data].find(({ length }) => length > 0);
  return integers ? Array.from(integers, String) : [];
};
