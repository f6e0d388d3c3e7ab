/**
 * Element types of ONNX tensors (TensorProto.DataType up to IR 14), under NumPy-like names.
 * `bits` is the storage of one element; sub-byte types are packed little end first, the last byte padded with zeros.
 */

interface DTypeInfo {
  /** TensorProto.DataType number. */
  readonly onnx: number;
  /** Bits of one element in raw_data; 0 for strings. */
  readonly bits: number;
  /** The name in ONNX text and type strings (`tensor(float)`). */
  readonly text: string;
  readonly kind: 'float' | 'int' | 'uint' | 'bool' | 'complex' | 'string';
}

export const DTYPES = {
  float32: { onnx: 1, bits: 32, text: 'float', kind: 'float' },
  uint8: { onnx: 2, bits: 8, text: 'uint8', kind: 'uint' },
  int8: { onnx: 3, bits: 8, text: 'int8', kind: 'int' },
  uint16: { onnx: 4, bits: 16, text: 'uint16', kind: 'uint' },
  int16: { onnx: 5, bits: 16, text: 'int16', kind: 'int' },
  int32: { onnx: 6, bits: 32, text: 'int32', kind: 'int' },
  int64: { onnx: 7, bits: 64, text: 'int64', kind: 'int' },
  string: { onnx: 8, bits: 0, text: 'string', kind: 'string' },
  bool: { onnx: 9, bits: 8, text: 'bool', kind: 'bool' },
  float16: { onnx: 10, bits: 16, text: 'float16', kind: 'float' },
  float64: { onnx: 11, bits: 64, text: 'double', kind: 'float' },
  uint32: { onnx: 12, bits: 32, text: 'uint32', kind: 'uint' },
  uint64: { onnx: 13, bits: 64, text: 'uint64', kind: 'uint' },
  complex64: { onnx: 14, bits: 64, text: 'complex64', kind: 'complex' },
  complex128: { onnx: 15, bits: 128, text: 'complex128', kind: 'complex' },
  bfloat16: { onnx: 16, bits: 16, text: 'bfloat16', kind: 'float' },
  float8e4m3fn: { onnx: 17, bits: 8, text: 'float8e4m3fn', kind: 'float' },
  float8e4m3fnuz: { onnx: 18, bits: 8, text: 'float8e4m3fnuz', kind: 'float' },
  float8e5m2: { onnx: 19, bits: 8, text: 'float8e5m2', kind: 'float' },
  float8e5m2fnuz: { onnx: 20, bits: 8, text: 'float8e5m2fnuz', kind: 'float' },
  uint4: { onnx: 21, bits: 4, text: 'uint4', kind: 'uint' },
  int4: { onnx: 22, bits: 4, text: 'int4', kind: 'int' },
  float4e2m1: { onnx: 23, bits: 4, text: 'float4e2m1', kind: 'float' },
  float8e8m0: { onnx: 24, bits: 8, text: 'float8e8m0', kind: 'float' },
  uint2: { onnx: 25, bits: 2, text: 'uint2', kind: 'uint' },
  int2: { onnx: 26, bits: 2, text: 'int2', kind: 'int' },
  float6e2m3: { onnx: 27, bits: 6, text: 'float6e2m3', kind: 'float' },
  float6e3m2: { onnx: 28, bits: 6, text: 'float6e3m2', kind: 'float' },
} as const satisfies Record<string, DTypeInfo>;

export type DType = keyof typeof DTYPES;

export const dtypeInfo = (dtype: DType): DTypeInfo => DTYPES[dtype];

const byNumber = new Map<number, DType>(
  (Object.keys(DTYPES) as DType[]).map((name) => [DTYPES[name].onnx, name]),
);
const byText = new Map<string, DType>(
  (Object.keys(DTYPES) as DType[]).map((name) => [DTYPES[name].text, name]),
);

/** The dtype with this TensorProto.DataType number, or undefined for 0 and unknown numbers. */
export const dtypeFromOnnx = (number: number): DType | undefined => byNumber.get(number);

/** The dtype with this ONNX text name (`float`, `double`, `int64`…), or undefined. */
export const dtypeFromText = (text: string): DType | undefined => byText.get(text);

/**
 * Bytes that `elements` elements take. Elements must be a safe integer; strings count 0.
 * Sub-byte types are packed: ceil(elements · bits / 8).
 */
export const byteLengthOf = (dtype: DType, elements: number): number =>
  DTYPES[dtype].bits >= 8
    ? elements * (DTYPES[dtype].bits / 8)
    : Math.ceil((elements * DTYPES[dtype].bits) / 8);
