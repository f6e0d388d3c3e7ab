/** Operators that reduce along axes, or scan along one. */
import type { DType } from '../../core/dtype.ts';
import type { Dim, Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown, unknownDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/**
 * The axes of a Reduce operator: an attribute, then input 1 (ReduceSum from opset 13, the others from 18). No axes or
 * an empty list means all, or none with noop_with_empty_axes. Undefined when they cannot be told.
 */
export const reductionAxes = (call: Call, rank: number): number[] | undefined => {
  const asInput = call.opset >= (call.op === 'ReduceSum' ? 13 : 18);
  if (asInput && call.has(1) && call.known(1) === undefined) {
    const count = call.shape(1)?.[0];
    if (count !== 0) return undefined;
  }
  const given = (asInput ? (call.has(1) ? call.knownInts(1) : []) : call.ints('axes')) ?? [];
  if (asInput && call.has(1) && call.known(1) !== undefined && call.knownInts(1) === undefined)
    return undefined;
  if (given.length > 0) return call.axes(given, rank);
  return call.int('noop_with_empty_axes', 0) !== 0 ? [] : Array.from({ length: rank }, (_, axis) => axis);
};

const reduce: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  const keep = call.int('keepdims', 1) !== 0;
  if (shape === undefined) return call.out(dtype, undefined);
  const axes = reductionAxes(call, shape.length);
  if (axes === undefined) {
    const count = call.shape(1)?.[0];
    if (keep) return call.out(dtype, unknownDims(shape.length));
    const left = isKnown(count) ? shape.length - count : undefined;
    return call.out(dtype, left !== undefined && left >= 0 ? unknownDims(left) : undefined);
  }
  return call.out(dtype, removeAxes(shape, axes, keep));
};

const removeAxes = (shape: Shape, axes: readonly number[], keep: boolean): Dim[] =>
  shape.flatMap((dim, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [dim]));

const argument: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === undefined) return call.out('int64', undefined);
  const axis = call.axis(call.int('axis', 0), shape.length);
  return call.out('int64', removeAxes(shape, [axis], call.int('keepdims', 1) !== 0));
};

const cumulative: Rule = (call) => {
  const shape = call.shape(0);
  const axis = call.knownScalar(1);
  if (shape && typeof axis === 'bigint') call.axis(Number(axis), shape.length);
  return call.like(0);
};

/** k is an attribute before opset 10, then input 1. */
const topK: Rule = (call) => {
  const shape = call.shape(0);
  const dtype: DType | undefined = call.dtype(0);
  const element = call.opset < 10 ? call.int('k') : call.knownScalar(1);
  const k: Dim = typeof element === 'bigint' ? Number(element) : (element ?? null);
  if (isKnown(k) && k < 0) call.fail('attribute-range', `k is ${k}`);
  if (shape === undefined) return [...call.out(dtype, undefined), ...call.out('int64', undefined)];
  const axis = call.axis(call.int('axis', -1), shape.length);
  const size = shape[axis];
  if (isKnown(k) && isKnown(size) && k > size) {
    call.fail('shape-mismatch', `k is ${k}, axis ${axis} has ${size} elements`);
  }
  const dims = shape.map((dim, at) => (at === axis ? k : dim));
  return [...call.out(dtype, dims), ...call.out('int64', dims)];
};

export const reductionRules: RuleTable = {
  ReduceL1: reduce,
  ReduceL2: reduce,
  ReduceLogSum: reduce,
  ReduceLogSumExp: reduce,
  ReduceMax: reduce,
  ReduceMean: reduce,
  ReduceMin: reduce,
  ReduceProd: reduce,
  ReduceSum: reduce,
  ReduceSumSquare: reduce,
  ArgMax: argument,
  ArgMin: argument,
  CumSum: cumulative,
  CumProd: cumulative,
  TopK: topK,
};
