/**
 * Transforms that move elements without changing them: views of the tensor's bytes, joined so that a chain of them is
 * gathered once, when the result is read.
 */
import { contiguousStrides, isContiguous, StridedSource } from '../../core/derived-source.ts';
import { byteLengthOf, type DType, dtypeInfo } from '../../core/dtype.ts';
import type { StridedView } from '../../core/gather.ts';
import { InterleavedSource } from '../../core/interleaved-source.ts';
import { SliceSource } from '../../core/source.ts';
import { elementCount, type Tensor } from '../../core/tensor.ts';

/** A tensor that does not fit its rule; whoever knows rule and key says so. */
export class TransformError extends Error {
  readonly code: 'weights/shape-mismatch' | 'dtype/unsupported';
  constructor(message: string, code: TransformError['code'] = 'weights/shape-mismatch') {
    super(message);
    this.code = code;
  }
}

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, i) => value === b[i]);

/** @throws TransformError for packed and string tensors, whose elements have no place of their own */
const viewOf = ({ dtype, dims, data }: Tensor): StridedView => {
  if (dtypeInfo(dtype).bits < 8) {
    throw new TransformError(`elements of ${dtype} cannot be moved`, 'dtype/unsupported');
  }
  if (data instanceof StridedSource && isSame(data.view.dims, dims)) return data.view;
  return { base: data, unit: byteLengthOf(dtype, 1), dims, strides: contiguousStrides(dims), start: 0 };
};

/** The elements of a view as a tensor of these dimensions (those of the view, or others of as many elements). */
const tensorOfView = (dtype: DType, view: StridedView, dims: readonly number[] = view.dims): Tensor => {
  const { base, unit, strides, start } = view;
  const bytes = byteLengthOf(dtype, elementCount(dims));
  if (bytes === 0) return { dtype, dims, data: new SliceSource(base, 0, 0) };
  if (!isContiguous(view.dims, strides)) {
    return { dtype, dims, data: new StridedSource(base, unit, view.dims, strides, start) };
  }
  const isAll = start === 0 && base.size === bytes;
  return { dtype, dims, data: isAll ? base : new SliceSource(base, start * unit, bytes) };
};

/** A dimension counted from the start. @throws TransformError */
export const axisOf = (dim: number, rank: number): number => {
  const axis = dim < 0 ? dim + rank : dim;
  if (axis < 0 || axis >= rank) throw new TransformError(`there is no dimension ${dim}`);
  return axis;
};

/** Dimension `order[i]` becomes dimension i. @throws TransformError */
export const permute = (tensor: Tensor, order: readonly number[]): Tensor => {
  const rank = tensor.dims.length;
  if (order.length !== rank) throw new TransformError(`the order [${order.join(', ')}] has ${order.length}`);
  const axes = order.map((dim) => axisOf(dim, rank));
  if (new Set(axes).size !== rank) throw new TransformError(`the order [${order.join(', ')}] repeats one`);
  const view = viewOf(tensor);
  const dims = axes.map((axis) => view.dims[axis]!);
  return tensorOfView(tensor.dtype, { ...view, dims, strides: axes.map((axis) => view.strides[axis]!) });
};

/** Two dimensions change places. @throws TransformError */
export const transpose = (tensor: Tensor, dims: readonly number[] = [-2, -1]): Tensor => {
  const rank = tensor.dims.length;
  if (rank < 2) throw new TransformError('two dimensions are needed');
  const [a, b] = dims.map((dim) => axisOf(dim, rank)) as [number, number];
  const order = tensor.dims.map((_, axis) => (axis === a ? b : axis === b ? a : axis));
  return permute(tensor, order);
};

/** Dimensions, −1 for what is left, null for what stays as it is. */
export type ShapeForm = readonly (number | null)[];

/** The shape with −1 and null worked out. @throws TransformError where it does not hold as many elements */
const resolveShape = (dims: readonly number[], form: ShapeForm): number[] => {
  const shown = form.map((dim) => dim ?? 'null').join(', ');
  const count = elementCount(dims);
  const shape = form.map((dim, axis) => {
    if (dim !== null) return dim;
    if (axis >= dims.length) throw new TransformError(`[${shown}]: there is no dimension ${axis} to keep`);
    return dims[axis]!;
  });
  const known = shape.filter((dim) => dim !== -1).reduce((product, dim) => product * dim, 1);
  const rest = known === 0 ? 0 : count / known;
  const resolved = shape.map((dim) => (dim === -1 ? rest : dim));
  if (!Number.isInteger(rest) || resolved.reduce((product, dim) => product * dim, 1) !== count) {
    throw new TransformError(`${count} elements do not fill [${shown}]`);
  }
  return resolved;
};

/** Other dimensions for the same elements in the same order; `from` is what they must be before. @throws TransformError */
export const reshape = (tensor: Tensor, shape: ShapeForm, from?: ShapeForm): Tensor => {
  if (from !== undefined && !isSame(tensor.dims, resolveShape(tensor.dims, from))) {
    throw new TransformError(`[${from.map((dim) => dim ?? 'null').join(', ')}] is expected before`);
  }
  return { ...tensor, dims: resolveShape(tensor.dims, shape) };
};

/** Takes out a dimension of size 1. @throws TransformError */
export const squeeze = (tensor: Tensor, dim: number): Tensor => {
  const axis = axisOf(dim, tensor.dims.length);
  if (tensor.dims[axis] !== 1) throw new TransformError(`dimension ${dim} is not 1`);
  const view = viewOf(tensor);
  const dims = view.dims.toSpliced(axis, 1);
  return tensorOfView(tensor.dtype, { ...view, dims, strides: view.strides.toSpliced(axis, 1) });
};

/** Puts in a dimension of size 1. @throws TransformError */
export const unsqueeze = (tensor: Tensor, dim: number): Tensor => {
  const axis = axisOf(dim, tensor.dims.length + 1);
  const view = viewOf(tensor);
  const dims = view.dims.toSpliced(axis, 0, 1);
  return tensorOfView(tensor.dtype, { ...view, dims, strides: view.strides.toSpliced(axis, 0, 1) });
};

/** Elements along these dimensions in reverse. @throws TransformError */
export const flip = (tensor: Tensor, dims: readonly number[]): Tensor => {
  const view = viewOf(tensor);
  const axes = new Set(dims.map((dim) => axisOf(dim, view.dims.length)));
  if (axes.size !== dims.length) throw new TransformError(`[${dims.join(', ')}] repeats one`);
  if (view.dims.includes(0)) return tensor;
  let { start } = view;
  for (const axis of axes) start += (view.dims[axis]! - 1) * view.strides[axis]!;
  const strides = view.strides.map((stride, axis) => (axes.has(axis) ? -stride : stride));
  return tensorOfView(tensor.dtype, { ...view, strides, start });
};

/** Indices start, start + step… below end along one dimension; negative ones count from its end. @throws TransformError */
export const slice = (tensor: Tensor, dim: number, start = 0, end?: number, step = 1): Tensor => {
  const view = viewOf(tensor);
  const axis = axisOf(dim, view.dims.length);
  const size = view.dims[axis]!;
  const from = start < 0 ? start + size : start;
  const to = end === undefined ? size : end < 0 ? end + size : end;
  if (from < 0 || to > size || from > to) {
    throw new TransformError(`[${start}, ${end ?? ''}) does not lie in dimension ${dim} of size ${size}`);
  }
  const dims = view.dims.with(axis, Math.ceil((to - from) / step));
  const strides = view.strides.with(axis, view.strides[axis]! * step);
  return tensorOfView(tensor.dtype, {
    ...view,
    dims,
    strides,
    start: view.start + from * view.strides[axis]!,
  });
};

/**
 * The tensors one after the other along a dimension; with groups, the first n-th of each, then the second…
 * @throws TransformError where other dimensions or types differ, or a size is no multiple of the groups
 */
export const concat = (tensors: readonly Tensor[], dim: number, groups: number): Tensor => {
  const first = tensors[0]!;
  const axis = axisOf(dim, first.dims.length);
  for (const { dtype, dims } of tensors) {
    viewOf({ ...first, dtype });
    if (dtype !== first.dtype) {
      throw new TransformError(`${first.dtype} and ${dtype} cannot be joined`, 'dtype/unsupported');
    }
    if (!isSame(dims.with(axis, 0), first.dims.with(axis, 0))) {
      throw new TransformError(
        `[${first.dims.join(', ')}] and [${dims.join(', ')}] cannot be joined along ${dim}`,
      );
    }
    if (dims[axis]! % groups !== 0)
      throw new TransformError(`${dims[axis]} is no multiple of ${groups} groups`);
  }
  const size = tensors.reduce((sum, { dims }) => sum + dims[axis]!, 0);
  const rounds = elementCount(first.dims.slice(0, axis)) * groups;
  const sources = tensors.map(({ data }) => data);
  return {
    dtype: first.dtype,
    dims: first.dims.with(axis, size),
    data: new InterleavedSource(sources, rounds),
  };
};

/**
 * Parts of these sizes along a dimension; the inverse of concat.
 * @throws TransformError where the sizes do not add up, or one is no multiple of the groups
 */
export const split = (tensor: Tensor, dim: number, sizes: readonly number[], groups: number): Tensor[] => {
  const view = viewOf(tensor);
  const axis = axisOf(dim, view.dims.length);
  const whole = sizes.reduce((sum, size) => sum + size, 0);
  if (whole !== view.dims[axis]) {
    throw new TransformError(`sizes of ${sizes.join(' + ')} do not make up dimension ${dim}`);
  }
  const odd = sizes.find((size) => size % groups !== 0);
  if (odd !== undefined) throw new TransformError(`${odd} is no multiple of ${groups} groups`);
  const stride = view.strides[axis]!;
  let start = view.start;
  return sizes.map((size) => {
    const dims = view.dims.toSpliced(axis, 1, groups, size / groups);
    const strides = view.strides.toSpliced(axis, 1, (stride * whole) / groups, stride);
    const plain =
      groups === 1 ? { dims: view.dims.with(axis, size), strides: view.strides } : { dims, strides };
    const part = tensorOfView(tensor.dtype, { ...view, ...plain, start }, view.dims.with(axis, size));
    start += (size / groups) * stride;
    return part;
  });
};
