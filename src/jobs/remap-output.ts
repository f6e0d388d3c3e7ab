/**
 * Writes the tensors of a state dict to a weight file; the extension of the output names the format. Tensors pass
 * through in pieces, and the output takes its name when it is complete.
 */
import { extname } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { npzChunks } from '../formats/npz.ts';
import { safetensorsChunks } from '../formats/safetensors.ts';
import type { WeightFile, WeightTensor } from '../formats/state-dict.ts';
import { torchZipChunks } from '../formats/torch-zip-write.ts';
import { writeAtomically } from './output.ts';

type Tensors = ReadonlyMap<string, WeightTensor>;
type TextMetadata = ReadonlyMap<string, string>;

interface WeightWriter {
  readonly format: 'safetensors' | 'npz' | 'torch-zip';
  chunks(tensors: Tensors, metadata: TextMetadata): Generator<Uint8Array>;
}

const SAFETENSORS: WeightWriter = {
  format: 'safetensors',
  // transformers refuses files whose format is not stated.
  chunks: (tensors, metadata) => safetensorsChunks(tensors, new Map([['format', 'pt'], ...metadata])),
};
const NPZ: WeightWriter = { format: 'npz', chunks: npzChunks };
const TORCH_ZIP: WeightWriter = { format: 'torch-zip', chunks: torchZipChunks };

const WRITERS: ReadonlyMap<string, WeightWriter> = new Map([
  ['.safetensors', SAFETENSORS],
  ['.npz', NPZ],
  ['.pth', TORCH_ZIP],
  ['.pt', TORCH_ZIP],
  ['.bin', TORCH_ZIP],
  ['.ckpt', TORCH_ZIP],
  ['.tar', TORCH_ZIP],
]);

/**
 * The writer for an output; ask before the work, so that a wrong name costs nothing.
 * @throws OrthoError usage/option for an extension that names no format
 */
export const writerFor = (output: string): WeightWriter => {
  const writer = WRITERS.get(extname(output).toLowerCase());
  if (writer !== undefined) return writer;
  throw new OrthoError('usage/option', `the output ${output} has no extension that names a weight format`, {
    hint: `one of ${[...WRITERS.keys()].join(', ')}`,
    at: { file: output },
  });
};

/** The metadata of a file that the output keeps: the texts of safetensors in safetensors. */
export const keptMetadata = (file: WeightFile, output: string): TextMetadata =>
  file.format === 'safetensors' && writerFor(output).format === 'safetensors'
    ? new Map([...file.metadata].flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : [])))
    : new Map();

export interface WriteWeightsOptions {
  /** Texts that go along, where the format has a place for them. */
  readonly metadata?: TextMetadata;
  readonly force?: boolean;
  readonly io?: JobIo;
}

export interface WrittenWeights {
  readonly format: WeightWriter['format'];
  /** Of all files together. */
  readonly bytes: number;
  /** Their paths, in the order in which they took their names. */
  readonly files: readonly string[];
}

/**
 * Writes the tensors to `output`.
 * @throws OrthoError usage/option, usage/output-exists, output/unwritable, dtype/unsupported, weights/key-collision
 */
export const writeWeights = async (
  output: string,
  tensors: Tensors,
  { force = false, io = silentIo(), metadata = new Map() }: WriteWeightsOptions = {},
): Promise<WrittenWeights> => {
  const writer = writerFor(output);
  const total = [...tensors.values()].reduce((sum, { data }) => sum + data.size, 0);
  const written = await writeAtomically(
    output,
    (sink) => {
      for (const chunk of writer.chunks(tensors, metadata)) {
        sink.write(chunk);
        io.progress('writing', total === 0 ? 1 : Math.min(1, sink.bytes / total));
      }
    },
    { force },
  );
  return { format: writer.format, bytes: written.bytes, files: [written.path] };
};
