/** Reads a tensor that is stored alone, as a TensorProto (`input_0.pb` of the ONNX backend tests). */
import { OrthoError } from '../core/errors.ts';
import { BytesSource, FileSource } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { tensorFromProto } from '../ir/tensor-from-proto.ts';
import { decodeMessage } from '../proto/decode.ts';

/**
 * The tensor in a TensorProto file, held in memory.
 * @throws file/not-found, verify/case when the file holds something else (a sequence, an optional, damaged bytes)
 */
export const readTensorFile = (path: string): Tensor => {
  const file = new FileSource(path);
  try {
    const bytes = new BytesSource(file.read(0, file.size), path);
    return tensorFromProto(decodeMessage('TensorProto', bytes));
  } catch (cause) {
    if (cause instanceof OrthoError && cause.code.startsWith('model/')) {
      throw new OrthoError('verify/case', `${path}: not a tensor (${cause.message})`, {
        at: { file: path },
        cause,
      });
    }
    throw cause;
  } finally {
    file.close();
  }
};
