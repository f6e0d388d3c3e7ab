/** Models as output files. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { chunksOf, FileSource } from '../core/source.ts';
import { splitExternalData } from '../ir/external-data.ts';
import type { Model } from '../ir/model.ts';
import { modelToProto } from '../ir/to-proto.ts';
import { encodeModel, type Segment } from '../proto/encode.ts';
import {
  checkOutput,
  type OutputFile,
  type OutputOptions,
  type Sink,
  type WrittenFile,
  writeAtomically,
  writeFilesAtomically,
} from './output.ts';
import { sha256Of } from './subject.ts';

const writeSegments = (sink: Sink, segments: readonly Segment[]): void => {
  for (const segment of segments) sink.write(segment);
};

/** Encodes a model and writes it atomically, tensor bytes copied straight from where they are. */
export const writeModel = (path: string, model: Model, options: OutputOptions = {}): Promise<WrittenFile> =>
  writeAtomically(path, (sink) => writeSegments(sink, encodeModel(modelToProto(model))), options);

const digestOf = (segments: readonly Segment[]): string => {
  const hash = createHash('sha256');
  for (const segment of segments) {
    if (segment instanceof Uint8Array) hash.update(segment);
    else for (const chunk of chunksOf(segment)) hash.update(chunk);
  }
  return hash.digest('hex');
};

const hasContent = (path: string, digest: string): boolean => {
  if (!existsSync(path)) return false;
  const source = new FileSource(path);
  try {
    return sha256Of(source) === digest;
  } finally {
    source.close();
  }
};

/**
 * Writes a model whose large weights lie in a data file beside it, `<model>-<first 16 digits of its sha256>.data`. The
 * data file takes its name first and the model last, so a model never refers to data that is not there. A data file
 * that is there with the same content stays.
 */
export const writeModelWithData = async (
  path: string,
  model: Model,
  options: OutputOptions = {},
): Promise<readonly WrittenFile[]> => {
  const split = splitExternalData(modelToProto(model));
  if (split.dataSize === 0) return [await writeModel(path, model, options)];
  const digest = digestOf(split.data);
  const name = `${basename(path, extname(path))}-${digest.slice(0, 16)}.data`;
  const dataPath = join(dirname(path), name);
  checkOutput(path, { force: options.force === true });
  const files: OutputFile[] = [
    { path, write: (sink) => writeSegments(sink, encodeModel(split.withDataFile(name))) },
  ];
  if (!hasContent(dataPath, digest))
    files.unshift({ path: dataPath, write: (sink) => writeSegments(sink, split.data) });
  return writeFilesAtomically(files, options);
};
