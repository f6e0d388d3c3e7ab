/**
 * Writes the tensors of a state dict to a weight file; the extension of the output names the format. Tensors pass
 * through in pieces, and the output takes its name when it is complete.
 */
import { existsSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import type { Finding } from '../core/report.ts';
import { npzChunks } from '../formats/npz.ts';
import { safetensorsChunks } from '../formats/safetensors.ts';
import { planShards, shardIndexText, shardName } from '../formats/shard-plan.ts';
import type { WeightFile, WeightTensor } from '../formats/state-dict.ts';
import { torchZipChunks } from '../formats/torch-zip-write.ts';
import { dataFiles } from './data-files.ts';
import { checkOutput, type OutputFile, writeFilesAtomically } from './output.ts';

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

/** Formats that come in shards: an index beside them is what loaders look for. */
const SHARDED = ['.safetensors', '.bin'];

/**
 * The writer for an output; ask before the work, so that a wrong name costs nothing.
 * @throws OrthoError usage/option for an extension that names no format; usage/conflict where it has no shards
 */
export const writerFor = (
  output: string,
  { maxShard }: { readonly maxShard?: number | undefined } = {},
): WeightWriter => {
  const extension = extname(output).toLowerCase();
  const writer = WRITERS.get(extension);
  if (writer === undefined) {
    throw new OrthoError('usage/option', `the output ${output} has no extension that names a weight format`, {
      hint: `one of ${[...WRITERS.keys()].join(', ')}`,
      at: { file: output },
    });
  }
  if (maxShard === undefined || SHARDED.includes(extension)) return writer;
  throw new OrthoError('usage/conflict', `--max-shard: there are no sharded ${extension} files`, {
    hint: `shards are written as ${SHARDED.join(' or ')}`,
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
  /** Bytes of tensors in one file; more are spread over several, and an index names them. One file when left out. */
  readonly maxShard?: number | undefined;
  /** Files that must not be replaced, whatever `force` says; those that the tensors are read from are among them. */
  readonly inputs?: readonly string[];
  readonly force?: boolean;
  readonly io?: JobIo;
}

export interface WrittenWeights {
  readonly format: WeightWriter['format'];
  /** Of all files together. */
  readonly bytes: number;
  /** Their paths, in the order in which they took their names; an index comes last. */
  readonly files: readonly string[];
  readonly findings: readonly Finding[];
}

/** The files to write. */
const plan = (
  output: string,
  tensors: Tensors,
  { maxShard, metadata = new Map(), io = silentIo() }: WriteWeightsOptions,
): OutputFile[] => {
  const { format, chunks } = writerFor(output, { maxShard });
  const sizeOf = storedSize(format);
  const total = [...tensors.values()].reduce((sum, tensor) => sum + sizeOf(tensor), 0);
  const shards = maxShard === undefined ? [tensors] : planShards(tensors, maxShard, sizeOf);
  let before = 0;
  const file = (path: string, content: Tensors): OutputFile => ({
    path,
    write: async (sink) => {
      for (const chunk of chunks(content, metadata)) {
        await sink.push(chunk);
        io.progress('writing', total === 0 ? 1 : Math.min(1, (before + sink.bytes) / total));
        io.signal.throwIfAborted();
      }
      before += sink.bytes;
    },
  });
  if (shards.length <= 1) return [file(output, tensors)];
  const paths = shards.map((_, i) => shardName(output, i, shards.length));
  const names = paths.map((path) => basename(path));
  return [
    ...shards.map((shard, i) => file(paths[i]!, shard)),
    {
      path: `${output}.index.json`,
      write: (sink) => sink.write(Buffer.from(shardIndexText(shards, names, total))),
    },
  ];
};

/** Loaders take a whole file before they look for shards; an old one would be loaded in their place. */
const refuseWholeFile = (output: string, files: readonly OutputFile[]): void => {
  if (files.length === 1 || !existsSync(output)) return;
  throw new OrthoError('usage/conflict', `${output} exists, and would be loaded instead of its shards`, {
    hint: 'delete it, or choose another output',
    at: { file: output },
  });
};

/** Bytes of a tensor in a file: an alias takes none where the format can say so. */
const storedSize =
  (format: WeightWriter['format']) =>
  ({ data, sharedWith }: WeightTensor): number =>
    format === 'torch-zip' && sharedWith !== undefined ? 0 : data.size;

const copiedFindings = (format: WeightWriter['format'], tensors: Tensors): Finding[] => {
  const copies =
    format === 'torch-zip' ? [] : [...tensors].filter(([, { sharedWith }]) => sharedWith !== undefined);
  const [first] = copies;
  if (first === undefined) return [];
  const [key, { sharedWith = '' }] = first;
  const bytes = copies.reduce((sum, [, { data }]) => sum + data.size, 0);
  const more = copies.length === 1 ? '' : ` and ${copies.length - 1} more`;
  return [
    {
      level: 'note',
      rule: 'copied-alias',
      message: `"${key}" is "${sharedWith}" under another name${more}; ${format} has no shared tensors, so ${bytes} bytes are written twice`,
      hint: `--drop ${JSON.stringify(key)} leaves the copy out; a .pth keeps tensors shared`,
      at: { key },
    },
  ];
};

/**
 * Writes the tensors to `output`; with `maxShard`, where they are more than fit into one file, to
 * `STEM-00001-of-0000N.EXT` and so on beside it and `STEM.EXT.index.json`, which is renamed last.
 * @throws OrthoError usage/option, usage/conflict, usage/output-exists, output/unwritable, dtype/unsupported,
 *   weights/key-collision
 */
export const writeWeights = async (
  output: string,
  tensors: Tensors,
  options: WriteWeightsOptions = {},
): Promise<WrittenWeights> => {
  const { maxShard, force = false } = options;
  const { format } = writerFor(output, { maxShard });
  const files = plan(output, tensors, options);
  const inputs = [...(options.inputs ?? []), ...dataFiles(tensors.values())];
  for (const { path } of files) checkOutput(path, { force, inputs });
  refuseWholeFile(output, files);
  const written = await writeFilesAtomically(files, { force });
  return {
    format,
    bytes: written.reduce((sum, { bytes }) => sum + bytes, 0),
    files: written.map(({ path }) => path),
    findings: copiedFindings(format, tensors),
  };
};
