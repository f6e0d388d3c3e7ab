/** Sequences and optionals. */
import { type Dim, tensorType, type ValueType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { commonType } from './control.ts';
import { isKnown } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

const sequence = (element: ValueType | undefined): ValueType => ({ kind: 'sequence', element });

/** The element type of a sequence input; fails for another kind of value. */
const elementOf = (call: Call, index: number): ValueType | undefined => {
  const type = call.type(index);
  if (type === undefined) return undefined;
  return type.kind === 'sequence'
    ? type.element
    : call.fail('type-mismatch', `input ${index} must be a sequence, found a ${type.kind}`);
};

const sequenceConstruct: Rule = (call) => {
  const [first, ...rest] = call.inputTypes;
  return [sequence(rest.reduce(commonType, first))];
};

const sequenceEmpty: Rule = (call) => [sequence(tensorType(call.dtypeAttribute('dtype', 'float32')))];

const sequenceInsert: Rule = (call) => {
  const element = elementOf(call, 0);
  return [sequence(commonType(element, call.type(1)) ?? element)];
};

/** Chunks along an axis: of `split` (a scalar size, or a list of sizes), or of 1, then without the axis unless keepdims. */
const splitToSequence: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  if (shape === undefined) return [sequence(tensorType(dtype))];
  const axis = call.axis(call.int('axis', 0), shape.length);
  if (!call.has(1)) {
    const kept = call.int('keepdims', 1) !== 0;
    return [
      sequence(
        tensorType(
          dtype,
          shape.flatMap((dim, i) => (i !== axis ? [dim] : kept ? [1] : [])),
        ),
      ),
    ];
  }
  const sizes = call.known(1)?.elements.map(Number);
  const total = shape[axis];
  const [first] = sizes ?? [];
  const even =
    first !== undefined &&
    (call.shape(1)?.length === 0
      ? isKnown(total) && total % first === 0
      : sizes?.every((size) => size === first));
  const part: Dim = even && first !== undefined && Number.isSafeInteger(first) ? first : null;
  return [
    sequence(
      tensorType(
        dtype,
        shape.map((dim, i) => (i === axis ? part : dim)),
      ),
    ),
  ];
};

const concatFromSequence: Rule = (call) => {
  const element = elementOf(call, 0);
  if (element?.kind !== 'tensor') return [];
  const { dtype, shape } = element;
  if (shape === undefined) return call.out(dtype, undefined);
  const stacked = call.int('new_axis', 0) !== 0;
  const axis = call.axis(call.int('axis', 0), shape.length + (stacked ? 1 : 0));
  return call.out(
    dtype,
    stacked
      ? [...shape.slice(0, axis), null, ...shape.slice(axis)]
      : shape.map((dim, i) => (i === axis ? null : dim)),
  );
};

/** Without an input, the attribute tells the type of the empty optional. */
const optional: Rule = (call) => {
  const declared = call.attribute('type');
  const element = call.has(0) ? call.type(0) : declared?.kind === 'type_proto' ? declared.value : undefined;
  return [{ kind: 'optional', element }];
};

const optionalGetElement: Rule = (call) => {
  const type = call.type(0);
  return [type?.kind === 'optional' ? type.element : type];
};

export const sequenceRules: RuleTable = {
  SequenceConstruct: sequenceConstruct,
  SequenceEmpty: sequenceEmpty,
  SequenceAt: (call) => [elementOf(call, 0)],
  SequenceErase: (call) => call.like(0),
  SequenceInsert: sequenceInsert,
  SequenceLength: (call) => call.out('int64', []),
  SplitToSequence: splitToSequence,
  ConcatFromSequence: concatFromSequence,
  Optional: optional,
  OptionalGetElement: optionalGetElement,
  OptionalHasElement: (call) => call.out('bool', []),
};
