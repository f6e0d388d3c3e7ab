/** Values through operators that make, move, join or cut small tensors: the other half of shape arithmetic. */
import { type Dim, tensorType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown, isStatic } from './dims.ts';
import { largerInt, smallerInt } from './evaluate-arithmetic.ts';
import { constantAttribute } from './generator.ts';
import {
  broadcastElements,
  fromDim,
  gatherIndices,
  partialOf,
  scalar,
  smallOutput,
  storeElement,
  stridesOf,
  vector,
} from './partial.ts';
import { reductionAxes } from './reduction.ts';
import { sliceArguments, sliceRange } from './slice.ts';
import type { Element, Evaluator, PartialTensor } from './types.ts';

const constant: Evaluator = (call) => {
  const attribute = constantAttribute(call);
  switch (attribute.kind) {
    case 'tensor':
      return [partialOf(attribute.value)];
    case 'float':
      return [scalar('float32', attribute.value)];
    case 'int':
      return [scalar('int64', attribute.value)];
    case 'floats':
      return smallOutput(tensorType('float32', [attribute.value.length]))
        ? [vector('float32', attribute.value)]
        : [];
    case 'ints':
      return smallOutput(tensorType('int64', [attribute.value.length]))
        ? [vector('int64', attribute.value)]
        : [];
    default:
      return [];
  }
};

const shapeOf: Evaluator = (call, outputs) => {
  const shape = call.shape(0);
  const type = outputs[0];
  if (shape === undefined || type?.kind !== 'tensor') return [];
  const start = call.int('start', 0);
  const from = Math.min(Math.max(start < 0 ? start + shape.length : start, 0), shape.length);
  const count = type.shape?.[0];
  return isKnown(count) ? [vector('int64', shape.slice(from, from + count).map(fromDim))] : [];
};

const sizeOf: Evaluator = (call) => {
  const shape = call.shape(0);
  return isStatic(shape)
    ? [
        scalar(
          'int64',
          shape.reduce((a, b) => a * BigInt(b), 1n),
        ),
      ]
    : [];
};

/** The elements of the output picked from input 0 by flat index. */
const pick = (call: Call, type: Parameters<Evaluator>[1][number], indices: () => readonly number[]) => {
  const out = smallOutput(type);
  const input = call.known(0);
  if (!out || !input) return undefined;
  const elements = indices().map((index) => input.elements[index] ?? null);
  return { dtype: out.dtype, dims: out.dims, elements };
};

/** Same elements, another shape. */
const relabel: Evaluator = (call, outputs) => {
  const out = smallOutput(outputs[0]);
  const input = call.known(0);
  if (!out || !input || out.count !== input.elements.length) return [];
  return [{ dtype: out.dtype, dims: out.dims, elements: input.elements }];
};

const gather: Evaluator = (call, outputs) => {
  const data = call.known(0);
  const indices = call.known(1);
  const out = smallOutput(outputs[0]);
  if (!data || !indices || !out) return [];
  const axis = call.axis(call.int('axis', 0), data.dims.length);
  const size = data.dims[axis] as number;
  const outer = data.dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const inner = data.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const elements: Element[] = [];
  for (let o = 0; o < outer; o++) {
    for (const element of indices.elements) {
      const index = typeof element === 'bigint' ? Number(element) : undefined;
      const at = index === undefined ? undefined : index < 0 ? index + size : index;
      for (let i = 0; i < inner; i++) {
        elements.push(at === undefined ? null : (data.elements[(o * size + at) * inner + i] ?? null));
      }
    }
  }
  return [{ dtype: out.dtype, dims: out.dims, elements }];
};

const slice: Evaluator = (call, outputs) => {
  const input = call.known(0);
  const found = input && sliceArguments(call, input.dims.length);
  if (!input || !found) return [];
  const strides = stridesOf(input.dims);
  let start = 0;
  const steps = [...strides];
  for (const [i, axis] of found.axes.entries()) {
    const [from, to, step] = [found.starts[i], found.ends[i], found.steps[i]] as Dim[];
    if (!isKnown(from) || !isKnown(to) || !isKnown(step)) return [];
    start += sliceRange(input.dims[axis] as number, from, to, step).start * (strides[axis] as number);
    steps[axis] = (strides[axis] as number) * step;
  }
  const out = smallOutput(outputs[0]);
  return [out && pick(call, outputs[0], () => gatherIndices(out.dims, steps, start))];
};

const transpose: Evaluator = (call, outputs) => {
  const input = call.known(0);
  const out = smallOutput(outputs[0]);
  if (!input || !out) return [];
  const perm = call.ints('perm') ?? input.dims.map((_, axis) => input.dims.length - 1 - axis);
  const strides = stridesOf(input.dims);
  const steps = perm.map((axis) => strides[axis] as number);
  return [pick(call, outputs[0], () => gatherIndices(out.dims, steps))];
};

const expand: Evaluator = (call, outputs) => {
  const input = call.known(0);
  const out = smallOutput(outputs[0]);
  if (!input || !out) return [];
  return [{ dtype: out.dtype, dims: out.dims, elements: broadcastElements(input, out.dims) }];
};

const tile: Evaluator = (call, outputs) => {
  const input = call.known(0);
  const out = smallOutput(outputs[0]);
  if (!input || !out || call.opset < 6) return [];
  const strides = stridesOf(input.dims);
  let indices = [0];
  out.dims.forEach((dim, axis) => {
    const size = input.dims[axis] as number;
    const step = strides[axis] as number;
    indices = indices.flatMap((index) => Array.from({ length: dim }, (_, i) => index + (i % size) * step));
  });
  return [pick(call, outputs[0], () => indices)];
};

/** Inputs that are not known give unknown elements, as long as their sizes are. */
const concat: Evaluator = (call, outputs) => {
  const out = smallOutput(outputs[0]);
  if (!out) return [];
  const axis = call.axis(call.int('axis') ?? 1, out.dims.length);
  const inner = out.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = out.dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const parts = call.node.inputs.map((_, index) => ({
    rows: ((call.shape(index)?.[axis] as number) ?? 0) * inner,
    elements: call.known(index)?.elements,
  }));
  if (parts.every((part) => part.elements === undefined)) return [];
  const elements: Element[] = [];
  for (let o = 0; o < outer; o++) {
    for (const { rows, elements: from } of parts) {
      for (let i = 0; i < rows; i++) elements.push(from?.[o * rows + i] ?? null);
    }
  }
  return [{ dtype: out.dtype, dims: out.dims, elements }];
};

const split: Evaluator = (call, outputs) => {
  const input = call.known(0);
  if (!input) return [];
  const axis = call.axis(call.int('axis', 0), input.dims.length);
  const strides = stridesOf(input.dims);
  let start = 0;
  const parts: (PartialTensor | undefined)[] = [];
  for (const type of outputs) {
    const out = smallOutput(type);
    if (!out) return parts;
    const from = start * (strides[axis] as number);
    parts.push(pick(call, type, () => gatherIndices(out.dims, strides, from)));
    start += out.dims[axis] as number;
  }
  return parts;
};

const constantOfShape: Evaluator = (call, outputs) => {
  const out = smallOutput(outputs[0]);
  const value = call.tensor('value');
  const element = value ? partialOf(value)?.elements[0] : 0;
  if (!out || element === undefined) return [];
  return [{ dtype: out.dtype, dims: out.dims, elements: new Array<Element>(out.count).fill(element) }];
};

const range: Evaluator = (call, outputs) => {
  const out = smallOutput(outputs[0]);
  const [start, delta] = [call.knownScalar(0), call.knownScalar(2)];
  if (!out) return [];
  const elements = Array.from({ length: out.count }, (_, i): Element => {
    if (typeof start === 'bigint' && typeof delta === 'bigint') return start + BigInt(i) * delta;
    if (typeof start === 'number' && typeof delta === 'number')
      return storeElement(out.dtype, start + i * delta);
    return null;
  });
  return [{ dtype: out.dtype, dims: out.dims, elements }];
};

const REDUCERS: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  ReduceSum: (a, b) => a + b,
  ReduceProd: (a, b) => a * b,
  ReduceMax: largerInt,
  ReduceMin: smallerInt,
};

/** Integer reductions over all axes: the element count of a shape, its largest entry. */
const reduce: Evaluator = (call, outputs) => {
  const input = call.known(0);
  const out = smallOutput(outputs[0]);
  const combine = REDUCERS[call.op];
  if (!input || !out || !combine || input.elements.length === 0) return [];
  if (reductionAxes(call, input.dims.length)?.length !== input.dims.length) return [];
  let result: bigint | undefined;
  for (const element of input.elements) {
    if (typeof element !== 'bigint') {
      // One symbol alone is its own product, sum, maximum and minimum.
      return input.elements.length === 1 ? [{ dtype: out.dtype, dims: out.dims, elements: [element] }] : [];
    }
    result = result === undefined ? element : combine(result, element);
  }
  return [{ dtype: out.dtype, dims: out.dims, elements: [storeElement(out.dtype, result ?? null)] }];
};

export const movementEvaluators: Readonly<Record<string, Evaluator>> = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  Shape: shapeOf,
  Size: sizeOf,
  Identity: relabel,
  Reshape: relabel,
  Flatten: relabel,
  Squeeze: relabel,
  Unsqueeze: relabel,
  Gather: gather,
  Slice: slice,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Concat: concat,
  Split: split,
  ReduceSum: reduce,
  ReduceProd: reduce,
  ReduceMax: reduce,
  ReduceMin: reduce,
};
