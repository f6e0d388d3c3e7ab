/** Operators that work element by element: unary, binary and variadic ones with multidirectional broadcasting. */
import type { DType } from '../../core/dtype.ts';
import type { Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { broadcastShapes, mayEqual, showShape, unifyShapes } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/** The first known element type; fails when two known ones differ. */
export const commonDtype = (call: Call, indices: readonly number[]): DType | undefined => {
  let found: DType | undefined;
  for (const index of indices) {
    const dtype = call.dtype(index);
    if (dtype !== undefined && found !== undefined && dtype !== found) {
      call.fail('type-mismatch', `inputs have element types ${found} and ${dtype}`);
    }
    found ??= dtype;
  }
  return found;
};

/** The broadcast of several inputs; undefined when a rank is unknown. */
export const broadcastInputs = (call: Call, indices: readonly number[]): Shape | undefined => {
  const shape = broadcastShapes(indices.map((index) => call.shape(index)));
  if (shape === false) call.fail('shape-mismatch', `cannot broadcast ${call.show(...indices)}`);
  return shape || undefined;
};

const allInputs = (call: Call): number[] => call.node.inputs.map((_, index) => index);

const unary: Rule = (call) => call.like(0);

const unaryTo =
  (dtype: DType): Rule =>
  (call) =>
    call.out(dtype, call.shape(0));

/** Before opset 7, `broadcast` and `axis` stretched the second input only: the result has the first one's shape. */
const binary: Rule = (call) => {
  const dtype = commonDtype(call, [0, 1]);
  return call.out(dtype, call.opset < 7 ? call.shape(0) : broadcastInputs(call, [0, 1]));
};

const comparison: Rule = (call) => {
  commonDtype(call, [0, 1]);
  return call.out('bool', call.opset < 7 ? call.shape(0) : broadcastInputs(call, [0, 1]));
};

const logical: Rule = (call) =>
  call.out('bool', call.opset < 7 ? call.shape(0) : broadcastInputs(call, [0, 1]));

/** The exponent may have another type. */
const pow: Rule = (call) =>
  call.out(call.dtype(0), call.opset < 7 ? call.shape(0) : broadcastInputs(call, [0, 1]));

/** Before opset 8 all inputs had one shape. */
const variadic: Rule = (call) => {
  const indices = allInputs(call);
  return call.out(commonDtype(call, indices), broadcastInputs(call, indices));
};

const where: Rule = (call) => call.out(commonDtype(call, [1, 2]), broadcastInputs(call, [0, 1, 2]));

/** The slope is broadcast to X, never the other way. */
const prelu: Rule = (call) => {
  const shape = call.shape(0);
  const slope = call.shape(1);
  if (shape && slope && call.opset >= 7) {
    if (slope.length > shape.length) {
      call.fail('rank-mismatch', `slope has rank ${slope.length}, more than the input's ${shape.length}`);
    }
    slope.forEach((dim, i) => {
      if (dim !== 1 && !mayEqual(dim, shape[shape.length - slope.length + i])) {
        call.fail('shape-mismatch', `cannot broadcast slope ${showShape(slope)} to ${showShape(shape)}`);
      }
    });
  }
  return call.like(0);
};

const dropout: Rule = (call) => {
  const masked = call.opset >= 10 ? 'bool' : call.dtype(0);
  return [call.type(0), call.out(masked, call.shape(0))[0]];
};

const clip: Rule = (call) => {
  for (const index of [1, 2]) {
    const shape = call.has(index) ? call.shape(index) : undefined;
    if (shape && shape.length !== 0 && !(shape.length === 1 && mayEqual(shape[0], 1))) {
      call.fail('rank-mismatch', `input ${index} must be a scalar, found ${showShape(shape)}`);
    }
  }
  return call.like(0);
};

const cast: Rule = (call) => call.out(call.dtypeAttribute('to'), call.shape(0));

const bitCast: Rule = (call) => call.out(call.dtypeAttribute('to'), call.shape(0));

/** No broadcasting: gate and value have one shape. */
const swiGlu: Rule = (call) => {
  const [gate, value] = [call.shape(0), call.shape(1)];
  if (gate && value && (gate.length !== value.length || !gate.every((dim, i) => mayEqual(dim, value[i])))) {
    call.fail('shape-mismatch', `shapes ${call.show(0, 1)} differ`);
  }
  return call.out(commonDtype(call, [0, 1]), unifyShapes(gate, value));
};

const table = (names: string, rule: Rule): RuleTable =>
  Object.fromEntries(names.split(' ').map((name) => [name, rule]));

export const elementwiseRules: RuleTable = {
  ...table(
    'Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish ' +
      'LeakyRelu Log Mish Neg Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt ' +
      'Swish Tan Tanh ThresholdedRelu Identity BitwiseNot',
    unary,
  ),
  ...table('IsInf IsNaN Not', unaryTo('bool')),
  ...table('Add Sub Mul Div Mod BitShift BitwiseAnd BitwiseOr BitwiseXor', binary),
  ...table('Equal Greater GreaterOrEqual Less LessOrEqual', comparison),
  ...table('And Or Xor', logical),
  ...table('Sum Max Min Mean', variadic),
  Pow: pow,
  Where: where,
  PRelu: prelu,
  Dropout: dropout,
  Clip: clip,
  Cast: cast,
  CastLike: (call) => call.out(call.dtype(1), call.shape(0)),
  BitCast: bitCast,
  SwiGLU: swiGlu,
};
