/**
 * Distributed checkpoints that were saved as safetensors and not consolidated (HuggingFaceStorageWriter with
 * save_distributed): every process wrote `shard-RANK-model-N-of-M.safetensors` with its parts of the tensors. Each
 * file's metadata entry DCP_SHARDING_INFO, JSON in a text, says where its parts begin: {KEY: {"saved_offsets": […]}}.
 */
import { join } from 'node:path';
import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { FilePool, FileSource } from '../core/source.ts';
import { TiledSource, tilingFault } from '../core/tiled-source.ts';
import { locateInside } from './inside-folder.ts';
import { openSafetensors } from './safetensors.ts';
import type { Json, WeightFile, WeightTensor } from './state-dict.ts';
import { type JsonLimits, parseStrictJson } from './strict-json.ts';

const SHARDING_INFO = 'DCP_SHARDING_INFO';
/** A table of tables of lists. */
const INFO_LIMITS: JsonLimits = { depth: 3, values: 500_000 };

/** Whether these are the names of such files and of no others. */
export const areRankShards = (names: readonly string[]): boolean =>
  names.length > 0 && names.every((name) => /^shard-\d+-model-\d+-of-\d+\.safetensors$/.test(name));

interface Part extends WeightTensor {
  readonly offsets: readonly number[];
  readonly file: string;
}

type Invalid = (message: string) => OrthoError;

const offsetsIn = (info: unknown, key: string, rank: number, invalid: Invalid): number[] => {
  const entry = (info as Record<string, unknown> | null)?.[key] as Record<string, unknown> | undefined;
  const offsets = entry?.saved_offsets;
  const isRight =
    Array.isArray(offsets) &&
    offsets.length === rank &&
    offsets.every((offset) => Number.isSafeInteger(offset) && offset >= 0);
  if (isRight) return offsets as number[];
  throw invalid(`${SHARDING_INFO} does not say where the part of "${key}" begins`);
};

/** The parts in one file. */
const partsOf = (file: WeightFile, path: string): Map<string, Part> => {
  const invalid: Invalid = (message) =>
    new OrthoError('checkpoint/invalid', `${path}: ${message}`, {
      hint: 'the file is no part of a distributed checkpoint, or is damaged',
      at: { file: path },
    });
  const text = file.metadata.get(SHARDING_INFO);
  if (typeof text !== 'string') throw invalid(`it has no ${SHARDING_INFO}`);
  const info = parseStrictJson(Buffer.from(text, 'utf8'), INFO_LIMITS, invalid);
  const parts = new Map<string, Part>();
  for (const [key, tensor] of file.stateDicts[0]?.tensors ?? []) {
    parts.set(key, { ...tensor, offsets: offsetsIn(info, key, tensor.dims.length, invalid), file: path });
  }
  return parts;
};

const joined = (key: string, parts: readonly Part[], folder: string): WeightTensor => {
  const invalid: Invalid = (message) =>
    new OrthoError('checkpoint/invalid', `${folder}: "${key}": ${message}`, {
      hint: 'a file is missing or of another checkpoint; copy the folder again',
      at: { file: folder, key },
    });
  const [{ dtype, dims: firstDims }] = parts as [Part];
  const odd = parts.find((part) => part.dtype !== dtype || part.dims.length !== firstDims.length);
  if (odd !== undefined)
    throw invalid(`${odd.dtype} [${odd.dims.join(', ')}] in "${odd.file}", ${dtype} elsewhere`);
  const dims = firstDims.map((_, axis) =>
    Math.max(...parts.map((part) => part.offsets[axis]! + part.dims[axis]!)),
  );
  if (dims.some((dim) => !Number.isSafeInteger(dim))) throw invalid('its size overflows');
  const tiles = parts.map(({ offsets, dims: sizes, data }) => ({ offsets, sizes, data }));
  const fault = tilingFault(dims, tiles);
  if (fault !== undefined) throw invalid(fault);
  if (tiles.length === 1) return { dtype, dims, data: tiles[0]!.data };
  const { bits } = dtypeInfo(dtype);
  if (bits % 8 !== 0)
    throw new OrthoError('dtype/unsupported', `${folder}: "${key}" is ${dtype} in several parts`);
  return { dtype, dims, data: new TiledSource(bits / 8, dims, tiles) };
};

/**
 * Opens such files as one state dict; the parts of a tensor must cover it exactly once.
 * @throws OrthoError checkpoint/invalid, safetensors/invalid, dtype/unsupported
 */
export const openRankShards = (folder: string, names: readonly string[]): WeightFile => {
  const pool = new FilePool();
  const files: WeightFile[] = [];
  const close = (): void => {
    for (const file of files) file.close();
  };
  try {
    const parts = new Map<string, Part[]>();
    for (const name of names) {
      const source = new FileSource(locateInside(folder, name, folder), pool);
      try {
        files.push(openSafetensors(source));
      } catch (error) {
        source.close();
        throw error;
      }
      for (const [key, part] of partsOf(files.at(-1)!, join(folder, name))) {
        parts.set(key, [...(parts.get(key) ?? []), part]);
      }
    }
    const tensors = new Map([...parts].map(([key, each]) => [key, joined(key, each, folder)]));
    return {
      format: 'torch-dcp',
      stateDicts: tensors.size === 0 ? [] : [{ path: '', tensors }],
      globals: [],
      metadata: new Map<string, Json>(),
      findings: [],
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
};
