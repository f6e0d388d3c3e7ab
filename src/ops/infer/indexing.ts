/** Gather, scatter and selection. Indices may be negative, counting from the end. */
import type { Dim, Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown, mayEqual, showShape } from './dims.ts';
import { commonDtype } from './elementwise.ts';
import type { Rule, RuleTable } from './types.ts';

/** Fails on the first constant index outside [−size, size). */
const checkIndices = (call: Call, input: number, size: Dim | undefined): void => {
  if (!isKnown(size)) return;
  for (const element of call.known(input)?.elements ?? []) {
    if (typeof element === 'bigint' && (element >= BigInt(size) || element < -BigInt(size))) {
      call.fail('index-range', `index ${element} is out of range for size ${size}`);
    }
  }
};

const gather: Rule = (call) => {
  const data = call.atLeast(0, 1);
  const indices = call.shape(1);
  if (data === undefined) return call.out(call.dtype(0), undefined);
  const axis = call.axis(call.int('axis', 0), data.length);
  checkIndices(call, 1, data[axis]);
  if (indices === undefined) return call.out(call.dtype(0), undefined);
  return call.out(call.dtype(0), [...data.slice(0, axis), ...indices, ...data.slice(axis + 1)]);
};

const gatherElements: Rule = (call) => {
  const data = call.atLeast(0, 1);
  const indices = call.shape(1);
  if (data) {
    const axis = call.axis(call.int('axis', 0), data.length);
    sameRank(call, data, indices);
    checkIndices(call, 1, data[axis]);
  }
  return call.out(call.dtype(0), indices);
};

const sameRank = (call: Call, data: Shape, indices: Shape | undefined): void => {
  if (indices && indices.length !== data.length) {
    call.fail('rank-mismatch', `data and indices have ranks ${data.length} and ${indices.length}`);
  }
};

/** Fails on constant index tuples (rows of `input`, its last axis `depth` long) outside the data. */
const checkTuples = (call: Call, input: number, sizes: Shape, depth: number): void => {
  const elements = call.known(input)?.elements;
  elements?.forEach((element, at) => {
    const size = sizes[at % depth];
    if (
      typeof element === 'bigint' &&
      isKnown(size) &&
      (element >= BigInt(size) || element < -BigInt(size))
    ) {
      call.fail('index-range', `index ${element} is out of range for size ${size}`);
    }
  });
};

/** indices [..., d] pick slices of data[batch..., i1...id]: shape indices[:-1] + data[batch + d:]. */
const gatherNd: Rule = (call) => {
  const data = call.atLeast(0, 1);
  const indices = call.atLeast(1, 1);
  const batch = call.int('batch_dims', 0);
  const depth = indices?.at(-1);
  if (data === undefined || indices === undefined) return call.out(call.dtype(0), undefined);
  if (batch < 0 || batch >= Math.min(data.length, indices.length)) {
    call.fail('attribute-range', `batch_dims is ${batch}`);
  }
  if (!isKnown(depth)) return call.out(call.dtype(0), undefined);
  if (depth < 1 || batch + depth > data.length) {
    call.fail('shape-mismatch', `index tuples of ${depth} entries do not fit data ${showShape(data)}`);
  }
  checkTuples(call, 1, data.slice(batch, batch + depth), depth);
  return call.out(call.dtype(0), [...indices.slice(0, -1), ...data.slice(batch + depth)]);
};

const scatterElements: Rule = (call) => {
  const data = call.shape(0);
  if (data && data.length > 0) {
    const axis = call.axis(call.int('axis', 0), data.length);
    sameRank(call, data, call.shape(1));
    checkIndices(call, 1, data[axis]);
  }
  commonDtype(call, [0, 2]);
  return call.like(0);
};

const scatterNd: Rule = (call) => {
  const data = call.atLeast(0, 1);
  const indices = call.atLeast(1, 1);
  const updates = call.shape(2);
  const depth = indices?.at(-1);
  commonDtype(call, [0, 2]);
  if (data && indices && isKnown(depth)) {
    if (depth < 1 || depth > data.length) {
      call.fail('shape-mismatch', `index tuples of ${depth} entries do not fit data ${showShape(data)}`);
    }
    checkTuples(call, 1, data.slice(0, depth), depth);
    const expected = [...indices.slice(0, -1), ...data.slice(depth)];
    if (
      updates &&
      (updates.length !== expected.length || !updates.every((dim, i) => mayEqual(dim, expected[i])))
    ) {
      call.fail(
        'shape-mismatch',
        `updates have shape ${showShape(updates)}, expected ${showShape(expected)}`,
      );
    }
  }
  return call.like(0);
};

/** Inputs: indices, depth, values (off, on). A new axis of `depth` goes in at `axis`. */
const oneHot: Rule = (call) => {
  const indices = call.shape(0);
  const element = call.knownScalar(1);
  const depth: Dim =
    typeof element === 'bigint'
      ? Number(element)
      : typeof element === 'number'
        ? Math.trunc(element)
        : (element ?? null);
  if (isKnown(depth) && depth < 1) call.fail('attribute-range', `depth is ${depth}`);
  if (indices === undefined) return call.out(call.dtype(2), undefined);
  const axis = call.axis(call.int('axis', -1), indices.length + 1);
  return call.out(call.dtype(2), [...indices.slice(0, axis), depth, ...indices.slice(axis)]);
};

const nonZero: Rule = (call) => {
  const shape = call.shape(0);
  return call.out('int64', [shape?.length ?? null, null]);
};

/** Without an axis the input is flattened first. */
const compress: Rule = (call) => {
  const shape = call.shape(0);
  const axis = call.int('axis');
  const condition = call.known(1)?.elements;
  const kept = condition?.every((element) => typeof element === 'bigint')
    ? condition.filter((element) => element !== 0n).length
    : null;
  if (axis === undefined) return call.out(call.dtype(0), [kept]);
  if (shape === undefined) return call.out(call.dtype(0), undefined);
  const at = call.axis(axis, shape.length);
  return call.out(
    call.dtype(0),
    shape.map((dim, i) => (i === at ? kept : dim)),
  );
};

const unique: Rule = (call) => {
  const shape = call.shape(0);
  const axis = call.int('axis');
  const kept = shape && axis !== undefined ? call.axis(axis, shape.length) : undefined;
  const first = axis === undefined ? [null] : shape?.map((dim, i) => (i === kept ? null : dim));
  const list = call.out('int64', [null]);
  return [...call.out(call.dtype(0), first), ...list, ...list, ...list];
};

/** past_cache with `update` written into it. */
const tensorScatter: Rule = (call) => call.like(0);

export const indexingRules: RuleTable = {
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherNd,
  Scatter: scatterElements,
  ScatterElements: scatterElements,
  ScatterND: scatterNd,
  TensorScatter: tensorScatter,
  OneHot: oneHot,
  NonZero: nonZero,
  Compress: compress,
  Unique: unique,
};
