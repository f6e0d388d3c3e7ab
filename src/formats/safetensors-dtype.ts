/**
 * The element types of safetensors, in the order of the reference implementation, which sorts tensors by it.
 * https://github.com/huggingface/safetensors (Dtype in safetensors/src/tensor.rs)
 */
import type { DType } from '../core/dtype.ts';

/**
 * Types narrower than a byte are packed, the first element in the low bits, as ONNX packs them; a tensor of them must
 * end on a byte boundary.
 */
const TYPES: readonly (readonly [string, DType])[] = [
  ['BOOL', 'bool'],
  ['F4', 'float4e2m1'],
  ['F6_E2M3', 'float6e2m3'],
  ['F6_E3M2', 'float6e3m2'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F8_E5M2', 'float8e5m2'],
  ['F8_E4M3', 'float8e4m3fn'],
  ['F8_E8M0', 'float8e8m0'],
  ['F8_E4M3FNUZ', 'float8e4m3fnuz'],
  ['F8_E5M2FNUZ', 'float8e5m2fnuz'],
  ['I16', 'int16'],
  ['U16', 'uint16'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['U32', 'uint32'],
  ['F32', 'float32'],
  ['C64', 'complex64'],
  ['F64', 'float64'],
  ['I64', 'int64'],
  ['U64', 'uint64'],
];
const TO_DTYPE = new Map(TYPES);
const FROM_DTYPE = new Map(TYPES.map(([name, dtype], rank) => [dtype, { name, rank }]));

/** Every type name of the format. */
export const SAFETENSORS_TYPES: readonly string[] = TYPES.map(([name]) => name);

/** The dtype of a type name, or undefined. */
export const dtypeFromSafetensors = (name: string): DType | undefined => TO_DTYPE.get(name);

/** The type name of a dtype and its place in the order of tensors, or undefined where the format has no such type. */
export const safetensorsType = (dtype: DType): { readonly name: string; readonly rank: number } | undefined =>
  FROM_DTYPE.get(dtype);
