/**
 * Arithmetic on partly known elements. Integers are exact and wrap around in their type, floats are rounded after each
 * step; a symbol survives where the result is certainly the same dimension (N · 1, N + 0, max(N, N)).
 */
import { type DType, dtypeInfo } from '../../core/dtype.ts';
import type { Call } from './call.ts';
import { broadcastElements, smallOutput, storeElement } from './partial.ts';
import type { Element, Evaluator } from './types.ts';

type Numeric = bigint | number;

const isNumber = (element: Element | undefined): element is Numeric =>
  typeof element === 'bigint' || typeof element === 'number';

const ONE: ReadonlySet<Element> = new Set([1n, 1]);
const ZERO: ReadonlySet<Element> = new Set([0n, 0]);

/** What is certain of a binary operation on elements that are not both numbers. */
const SYMBOLIC: Readonly<Record<string, (a: Element, b: Element) => Element>> = {
  Add: (a, b) => (ZERO.has(a) ? b : ZERO.has(b) ? a : null),
  Sub: (a, b) => (ZERO.has(b) ? a : typeof a === 'string' && a === b ? 0n : null),
  Mul: (a, b) => (ONE.has(a) ? b : ONE.has(b) ? a : a === 0n || b === 0n ? 0n : null),
  Div: (a, b) => (ONE.has(b) ? a : null),
  Max: (a, b) => (a === b ? a : null),
  Min: (a, b) => (a === b ? a : null),
  // A symbol is a dimension: never negative, but maybe 0.
  Equal: (a, b) => (a !== null && a === b ? 1n : isBelowZero(a, b) || isBelowZero(b, a) ? 0n : null),
};

const isBelowZero = (a: Element, b: Element): boolean => isNumber(a) && a < 0 && typeof b === 'string';

const both =
  (
    onInts: (a: bigint, b: bigint) => bigint | boolean | null,
    onFloats: (a: number, b: number) => number | boolean,
  ) =>
  (a: Numeric, b: Numeric): Element => {
    const result =
      typeof a === 'bigint' && typeof b === 'bigint' ? onInts(a, b) : onFloats(Number(a), Number(b));
    return typeof result === 'boolean' ? BigInt(result) : result;
  };

/** Integer division by zero has no result: `checkDivision` has reported it. */
const divide = (a: bigint, b: bigint): bigint => a / b;

export const largerInt = (a: bigint, b: bigint): bigint => {
  if (a > b) return a;
  return b;
};

export const smallerInt = (a: bigint, b: bigint): bigint => {
  if (a < b) return a;
  return b;
};

const floorModulo = (a: bigint, b: bigint): bigint => {
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
};

/** fmod = 1: the sign of the dividend, as in C. */
const truncatedModulo = both(
  (a, b) => a % b,
  (a, b) => a % b,
);

const BINARY: Readonly<Record<string, (a: Numeric, b: Numeric) => Element>> = {
  Add: both(
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  Sub: both(
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  Mul: both(
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  Div: both(divide, (a, b) => a / b),
  Mod: both(floorModulo, (a, b) => a % b),
  Pow: both(
    (a, b) => (b < 0n || b > 64n ? null : a ** b),
    (a, b) => a ** b,
  ),
  Max: both(largerInt, Math.max),
  Min: both(smallerInt, Math.min),
  Equal: both(
    (a, b) => a === b,
    (a, b) => a === b,
  ),
  Greater: both(
    (a, b) => a > b,
    (a, b) => a > b,
  ),
  GreaterOrEqual: both(
    (a, b) => a >= b,
    (a, b) => a >= b,
  ),
  Less: both(
    (a, b) => a < b,
    (a, b) => a < b,
  ),
  LessOrEqual: both(
    (a, b) => a <= b,
    (a, b) => a <= b,
  ),
  And: both(
    (a, b) => a & b,
    () => 0,
  ),
  Or: both(
    (a, b) => a | b,
    () => 0,
  ),
  Xor: both(
    (a, b) => a ^ b,
    () => 0,
  ),
};

/** Reports constant integer divisions that have no result: by zero, and MIN / −1 (which kills runtimes). */
const checkDivision = (call: Call, a: readonly Element[], b: readonly Element[]): void => {
  const dtype = call.dtype(0);
  const { kind, bits } = dtypeInfo(dtype ?? 'float32');
  if (kind !== 'int' && kind !== 'uint') return;
  const lowest = kind === 'int' ? -(1n << BigInt(bits - 1)) : undefined;
  b.forEach((divisor, i) => {
    if (divisor === 0n) call.fail('division-by-zero', `integer division by zero (element ${i})`);
    if (divisor === -1n && a[i] === lowest) {
      call.fail('integer-overflow', `overflow: ${lowest} by -1 does not fit ${dtype}`);
    }
  });
};

const kindOf = (dtype: DType): 'int' | 'float' | 'bool' => {
  const { kind } = dtypeInfo(dtype);
  return kind === 'bool' || kind === 'float' ? kind : 'int';
};

/** To integers: toward zero; out of range or not finite has no portable value. */
const castElement = (element: Element, to: 'int' | 'float' | 'bool'): Element => {
  if (!isNumber(element)) return to === 'bool' ? null : element;
  if (to === 'bool') return BigInt(Boolean(element));
  if (to === 'float') return Number(element);
  if (typeof element === 'bigint') return element;
  return Math.abs(element) < 2 ** 63 ? BigInt(Math.trunc(element)) : null;
};

const binary: Evaluator = (call, outputs) => {
  const { op } = call;
  const out = smallOutput(outputs[0]);
  const operands = call.node.inputs.flatMap((_, index) => call.known(index) ?? []);
  const compute = op === 'Mod' && call.int('fmod', 0) !== 0 ? truncatedModulo : BINARY[op];
  if (!out || !compute || operands.length !== call.inputCount || (call.opset < 7 && operands.length === 2)) {
    if (op === 'Div' || op === 'Mod') checkDivisor(call);
    return [];
  }
  const [first = [], ...rest] = operands.map((operand) => broadcastElements(operand, out.dims));
  let elements = first;
  for (const next of rest) {
    if (op === 'Div' || op === 'Mod') checkDivision(call, elements, next);
    elements = elements.map((a, i) => {
      const b = next[i] as Element;
      if (isNumber(a) && isNumber(b))
        return storeElement(out.dtype, castElement(compute(a, b), kindOf(out.dtype)));
      return SYMBOLIC[op]?.(a, b) ?? null;
    });
  }
  return [{ dtype: out.dtype, dims: out.dims, elements }];
};

/** The dividend is unknown or large; a zero in the divisor is wrong all the same. */
const checkDivisor = (call: Call): void => {
  const divisor = call.known(1)?.elements ?? [];
  checkDivision(
    call,
    divisor.map(() => null),
    divisor,
  );
};

const roundEven = (value: number): number => {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
};

const UNARY: Readonly<Record<string, (a: Numeric) => Element>> = {
  Neg: (a) => -a,
  Abs: (a) => (a < 0 ? -a : a),
  Sign: (a) => (typeof a === 'bigint' ? BigInt(Number(a > 0n) - Number(a < 0n)) : Math.sign(a)),
  Floor: (a) => Math.floor(Number(a)),
  Ceil: (a) => Math.ceil(Number(a)),
  Round: (a) => roundEven(Number(a)),
  Sqrt: (a) => Math.sqrt(Number(a)),
  Reciprocal: (a) => 1 / Number(a),
  Relu: (a) => (a < 0 ? (typeof a === 'bigint' ? 0n : 0) : a),
  Not: (a) => BigInt(!a),
};

const unary: Evaluator = (call, outputs) => {
  const out = smallOutput(outputs[0]);
  const input = call.known(0);
  const compute = UNARY[call.op];
  if (!out || !input || !compute) return [];
  const elements = input.elements.map((element) =>
    isNumber(element) ? storeElement(out.dtype, compute(element)) : null,
  );
  return [{ dtype: out.dtype, dims: out.dims, elements }];
};

const cast: Evaluator = (call, outputs) => {
  const out = smallOutput(outputs[0]);
  const input = call.known(0);
  if (!out || !input) return [];
  const to = kindOf(out.dtype);
  const elements = input.elements.map((element) => storeElement(out.dtype, castElement(element, to)));
  return [{ dtype: out.dtype, dims: out.dims, elements }];
};

const where: Evaluator = (call, outputs) => {
  const out = smallOutput(outputs[0]);
  const [condition, yes, no] = [call.known(0), call.known(1), call.known(2)];
  if (!out || !condition || !yes || !no) return [];
  const a = broadcastElements(yes, out.dims);
  const b = broadcastElements(no, out.dims);
  const elements = broadcastElements(condition, out.dims).map((chosen, i): Element => {
    if (isNumber(chosen)) return (chosen ? a[i] : b[i]) ?? null;
    return a[i] === b[i] ? (a[i] ?? null) : null;
  });
  return [{ dtype: out.dtype, dims: out.dims, elements }];
};

export const arithmeticEvaluators: Readonly<Record<string, Evaluator>> = {
  ...Object.fromEntries(Object.keys(BINARY).map((op) => [op, binary])),
  ...Object.fromEntries(Object.keys(UNARY).map((op) => [op, unary])),
  Cast: cast,
  CastLike: cast,
  Where: where,
};
