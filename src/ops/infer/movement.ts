/** Operators that move, repeat, join or cut data along axes. */
import type { Dim, Shape, ValueType } from '../../ir/type.ts';
import { MAX_RANK } from './call.ts';
import { addDims, broadcastShapes, isKnown, mulDims, showShape, unifyDims, unknownDims } from './dims.ts';
import { commonDtype } from './elementwise.ts';
import { slice } from './slice.ts';
import type { Rule, RuleTable } from './types.ts';

const transpose: Rule = (call) => {
  const shape = call.shape(0);
  const perm = call.ints('perm');
  if (shape === undefined)
    return call.out(call.dtype(0), perm && unknownDims(Math.min(perm.length, MAX_RANK)));
  const order = perm ?? shape.map((_, axis) => shape.length - 1 - axis);
  if (order.length !== shape.length) {
    call.fail('rank-mismatch', `perm has ${order.length} entries, the input rank ${shape.length}`);
  }
  const axes = order.map((axis) =>
    axis < 0 ? call.fail('axis-range', `perm has the negative axis ${axis}`) : call.axis(axis, shape.length),
  );
  if (new Set(axes).size !== axes.length)
    call.fail('axis-range', `perm [${order.join(', ')}] repeats an axis`);
  return call.out(
    call.dtype(0),
    axes.map((axis) => shape[axis] as Dim),
  );
};

/** Input and target broadcast against each other (a target of 1 keeps the input's dimension). */
const expand: Rule = (call) => {
  const target = call.knownDims(1);
  const shape = call.shape(0);
  if (target === undefined || shape === undefined) return call.out(call.dtype(0), undefined);
  for (const dim of target) {
    if (isKnown(dim) && dim < 0) call.fail('attribute-range', `dimension ${dim} in the target shape`);
  }
  const result = broadcastShapes([shape, target]);
  if (result === false) {
    return call.fail('shape-mismatch', `cannot broadcast ${showShape(shape)} to ${showShape(target)}`);
  }
  return call.out(call.dtype(0), result);
};

/** Before opset 4 the axis was optional, 1 by default. */
const concat: Rule = (call) => {
  const indices = call.node.inputs.map((_, index) => index);
  const dtype = commonDtype(call, indices);
  const given = call.int('axis') ?? (call.opset < 4 ? 1 : undefined);
  if (given === undefined) {
    if (call.isUnbound('axis')) return call.out(dtype, undefined);
    return call.fail('missing-attribute', 'axis is missing');
  }
  const shapes = indices.map((index) => call.shape(index));
  const rank = shapes.find((shape) => shape !== undefined)?.length;
  if (rank === undefined) return call.out(dtype, undefined);
  const axis = call.axis(given, rank);
  let result: Dim[] | undefined;
  for (const shape of shapes) {
    if (shape === undefined) {
      if (result) result[axis] = null;
      continue;
    }
    if (shape.length !== rank) {
      call.fail('rank-mismatch', `inputs have ranks ${rank} and ${shape.length}`);
    }
    if (result === undefined) {
      result = [...shape];
      continue;
    }
    for (let i = 0; i < rank; i++) {
      if (i === axis) result[i] = addDims(result[i] as Dim, shape[i] as Dim);
      else {
        call.same(result[i], shape[i], `sizes along axis ${i}:`);
        result[i] = unifyDims(result[i], shape[i]);
      }
    }
  }
  if (result && shapes.includes(undefined)) result[axis] = null;
  return call.out(dtype, result);
};

/**
 * Split. Sizes: attribute `split` (before opset 13), input 1, or equal parts: of as many as there are outputs, from
 * opset 18 of `num_outputs`, the last one smaller.
 */
const split: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  const outputs = call.node.outputs.length;
  const parts = call.int('num_outputs');
  if (parts !== undefined && parts < 1)
    call.fail('attribute-range', `num_outputs is ${parts}, expected at least 1`);
  if (parts !== undefined && parts !== outputs) {
    call.fail('attribute-range', `num_outputs is ${parts}, the node has ${outputs} outputs`);
  }
  const each = (sizes: readonly Dim[] | undefined, axis: number): ValueType[] =>
    call.node.outputs.flatMap((_, i) =>
      call.out(
        dtype,
        shape?.map((dim, at) => (at === axis ? (sizes?.[i] ?? null) : dim)),
      ),
    );
  if (shape === undefined) return each(undefined, 0);
  const axis = call.axis(call.int('axis', 0), shape.length);
  const total = shape[axis] as Dim;
  const given = call.opset < 13 ? call.ints('split') : call.has(1) ? call.knownDims(1) : undefined;
  if (given) {
    if (given.length !== outputs) {
      call.fail('rank-mismatch', `split has ${given.length} entries, the node ${outputs} outputs`);
    }
    const sum = given.reduce<Dim>(addDims, 0);
    if (given.some((size) => isKnown(size) && size < 0))
      call.fail('attribute-range', 'a split size is negative');
    call.same(sum, total, `the split sizes' sum and the size of axis ${axis}:`);
    return each(given, axis);
  }
  if ((call.opset >= 13 && call.has(1)) || !isKnown(total))
    return each(outputs === 1 ? [total] : undefined, axis);
  const chunk = Math.ceil(total / outputs);
  if (parts === undefined && total % outputs !== 0) {
    call.fail('shape-mismatch', `size ${total} of axis ${axis} does not divide into ${outputs} equal parts`);
  }
  const sizes = call.node.outputs.map((_, i) => Math.max(0, Math.min(chunk, total - i * chunk)));
  return each(sizes, axis);
};

/** Pads come as begins then ends; opset 18 adds axes. Negative ones cut. */
const pad: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  const pads =
    call.opset < 2 ? call.ints('paddings') : call.opset < 11 ? call.ints('pads') : call.knownDims(1);
  if (shape === undefined) return call.out(dtype, undefined);
  const axes = call.opset >= 18 && call.has(3) ? call.knownInts(3) : shape.map((_, axis) => axis);
  if (pads === undefined || axes === undefined) return call.out(dtype, unknownDims(shape.length));
  if (pads.length !== 2 * axes.length) {
    call.fail('rank-mismatch', `pads has ${pads.length} entries, expected ${2 * axes.length}`);
  }
  const dims: Dim[] = [...shape];
  call.axes(axes, shape.length).forEach((axis, i) => {
    const total = addDims(pads[i] as Dim, pads[i + axes.length] as Dim);
    const dim = addDims(dims[axis] as Dim, total);
    if (isKnown(dim) && dim < 0) {
      call.fail('negative-dimension', `pads make axis ${axis} ${dim} long`);
    }
    dims[axis] = isKnown(total) ? dim : null;
  });
  return call.out(dtype, dims);
};

/** Version 1 had two scalars, tiles and axis. */
const tile: Rule = (call) => {
  const shape = call.shape(0);
  if (call.opset < 6) return call.out(call.dtype(0), shape && unknownDims(shape.length));
  const repeats = call.knownDims(1);
  if (shape === undefined) return call.out(call.dtype(0), repeats && unknownDims(repeats.length));
  if (repeats && repeats.length !== shape.length) {
    call.fail('rank-mismatch', `repeats has ${repeats.length} entries, the input rank ${shape.length}`);
  }
  const dims = shape.map((dim, axis): Dim => {
    const times = repeats?.[axis] ?? null;
    if (isKnown(times) && times < 0) call.fail('attribute-range', `repeats ${times} is negative`);
    return mulDims(dim, times);
  });
  return call.out(call.dtype(0), dims);
};

/** Cuts or pads the axes to the given sizes. */
const centerCropPad: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === undefined) return call.out(call.dtype(0), undefined);
  const axes = call.axes(call.ints('axes') ?? shape.map((_, axis) => axis), shape.length);
  const sizes = call.knownDims(1);
  if (sizes && sizes.length !== axes.length) {
    call.fail('rank-mismatch', `shape has ${sizes.length} entries, expected ${axes.length}`);
  }
  const dims: Dim[] = [...shape];
  axes.forEach((axis, i) => {
    dims[axis] = sizes?.[i] ?? null;
  });
  return call.out(call.dtype(0), dims);
};

const like: Rule = (call) => call.like(0);

const trilu: Rule = (call) => {
  call.atLeast(0, 2);
  return call.like(0);
};

const shapeOf: Rule = (call) => {
  const shape: Shape | undefined = call.shape(0);
  if (shape === undefined) return call.out('int64', [null]);
  const clamp = (value: number): number =>
    Math.min(Math.max(value < 0 ? value + shape.length : value, 0), shape.length);
  const [start, end] = [clamp(call.int('start', 0)), clamp(call.int('end', shape.length))];
  return call.out('int64', [Math.max(0, end - start)]);
};

export const movementRules: RuleTable = {
  Transpose: transpose,
  Expand: expand,
  Concat: concat,
  Slice: slice,
  Split: split,
  Pad: pad,
  Tile: tile,
  CenterCropPad: centerCropPad,
  ReverseSequence: like,
  Trilu: trilu,
  Shape: shapeOf,
  Size: (call) => call.out('int64', []),
};
