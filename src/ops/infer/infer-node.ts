/**
 * One node: its rule, then its values where they are small, then what constants alone lead to.
 * Nothing here throws on a bad model: what a rule cannot make sense of is reported and stays unknown.
 */
import { byteLengthOf, dtypeInfo } from '../../core/dtype.ts';
import { OrthoError } from '../../core/errors.ts';
import type { Node } from '../../ir/node.ts';
import { type Dim, tensorType, type ValueType } from '../../ir/type.ts';
import { Call, Failure, MAX_RANK } from './call.ts';
import { isKnown, isStatic, showShape } from './dims.ts';
import { countMacs } from './macs.ts';
import { isComplete, smallOutput } from './partial.ts';
import { evaluatorOf, ruleOf } from './rules.ts';
import type { Constancy, InferContext, PartialTensor } from './types.ts';

/**
 * A node whose inputs are all constants is reported when its result takes more bytes than this and more than
 * `MAX_FOLDED_GROWTH` times the largest tensor stored behind it: computing it ahead of time would burst memory.
 */
const MAX_FOLDED_BYTES = 64 * 2 ** 20;
const MAX_FOLDED_GROWTH = 16;

/** Operators whose result does not follow from their inputs. */
const RANDOM_OPS: ReadonlySet<string> = new Set([
  'RandomNormal',
  'RandomUniform',
  'RandomNormalLike',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
]);

export interface InferredNode {
  readonly types: readonly (ValueType | undefined)[];
  /** Multiply–accumulates, bodies included; null when a shape they need is unknown. */
  readonly macs: number | null;
}

/** Infers one node, values and constancy of its outputs included (they go to the context). */
export const inferCall = (node: Node, context: InferContext): InferredNode => {
  const call = new Call(node, context);
  let types: readonly (ValueType | undefined)[] = [];
  let oversized = false;
  try {
    types = typesOf(call).map((type, i) => normalizeType(call, type, i, () => (oversized = true)));
  } catch (error) {
    reportError(call, error);
  }
  setConstancies(call, types, oversized);
  setValues(call, types);
  const macs = call.bodyMacs === undefined ? ownMacs(call, types) : call.bodyMacs;
  return { types: node.outputs.map((_, i) => types[i]), macs };
};

/**
 * The types of a node's outputs in a context (see `inferenceContext`); undefined where they cannot be told.
 * Problems go to the context's `report`.
 */
export const inferNode = (node: Node, context: InferContext): (ValueType | undefined)[] => [
  ...inferCall(node, context).types,
];

const ownMacs = ({ node, context }: Call, types: readonly (ValueType | undefined)[]): number | null => {
  try {
    return countMacs(node, (value) => {
      const output = node.outputs.indexOf(value);
      return output >= 0 ? types[output] : context.typeOf(value);
    });
  } catch {
    // An attribute of the wrong kind: the rule has reported it.
    return null;
  }
};

const typesOf = (call: Call): readonly (ValueType | undefined)[] => {
  const { node, context } = call;
  const called = context.inferFunction(node);
  if (called) {
    call.bodyMacs = called.macs;
    return called.types;
  }
  const rule = ruleOf(node.domain, node.op);
  if (rule) return rule(call);
  return node.outputs.map((output) => context.declaredOf(output));
};

/** Dimensions that no tensor can have become unknown, and are reported. */
const normalizeType = (
  call: Call,
  type: ValueType | undefined,
  output: number,
  oversize: () => void,
): ValueType | undefined => {
  if (type?.kind !== 'tensor' || type.shape === undefined) return type;
  const { shape } = type;
  if (shape.length > MAX_RANK) {
    call.warn(
      'inference-limit',
      `output ${output} would have rank ${shape.length}, the limit is ${MAX_RANK}`,
    );
    return tensorType(type.dtype);
  }
  if (shape.every((dim) => !isKnown(dim) || (dim >= 0 && Number.isSafeInteger(dim)))) {
    const count = shape.includes(0) ? 0 : shape.reduce<number>((a, dim) => a * (isKnown(dim) ? dim : 1), 1);
    if (!Number.isSafeInteger(count)) oversize();
    return type;
  }
  const dims = shape.map((dim): Dim => {
    if (!isKnown(dim) || (dim >= 0 && Number.isSafeInteger(dim))) return dim;
    if (dim < 0) call.fail('negative-dimension', `output ${output} would have the shape ${showShape(shape)}`);
    oversize();
    return null;
  });
  return tensorType(type.dtype, dims);
};

const reportError = (call: Call, error: unknown): void => {
  if (error instanceof Failure) call.warn(error.rule, error.message, 'error');
  else if (error instanceof OrthoError && error.code !== 'internal/bug') {
    call.warn('attribute-range', error.message, 'error');
  } else throw error;
};

const setValues = (call: Call, types: readonly (ValueType | undefined)[]): void => {
  const { node, context } = call;
  const evaluate = evaluatorOf(node.domain, node.op);
  if (evaluate === undefined || types.length === 0) return;
  try {
    const values = types.every(isEmpty) ? types.map(emptyValue) : evaluate(call, types);
    values.forEach((known, i) => {
      const output = node.outputs[i];
      if (known === undefined || output === undefined) return;
      context.setKnown(output, known);
      if (isComplete(known) && context.constancyOf(output) === undefined) {
        context.setConstancy(output, { storedBytes: 0, tooLarge: false });
      }
    });
  } catch (error) {
    reportError(call, error);
  }
};

const isEmpty = (type: ValueType | undefined): boolean =>
  type?.kind === 'tensor' && isStatic(type.shape) && type.shape.includes(0);

/** The value of an empty tensor, whatever its (perhaps huge) other dimensions are. */
const emptyValue = (type: ValueType | undefined): PartialTensor | undefined => {
  const out = smallOutput(type);
  return out && { dtype: out.dtype, dims: out.dims, elements: [] };
};

const setConstancies = (call: Call, types: readonly (ValueType | undefined)[], oversized: boolean): void => {
  const { node, context } = call;
  const constancies = node.inputs.flatMap((value) => (value ? [context.constancyOf(value)] : []));
  const constant =
    constancies.every((constancy): constancy is Constancy => constancy !== undefined) &&
    node.subgraphs.length === 0 &&
    !RANDOM_OPS.has(node.op) &&
    ruleOf(node.domain, node.op) !== undefined;
  if (!constant) {
    if (oversized) call.warn('dimension-overflow', 'a dimension of the output is beyond 2^53');
    return;
  }
  const stored = Math.max(0, ...constancies.map((constancy) => constancy.storedBytes));
  let tooLarge = constancies.some((constancy) => constancy.tooLarge);
  const bytes = node.op === 'Constant' ? 0 : Math.max(0, ...types.map(bytesOf));
  if (!tooLarge && (oversized || (bytes > MAX_FOLDED_BYTES && bytes > MAX_FOLDED_GROWTH * stored))) {
    const size = oversized ? 'more than 2^53 elements' : `${bytes} bytes, the limit is ${MAX_FOLDED_BYTES}`;
    call.warn('constant-too-large', `constant result is too large to fold (${size})`);
    tooLarge = true;
  }
  const own = node.op === 'Constant' ? Math.max(0, ...types.map(bytesOf)) : 0;
  for (const output of node.outputs) {
    context.setConstancy(output, { storedBytes: Math.max(stored, own), tooLarge });
  }
};

/** Bytes of a tensor of known shape (strings count one byte an element), else 0. */
const bytesOf = (type: ValueType | undefined): number => {
  if (type?.kind !== 'tensor' || !isStatic(type.shape) || type.dtype === undefined) return 0;
  const count = type.shape.reduce((a, b) => a * b, 1);
  return dtypeInfo(type.dtype).bits === 0 ? count : byteLengthOf(type.dtype, count);
};
