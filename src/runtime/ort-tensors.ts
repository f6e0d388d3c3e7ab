/**
 * Tensors of ortho as tensors of onnxruntime-node and back, without a copy where alignment allows.
 *
 * float16 is Uint16Array on both sides. Where the engine has Float16Array (Node 24), onnxruntime-common wraps halves in
 * it and the native half of the binding then finds no bytes; so the tensor's `data` is replaced by a Uint16Array view.
 */
import type { Tensor as OrtTensor, TypedTensor } from 'onnxruntime-node';
import type { DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { BytesSource } from '../core/source.ts';
import { type Tensor, tensorArray, tensorOf } from '../core/tensor.ts';

/** The constructor of onnxruntime-node's tensors (the module is loaded lazily, so it is passed in). */
export type OrtTensorClass = typeof OrtTensor;

/** Element types that cross the border of onnxruntime-node; the runtime's names are ours. */
const PASSABLE: ReadonlySet<DType> = new Set<DType>([
  'float32',
  'float64',
  'float16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
  'string',
]);

/** The dtype of this name as onnxruntime-node's metadata gives it (int4 and uint4 included), or undefined. */
export const dtypeOfOrt = (type: string): DType | undefined =>
  PASSABLE.has(type as DType) || type === 'int4' || type === 'uint4' ? (type as DType) : undefined;

const toStrings = (name: string, tensor: Tensor): string[] => {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  return (tensor.strings ?? []).map((bytes, index) => {
    if (bytes.includes(0)) {
      throw new OrthoError(
        'dtype/unsupported',
        `input "${name}": string ${index} holds a NUL, where ONNX Runtime would cut it`,
        { at: { value: name } },
      );
    }
    try {
      return decoder.decode(bytes);
    } catch (cause) {
      throw new OrthoError('dtype/unsupported', `input "${name}": string ${index} is not UTF-8`, {
        at: { value: name },
        cause,
      });
    }
  });
};

/** @throws OrthoError dtype/unsupported for element types and strings that the runtime cannot be fed. */
export const toOrtTensor = (Ort: OrtTensorClass, name: string, tensor: Tensor): OrtTensor => {
  const { dtype, dims } = tensor;
  if (!PASSABLE.has(dtype)) {
    throw new OrthoError('dtype/unsupported', `input "${name}": ONNX Runtime cannot be fed ${dtype}`, {
      hint: 'feed another type and Cast inside the graph',
      at: { value: name },
    });
  }
  if (dtype === 'string') return new Ort('string', toStrings(name, tensor), dims);
  const array = tensorArray(tensor);
  if (dtype !== 'float16') return new Ort(dtype as 'uint8', array, dims);
  const half = new Ort('float16', array as Uint16Array, dims);
  if ('Float16Array' in globalThis) Object.defineProperty(half, 'data', { value: array });
  return half;
};

/** The content of a tensor that the runtime returned; shares its memory. */
export const fromOrtTensor = (tensor: OrtTensor): Tensor => {
  const { type, data, dims } = tensor as TypedTensor<'uint8'> | TypedTensor<'string'>;
  if (type === 'string') {
    const encoder = new TextEncoder();
    return {
      dtype: 'string',
      dims,
      data: new BytesSource(new Uint8Array(0)),
      strings: data.map((text) => encoder.encode(text)),
    };
  }
  return tensorOf(
    type as DType,
    dims,
    new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
  );
};
