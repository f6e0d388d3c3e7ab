/**
 * Slice. Along an axis of size n, starts and ends count from the end when negative and are clamped:
 * step > 0 to [0, n], step < 0 to [−1, n − 1] (start to [0, n − 1]); the size is max(0, ceil((end − start) / step)).
 * Source: the ONNX operator document of Slice-13.
 */
import type { Dim } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown } from './dims.ts';
import type { Rule } from './types.ts';

export interface SliceRange {
  readonly start: number;
  readonly step: number;
  readonly size: number;
}

/** What a slice takes of a known size. Bounds may be any number (int64 limits, rounded, included). */
export const sliceRange = (size: number, start: number, end: number, step: number): SliceRange => {
  const from = start < 0 ? start + size : start;
  const to = end < 0 ? end + size : end;
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const first = Math.min(Math.max(from, 0), step > 0 ? size : Math.max(0, size - 1));
  const last = Math.min(Math.max(to, low), high);
  return { start: first, step, size: Math.max(0, Math.ceil((last - first) / step)) || 0 };
};

/** Starts, ends, axes and steps, from attributes (before opset 10) or inputs; null = unknown element. */
export interface SliceArguments {
  readonly starts: readonly Dim[];
  readonly ends: readonly Dim[];
  readonly axes: readonly number[];
  readonly steps: readonly Dim[];
}

/** The arguments for an input of this rank, or undefined when not even the axes are known. */
export const sliceArguments = (call: Call, rank: number): SliceArguments | undefined => {
  const old = call.opset < 10;
  const starts = old ? call.ints('starts') : call.knownDims(1);
  const ends = old ? call.ints('ends') : call.knownDims(2);
  const given = old ? call.ints('axes') : call.has(3) ? call.knownInts(3) : undefined;
  if (starts === undefined || ends === undefined) {
    if (given === undefined) return undefined;
    const unknown = given.map(() => null);
    return { starts: unknown, ends: unknown, axes: call.axes(given, rank), steps: unknown };
  }
  if (!old && call.has(3) && given === undefined) return undefined;
  const axes = given ?? starts.map((_, axis) => axis);
  const steps =
    (!old && call.has(4) ? call.knownDims(4) : undefined) ?? axes.map(() => (call.has(4) ? null : 1));
  if (starts.length !== axes.length || ends.length !== axes.length || steps.length !== axes.length) {
    call.fail(
      'rank-mismatch',
      `starts, ends, axes and steps have ${starts.length}, ${ends.length}, ${axes.length} and ${steps.length} entries`,
    );
  }
  if (steps.includes(0)) call.fail('attribute-range', 'a step is 0');
  return { starts, ends, axes: call.axes(axes, rank), steps };
};

/** Numbers from here on mean "to the end" for every real dimension. */
const BEYOND = 2 ** 31 - 1;

const sliceDim = (dim: Dim, start: Dim, end: Dim, step: Dim): Dim => {
  if (!isKnown(step)) return null;
  if (isKnown(dim) && isKnown(start) && isKnown(end)) return sliceRange(dim, start, end, step).size;
  // All of a symbolic dimension, forwards or backwards.
  if (step === 1 && start === 0 && (end === dim || (isKnown(end) && end >= BEYOND))) return dim;
  if (step === -1 && start === -1 && isKnown(end) && end <= -BEYOND) return dim;
  return null;
};

export const slice: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  if (shape === undefined) return call.out(dtype, undefined);
  const found = sliceArguments(call, shape.length);
  if (found === undefined)
    return call.out(
      dtype,
      shape.map(() => null),
    );
  const dims: Dim[] = [...shape];
  found.axes.forEach((axis, i) => {
    const dim = shape[axis] as Dim;
    const [start, end, step] = [found.starts[i] as Dim, found.ends[i] as Dim, found.steps[i] as Dim];
    dims[axis] = sliceDim(dim, start, end, step);
  });
  return call.out(dtype, dims);
};
