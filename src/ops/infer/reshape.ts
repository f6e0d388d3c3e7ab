/** Operators that give the same elements another shape: Reshape and its kin. */
import type { Dim, Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { divideProducts, isKnown, productDim, productOf, showShape, unknownDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/** A stand-in for an unknown dimension of the input, so that a copy of it cancels; starts with a character no name has. */
const token = (axis: number): string => `\0${axis}`;

/**
 * Reshape. 0 copies the input's dimension (unless `allowZero`), one −1 takes what is left. Unknown and symbolic
 * dimensions cancel: [N, 8, 16] to [−1, 128] gives [N, 128].
 */
const reshapeShape = (
  call: Call,
  input: Shape | undefined,
  target: readonly Dim[],
  allowZero: boolean,
): Dim[] => {
  const named = input?.map((dim, axis) => dim ?? token(axis));
  const open: number[] = [];
  let explicit = false;
  const dims = target.map((dim, axis): Dim => {
    if (dim === 0 && !allowZero) {
      if (named && axis >= named.length) {
        call.fail('rank-mismatch', `0 at axis ${axis} copies a dimension that ${showShape(input)} lacks`);
      }
      return named?.[axis] ?? null;
    }
    if (isKnown(dim) && dim < -1) call.fail('attribute-range', `dimension ${dim} in the target shape`);
    if (dim === -1 && explicit) call.fail('attribute-range', 'more than one -1 in the target shape');
    explicit ||= dim === -1;
    if (dim === -1 || dim === null) open.push(axis);
    return dim === -1 ? null : dim;
  });
  const total = named && productOf(named);
  const rest = productOf(dims.filter((_, axis) => !open.includes(axis)));
  const only = open[0];
  if (total) {
    const free = open.length === 1 && only !== undefined;
    const left = divideProducts(total, rest);
    if (left === undefined || (open.length === 0 && isKnown(left) && left !== 1)) {
      misfit(call, input, target);
    }
    if (open.length === 0 && rest && rest.symbols.length === 0 && total.symbols.length === 0) {
      if (rest.factor !== total.factor) misfit(call, input, target);
    }
    if (free) {
      if (explicit && rest?.factor === 0 && total.symbols.length === 0 && total.factor !== 0) {
        misfit(call, input, target);
      }
      dims[only] = left ?? null;
    }
  }
  return dims.map((dim) => (typeof dim === 'string' && dim.startsWith('\0') ? null : dim));
};

const misfit = (call: Call, input: Shape | undefined, target: readonly Dim[]): never => {
  const count = input && productDim(input);
  const elements = isKnown(count) ? `${count} elements` : 'the elements';
  return call.fail(
    'shape-mismatch',
    `${elements} of ${showShape(input)} do not fit the shape ${showShape(target)}`,
  );
};

const reshape: Rule = (call) => {
  const target = call.opset < 5 ? call.ints('shape') : call.knownDims(1);
  const dtype = call.dtype(0);
  if (target === undefined) return call.out(dtype, undefined);
  return call.out(dtype, reshapeShape(call, call.shape(0), target, call.int('allowzero', 0) !== 0));
};

const flatten: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  if (shape === undefined) return call.out(dtype, [null, null]);
  const axis = call.axis(call.int('axis', 1), shape.length, true);
  return call.out(dtype, [productDim(shape.slice(0, axis)), productDim(shape.slice(axis))]);
};

/** Axes from the attribute (before opset 13) or from input 1; 'unknown' when they cannot be told. */
const axesOf = (call: Call): readonly number[] | 'unknown' | undefined => {
  if (call.opset < 13) return call.ints('axes') ?? (call.isUnbound('axes') ? 'unknown' : undefined);
  return call.has(1) ? (call.knownInts(1) ?? 'unknown') : undefined;
};

const squeeze: Rule = (call) => {
  const shape = call.shape(0);
  const axes = axesOf(call);
  const dtype = call.dtype(0);
  if (shape === undefined) return call.out(dtype, undefined);
  if (axes === 'unknown') {
    const count = call.shape(1)?.[0];
    return call.out(
      dtype,
      isKnown(count) && count <= shape.length ? unknownDims(shape.length - count) : undefined,
    );
  }
  if (axes === undefined) {
    // Every dimension of 1 goes: only certain when all are known.
    return call.out(dtype, shape.every(isKnown) ? shape.filter((dim) => dim !== 1) : undefined);
  }
  const removed = call.axes(axes, shape.length);
  for (const axis of removed) {
    const dim = shape[axis];
    if (isKnown(dim) && dim !== 1) {
      call.fail('shape-mismatch', `axis ${axis} of ${showShape(shape)} is ${dim}, expected 1`);
    }
  }
  return call.out(
    dtype,
    shape.filter((_, axis) => !removed.includes(axis)),
  );
};

const unsqueeze: Rule = (call) => {
  const shape = call.shape(0);
  const axes = axesOf(call);
  const dtype = call.dtype(0);
  if (axes === undefined) return call.fail('missing-attribute', 'axes are missing');
  if (axes === 'unknown') {
    const count = call.opset < 13 ? undefined : (call.shape(1) ?? []).length === 0 ? 1 : call.shape(1)?.[0];
    return call.out(
      dtype,
      shape && isKnown(count) && count <= 64 ? unknownDims(shape.length + count) : undefined,
    );
  }
  if (shape === undefined) return call.out(dtype, undefined);
  const rank = shape.length + axes.length;
  const added = new Set(call.axes(axes, rank));
  const rest = shape.values();
  return call.out(
    dtype,
    Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.next().value as Dim))),
  );
};

/** [N, C, H, W] to [N, C / b², H·b, W·b]. */
const depthToSpace: Rule = (call) => {
  const shape = call.ranked(0, 4);
  const block = blockSize(call);
  if (shape === undefined) return call.out(call.dtype(0), unknownDims(4));
  const [n = null, c = null, h = null, w = null] = shape;
  if (isKnown(c) && c % block ** 2 !== 0) {
    call.fail('shape-mismatch', `${c} channels do not divide by blocksize² ${block ** 2}`);
  }
  const scaled = (dim: Dim): Dim => (isKnown(dim) ? dim * block : block === 1 ? dim : null);
  const channels = isKnown(c) ? c / block ** 2 : block === 1 ? c : null;
  return call.out(call.dtype(0), [n, channels, scaled(h), scaled(w)]);
};

/** [N, C, H, W] to [N, C·b², H / b, W / b]. */
const spaceToDepth: Rule = (call) => {
  const shape = call.ranked(0, 4);
  const block = blockSize(call);
  if (shape === undefined) return call.out(call.dtype(0), unknownDims(4));
  const [n = null, c = null, h = null, w = null] = shape;
  const cut = (dim: Dim): Dim => {
    if (isKnown(dim) && dim % block !== 0) {
      call.fail('shape-mismatch', `size ${dim} does not divide by blocksize ${block}`);
    }
    return isKnown(dim) ? dim / block : block === 1 ? dim : null;
  };
  const channels = isKnown(c) ? c * block ** 2 : block === 1 ? c : null;
  return call.out(call.dtype(0), [n, channels, cut(h), cut(w)]);
};

const blockSize = (call: Call): number => {
  const block = call.int('blocksize');
  if (block === undefined) call.fail('missing-attribute', 'blocksize is missing');
  if (block < 1) call.fail('attribute-range', `blocksize is ${block}, expected at least 1`);
  return block;
};

export const reshapeRules: RuleTable = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
