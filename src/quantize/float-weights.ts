/** Reading constant float operands of the operators that quantisation rewrites. */
import { toFloat32 } from '../core/tensor.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';

export interface FloatConstant {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** Why a Gemm or MatMul stays float. */
export const NOT_PLAIN_GEMM =
  'it scales its operands or transposes its input, or its weight is not a constant float32 matrix';
export const NOT_CONSTANT_MATMUL = 'its right operand is not a constant float32 matrix';

/** The value as a float32 constant, if it is one. */
export const floatConstant = (value: Value | undefined): FloatConstant | undefined => {
  const tensor = value?.constant;
  return tensor?.dtype === 'float32' ? { dims: tensor.dims, values: toFloat32(tensor) } : undefined;
};

/** True when a Gemm is x · W (+ b) with W constant and nothing scaled or transposed but W. */
export const isPlainGemm = (node: Node): boolean =>
  node.is('Gemm') &&
  node.int('transA', 0) === 0 &&
  node.float('alpha', 1) === 1 &&
  node.float('beta', 1) === 1 &&
  floatConstant(node.inputs[1])?.dims.length === 2;

/** True when a MatMul multiplies by a constant matrix. */
export const isConstantMatMul = (node: Node): boolean =>
  node.is('MatMul') && floatConstant(node.inputs[1])?.dims.length === 2;

/** The matrix transposed: [rows, columns] → [columns, rows]. */
export const transpose = ({ dims, values }: FloatConstant): FloatConstant => {
  const [rows = 0, columns = 0] = dims;
  const result = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c] as number;
  }
  return { dims: [columns, rows], values: result };
};
