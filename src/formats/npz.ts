/**
 * NumPy's `.npz`: a zip archive of `.npy` files, one a name. Read in place where the entries are stored
 * (numpy.savez), inflated on demand where they are deflated (numpy.savez_compressed).
 */
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, FileSource } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { npyChunks, npyHeader, readNpy } from './npy.ts';
import type { WeightFile } from './state-dict.ts';
import { hasRightChecksum, openZip, type ZipArchive } from './zip.ts';
import { zipChunks } from './zip-writer.ts';

const tensorsOf = (archive: ZipArchive, label: string): Map<string, Tensor> => {
  const tensors = new Map<string, Tensor>();
  for (const entry of archive.entries.values()) {
    const name = entry.name.replace(/\.npy$/, '');
    if (tensors.has(name)) throw new OrthoError('numpy/invalid', `${label}: two arrays are called "${name}"`);
    tensors.set(name, readNpy(entry.data, `${label}: "${entry.name}"`));
  }
  return tensors;
};

const zipOf = (source: ByteSource): { archive: ZipArchive; label: string } => {
  const label = source.path ?? 'npz';
  return { label, archive: openZip(source, { label, code: 'numpy/invalid' }) };
};

/**
 * The arrays of an `.npz` by name, in the order of the file. Their data stays in the source (given a path: a file that
 * stays open as long as the process) until it is read.
 * @throws OrthoError numpy/invalid, dtype/unsupported, file/not-found, file/limit
 */
export const readNpz = (input: string | ByteSource): Map<string, Tensor> => {
  const { archive, label } = zipOf(typeof input === 'string' ? new FileSource(input) : input);
  return tensorsOf(archive, label);
};

/** An `.npz` as a weight file: one state dict at the top level. */
export const openNpz = (source: FileSource): WeightFile => {
  const { archive, label } = zipOf(source);
  const tensors = tensorsOf(archive, label);
  return {
    format: 'npz',
    stateDicts: tensors.size === 0 ? [] : [{ path: '', tensors }],
    globals: [],
    metadata: new Map(),
    findings: [],
    checkIntegrity: () =>
      [...archive.entries.values()]
        .filter((entry) => !hasRightChecksum(entry))
        .map((entry) => ({
          level: 'warning',
          rule: 'checksum-mismatch',
          message: `"${entry.name}" does not have the checksum that the archive states: the file was changed or damaged`,
          at: { file: label, key: entry.name.replace(/\.npy$/, '') },
        })),
    close: () => source.close(),
  };
};

/**
 * The bytes of an `.npz` chunk by chunk, uncompressed and deterministic. Each chunk is only valid until the next is
 * asked for. @throws OrthoError dtype/unsupported for types that NumPy lacks (bfloat16, float8, 4-bit)
 */
export const npzChunks = (tensors: ReadonlyMap<string, Tensor>): Generator<Uint8Array> => {
  const contents = [...tensors].map(([name, tensor]) => ({
    name: `${name}.npy`,
    size: npyHeader(tensor).length + tensor.data.size,
    chunks: () => npyChunks(tensor),
  }));
  return zipChunks(contents, 64);
};

/** The whole of an `.npz`, as pieces to write one after the other. @throws as npzChunks does */
export const writeNpz = (tensors: ReadonlyMap<string, Tensor>): Uint8Array[] => [...npzChunks(tensors)];
