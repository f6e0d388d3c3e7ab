/**
 * NumPy's `.npz`: a zip archive of `.npy` files, one a name. Read in place where the entries are stored
 * (numpy.savez), inflated on demand where they are deflated (numpy.savez_compressed).
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { type ByteSource, FileSource } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { npyChunks, npyHeader, readNpyArray } from './npy.ts';
import { judge } from './pickle-survey.ts';
import { mergedGlobals } from './shard-index.ts';
import type { OpenOptions, RefusedReason, WeightFile } from './state-dict.ts';
import { hasRightChecksum, openZip, type ZipArchive, type ZipEntry } from './zip.ts';
import { zipChunks } from './zip-writer.ts';

interface Arrays {
  readonly tensors: Map<string, Tensor>;
  readonly refused: Map<string, RefusedReason>;
  /** The pickles of arrays of objects. */
  readonly objects: Map<string, ByteSource>;
  /** Entries that are no arrays. */
  readonly others: string[];
}

const arraysOf = (archive: ZipArchive, label: string): Arrays => {
  const arrays: Arrays = { tensors: new Map(), refused: new Map(), objects: new Map(), others: [] };
  for (const entry of archive.entries.values()) {
    if (!entry.name.endsWith('.npy')) {
      arrays.others.push(entry.name);
      continue;
    }
    const name = entry.name.replace(/\.npy$/, '');
    const array = readNpyArray(entry.data, `${label}: "${entry.name}"`);
    if ('refused' in array) {
      arrays.refused.set(name, { what: array.refused, hint: array.hint });
      if (array.objects !== undefined) arrays.objects.set(name, array.objects);
    } else arrays.tensors.set(name, array);
  }
  return arrays;
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
  const { tensors, refused } = arraysOf(archive, label);
  const [first] = refused;
  if (first === undefined) return tensors;
  const [name, { what, hint }] = first;
  throw new OrthoError('dtype/unsupported', `${label}: "${name}": ${what}`, { hint, at: { key: name } });
};

const findingsOf = ({ refused, others }: Arrays, label: string): Finding[] => {
  const findings: Finding[] = [...refused].map(([key, { what, hint }]) => ({
    level: 'warning',
    rule: 'refused-tensor',
    message: `"${key}" is ${what}; it was left out`,
    hint,
    at: { file: label, key },
  }));
  if (others.length > 0) {
    const shown = others.slice(0, 5).map((name) => `"${name}"`);
    findings.push({
      level: 'note',
      rule: 'other-entries',
      message: `${others.length} entries of the archive are no .npy arrays: ${shown.join(', ')}`,
      at: { file: label },
    });
  }
  return findings;
};

const damageFinding = ({ name }: ZipEntry, label: string): Finding => ({
  level: 'warning',
  rule: 'checksum-mismatch',
  message: `"${name}" does not have the checksum that the archive states: the file was changed or damaged`,
  at: { file: label, key: name.replace(/\.npy$/, '') },
});

/**
 * An `.npz` as a weight file: one state dict at the top level. Arrays of types without counterpart are left out, each
 * with a finding; of objects is described what their pickles name.
 */
export const openNpz = (
  source: FileSource,
  archive: ZipArchive,
  { describe = false }: OpenOptions = {},
): WeightFile => {
  const label = source.path;
  const arrays = arraysOf(archive, label);
  const { tensors, refused, objects } = arrays;
  const judged = describe ? [...objects].map(([name, data]) => judge(data, `${label}: "${name}.npy"`)) : [];
  return {
    format: 'npz',
    stateDicts:
      tensors.size + refused.size === 0
        ? []
        : [{ path: '', tensors, ...(refused.size === 0 ? {} : { refused }) }],
    globals: mergedGlobals(judged),
    metadata: new Map(),
    findings: [...findingsOf(arrays, label), ...judged.flatMap(({ findings }) => findings)],
    checkIntegrity: () =>
      [...archive.entries.values()]
        .filter((entry) => !hasRightChecksum(entry))
        .map((entry) => damageFinding(entry, label)),
    readFaults: () => [...archive.damaged].map((entry) => damageFinding(entry, label)),
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
export const writeNpz = (tensors: ReadonlyMap<string, Tensor>): Uint8Array[] =>
  Array.from(npzChunks(tensors), (chunk) => chunk.slice());
