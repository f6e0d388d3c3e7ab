/** Small tensors whose elements are known one by one: read from tensors, rounded to their type. */
import { type DType, dtypeInfo } from '../../core/dtype.ts';
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from '../../core/half.ts';
import { type Tensor, tensorArray, toBigInts } from '../../core/tensor.ts';
import type { Dim, ValueType } from '../../ir/type.ts';
import { isStatic } from './dims.ts';
import type { Element, PartialTensor } from './types.ts';

/** Values with more elements are not evaluated. Shape arithmetic stays far below (a shape has at most 64 entries). */
const MAX_KNOWN_ELEMENTS = 1024;

const isInteger = (dtype: DType): boolean => {
  const { kind, bits } = dtypeInfo(dtype);
  return (kind === 'int' || kind === 'uint' || kind === 'bool') && bits >= 8;
};

const isReadableFloat = (dtype: DType): boolean =>
  dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16';

/** True for the element types whose values inference follows. */
const isFollowed = (dtype: DType | undefined): dtype is DType =>
  dtype !== undefined && (isInteger(dtype) || isReadableFloat(dtype));

/** The tensor's elements, or undefined when it is too large, of another kind, or cannot be read. */
export const partialOf = (tensor: Tensor): PartialTensor | undefined => {
  const { dtype, dims } = tensor;
  if (!isFollowed(dtype) || dims.reduce((a, b) => a * b, 1) > MAX_KNOWN_ELEMENTS) return undefined;
  try {
    return { dtype, dims, elements: isInteger(dtype) ? toBigInts(tensor) : readFloats(tensor) };
  } catch {
    // Bytes that cannot be read (a missing or short external file) are the loader's and the checker's to report.
    return undefined;
  }
};

const readFloats = (tensor: Tensor): number[] => {
  const { dtype } = tensor;
  const raw = Array.from(tensorArray(tensor as Tensor & { dtype: 'float64' }));
  return dtype === 'float16'
    ? raw.map(float16ToNumber)
    : dtype === 'bfloat16'
      ? raw.map(bfloat16ToNumber)
      : raw;
};

/** An element after storage in a type: integers wrap around, floats are rounded; symbols and unknowns stay. */
export const storeElement = (dtype: DType, element: Element): Element => {
  if (typeof element === 'bigint') {
    const { kind, bits } = dtypeInfo(dtype);
    return kind === 'bool'
      ? BigInt(element !== 0n)
      : BigInt[kind === 'uint' ? 'asUintN' : 'asIntN'](bits, element);
  }
  if (typeof element !== 'number') return element;
  if (dtype === 'float32') return Math.fround(element);
  if (dtype === 'float16') return float16ToNumber(numberToFloat16(element));
  return dtype === 'bfloat16' ? bfloat16ToNumber(numberToBfloat16(element)) : element;
};

/** A dimension as an element: what Shape gives. */
export const fromDim = (dim: Dim): Element => (typeof dim === 'number' ? BigInt(dim) : dim);

export const scalar = (dtype: DType, element: Element): PartialTensor => ({
  dtype,
  dims: [],
  elements: [element],
});

export const vector = (dtype: DType, elements: readonly Element[]): PartialTensor => ({
  dtype,
  dims: [elements.length],
  elements,
});

/** Dtype and dimensions of an output small enough to evaluate. */
export const smallOutput = (
  type: ValueType | undefined,
): { dtype: DType; dims: readonly number[]; count: number } | undefined => {
  if (type?.kind !== 'tensor' || !isFollowed(type.dtype) || !isStatic(type.shape)) return undefined;
  const count = type.shape.reduce((a, b) => a * b, 1);
  return count <= MAX_KNOWN_ELEMENTS ? { dtype: type.dtype, dims: type.shape, count } : undefined;
};

/** True when every element is a number. */
export const isComplete = (partial: PartialTensor): boolean =>
  partial.elements.every((element) => typeof element === 'bigint' || typeof element === 'number');

/** Row-major strides in elements. */
export const stridesOf = (dims: readonly number[]): number[] => {
  const strides = new Array<number>(dims.length).fill(1);
  for (let i = dims.length - 2; i >= 0; i--)
    strides[i] = (strides[i + 1] as number) * (dims[i + 1] as number);
  return strides;
};

/** The flat index of every output element in an input, given the input offset of a step along each output axis. */
export const gatherIndices = (dims: readonly number[], steps: readonly number[], start = 0): number[] => {
  // A huge axis beside an empty one would be walked for nothing.
  if (dims.includes(0)) return [];
  let indices = [start];
  dims.forEach((dim, axis) => {
    const step = steps[axis] as number;
    indices = indices.flatMap((index) => Array.from({ length: dim }, (_, i) => index + i * step));
  });
  return indices;
};

/** Elements of an operand as broadcast to the output dimensions. */
export const broadcastElements = (operand: PartialTensor, dims: readonly number[]): Element[] => {
  const shift = dims.length - operand.dims.length;
  const strides = stridesOf(operand.dims);
  const steps = dims.map((_, axis) =>
    axis < shift || operand.dims[axis - shift] === 1 ? 0 : (strides[axis - shift] as number),
  );
  return gatherIndices(dims, steps).map((index) => operand.elements[index] ?? null);
};
