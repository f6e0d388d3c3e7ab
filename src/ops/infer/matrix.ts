/** Matrix products. */
import type { DType } from '../../core/dtype.ts';
import type { Dim, Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { broadcastShapes, isKnown, showShape } from './dims.ts';
import { commonDtype } from './elementwise.ts';
import type { Rule, RuleTable } from './types.ts';

/** numpy.matmul: the batch axes broadcast; a vector counts as a matrix whose added axis is dropped again. */
export const matMulShape = (call: Call, a: Shape | undefined, b: Shape | undefined): Shape | undefined => {
  if (a === undefined || b === undefined) return undefined;
  if (a.length === 0 || b.length === 0)
    call.fail('rank-mismatch', 'scalars cannot be multiplied as matrices');
  const left: Shape = a.length === 1 ? [1, ...a] : a;
  const right: Shape = b.length === 1 ? [...b, 1] : b;
  const [inner, other] = [left.at(-1), right.at(-2)];
  if (isKnown(inner) && isKnown(other) && inner !== other) {
    call.fail('shape-mismatch', `inner dimensions ${inner} and ${other} differ`);
  }
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2)]);
  if (batch === false) {
    call.fail('shape-mismatch', `cannot broadcast the batch axes of ${showShape(a)} and ${showShape(b)}`);
  }
  const rows: Dim[] = a.length === 1 ? [] : [left.at(-2) as Dim];
  const columns: Dim[] = b.length === 1 ? [] : [right.at(-1) as Dim];
  return [...(batch as Shape), ...rows, ...columns];
};

const matMul: Rule = (call) =>
  call.out(commonDtype(call, [0, 1]), matMulShape(call, call.shape(0), call.shape(1)));

const matMulInteger: Rule = (call) => call.out('int32', matMulShape(call, call.shape(0), call.shape(1)));

/** Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point. */
const qLinearMatMul: Rule = (call) =>
  call.out(call.dtype(7), matMulShape(call, call.shape(0), call.shape(3)));

/** [M, N] of Gemm's product of inputs `a` and `b`, transposed as the attributes say. */
export const gemmShape = (call: Call, a: number, b: number): Shape => {
  const left = call.ranked(a, 2);
  const right = call.ranked(b, 2);
  const transA = call.int('transA', 0) !== 0;
  const transB = call.int('transB', 0) !== 0;
  const [inner, other] = [left?.[transA ? 0 : 1], right?.[transB ? 1 : 0]];
  if (isKnown(inner) && isKnown(other) && inner !== other) {
    call.fail('shape-mismatch', `inner dimensions ${inner} and ${other} differ`);
  }
  return [left?.[transA ? 1 : 0] ?? null, right?.[transB ? 0 : 1] ?? null];
};

const gemm: Rule = (call) => {
  const dtype: DType | undefined = commonDtype(call, [0, 1]);
  const shape = gemmShape(call, 0, 1);
  const addend = call.has(2) ? call.shape(2) : undefined;
  if (addend && call.opset >= 7) {
    const sum = broadcastShapes([shape, addend]);
    if (sum === false || addend.length > 2) {
      call.fail('shape-mismatch', `C ${showShape(addend)} does not broadcast to ${showShape(shape)}`);
    }
  }
  return call.out(dtype, shape);
};

const det: Rule = (call) => {
  const shape = call.atLeast(0, 2);
  call.same(shape?.at(-1), shape?.at(-2), 'rows and columns');
  return call.out(call.dtype(0), shape?.slice(0, -2));
};

/**
 * Einsum. `ij,jk->ik`; without an arrow the output has the ellipsis, then the letters that occur once, in ASCII order.
 * The axes under `...` broadcast.
 */
const einsum: Rule = (call) => {
  const equation = call.string('equation')?.replaceAll(' ', '') ?? '';
  const [left = '', right] = equation.split('->');
  const terms = left.split(',');
  if (terms.length !== call.inputCount) {
    call.fail(
      'attribute-range',
      `"${equation}" has ${terms.length} terms, the node ${call.inputCount} inputs`,
    );
  }
  const sizes = new Map<string, Dim>();
  const ellipses: Shape[] = [];
  const letters = (text: string): string[] => [...text.replace('...', '')];
  for (const [index, term] of terms.entries()) {
    const shape = call.shape(index);
    if (shape === undefined) return call.out(commonDtype(call, [...terms.keys()]), undefined);
    const names = letters(term);
    const spread = term.includes('...');
    const extra = shape.length - names.length;
    if (extra < 0 || (!spread && extra > 0)) {
      call.fail('rank-mismatch', `term "${term}" does not fit input ${index} of rank ${shape.length}`);
    }
    const at = spread ? term.indexOf('...') : names.length;
    if (spread) ellipses.push(shape.slice(at, at + extra));
    names.forEach((name, i) => {
      const dim = shape[i < at ? i : i + extra] as Dim;
      const before = sizes.get(name);
      if (isKnown(before) && isKnown(dim) && before !== dim && before !== 1 && dim !== 1) {
        call.fail('shape-mismatch', `"${name}" is ${before} and ${dim}`);
      }
      sizes.set(name, before === undefined || before === 1 ? dim : isKnown(dim) && dim !== 1 ? dim : before);
    });
  }
  const batch = broadcastShapes(ellipses);
  if (batch === false) call.fail('shape-mismatch', 'the axes under "..." do not broadcast');
  const counts = new Map<string, number>();
  for (const name of terms.flatMap(letters)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const implied = [...counts].flatMap(([name, count]) => (count === 1 ? [name] : [])).sort();
  const output = right ?? `${ellipses.length > 0 ? '...' : ''}${implied.join('')}`;
  const at = output.includes('...') ? output.indexOf('...') : -1;
  const dims = letters(output).map((name): Dim => {
    if (!sizes.has(name)) call.fail('attribute-range', `"${name}" is in no term of "${equation}"`);
    return sizes.get(name) as Dim;
  });
  if (at >= 0) dims.splice(at, 0, ...(batch as Shape));
  return call.out(commonDtype(call, [...terms.keys()]), dims);
};

export const matrixRules: RuleTable = {
  MatMul: matMul,
  MatMulInteger: matMulInteger,
  QLinearMatMul: qLinearMatMul,
  Gemm: gemm,
  Det: det,
  Einsum: einsum,
};
