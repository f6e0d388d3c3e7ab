/** Opening ONNX models: from a path or from bytes, to a Model whose weights stay where they are. */
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, BytesSource, FileSource } from '../core/source.ts';
import { decodeModel } from '../proto/decode.ts';
import { modelFromProto } from './from-proto.ts';
import type { Model } from './model.ts';

/** Files up to this size are read at once and closed; larger ones stay open and are read where needed. */
const HELD = 16 << 20;

/**
 * The model in a source. External data is looked for beside `path` (default: the source's own path).
 * @throws OrthoError model/invalid or model/truncated naming the place.
 */
export const openModel = (source: ByteSource, path: string | undefined = source.path): Model => {
  const proto = decodeModel(source);
  if (path === undefined) return modelFromProto(proto);
  try {
    return modelFromProto(proto, { path });
  } catch (error) {
    if (!(error instanceof OrthoError)) throw error;
    const { code, message, hint, at, cause } = error;
    throw new OrthoError(code, `${path}: ${message}`, {
      ...(hint !== undefined && { hint }),
      at: { file: path, ...at },
      cause,
    });
  }
};

/**
 * The model in a file. A large file stays open until `model.close()`.
 * @throws OrthoError file/not-found, model/invalid, model/truncated.
 */
export const loadModel = (path: string): Model => {
  const file = new FileSource(path);
  let isKept = false;
  try {
    if (file.size <= HELD) return openModel(new BytesSource(file.read(0, file.size), path));
    const model = openModel(file);
    model.sources.push(file);
    isKept = true;
    return model;
  } finally {
    if (!isKept) file.close();
  }
};
