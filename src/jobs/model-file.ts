/** Models as output files. */
import type { Model } from '../ir/model.ts';
import { modelToProto } from '../ir/to-proto.ts';
import { encodeModel } from '../proto/encode.ts';
import { type OutputOptions, type WrittenFile, writeAtomically } from './output.ts';

/** Encodes a model and writes it atomically, tensor bytes copied straight from where they are. */
export const writeModel = (path: string, model: Model, options: OutputOptions = {}): Promise<WrittenFile> =>
  writeAtomically(
    path,
    (sink) => {
      for (const segment of encodeModel(modelToProto(model))) sink.write(segment);
    },
    options,
  );
