/**
 * The weight formats: each opens a file whose content it recognised. Content decides, never the file's name.
 */
import { statSync } from 'node:fs';
import { OrthoError } from '../core/errors.ts';
import { type FilePool, FileSource } from '../core/source.ts';
import { bounded } from './bounded.ts';
import { openNpy } from './npy.ts';
import { openNpz } from './npz.ts';
import { openPt2 } from './pt2.ts';
import { openSafetensors } from './safetensors.ts';
import { type OpenShard, openShardIndex } from './shard-index.ts';
import { type Sniffed, sniff, strangerError } from './sniff.ts';
import type { OpenOptions, WeightFile } from './state-dict.ts';
import { openTorchDcp } from './torch-dcp.ts';
import { openTorchLegacy } from './torch-legacy.ts';
import { openTorchTar } from './torch-tar.ts';
import { openTorchZip } from './torch-zip.ts';
import { openTorchScript } from './torchscript.ts';
import { openWeightFolder } from './weight-folder.ts';
import { openZip, type ZipArchive } from './zip.ts';

/** A zip-based format: which archives are its own, and how to open them. */
export interface ZipFormat {
  matches(names: readonly string[]): boolean;
  open(source: FileSource, archive: ZipArchive, options: OpenOptions): WeightFile;
}

export interface FlatFormat {
  open(source: FileSource, options: OpenOptions): WeightFile;
}

/** Formats with a signature of their own. */
export const WEIGHT_FORMATS = {
  'torch-legacy': { open: openTorchLegacy },
  'torch-tar': { open: openTorchTar },
  safetensors: { open: openSafetensors },
  npy: { open: openNpy },
} as const satisfies Record<string, FlatFormat>;

/** A format of several files: how to open it by the file that names the others. */
export interface SetFormat {
  open(path: string, options: OpenOptions, openMember: OpenShard): WeightFile;
}

const SET_FORMATS = {
  'shard-index': { open: openShardIndex },
  'torch-dcp': { open: openTorchDcp },
} as const satisfies Record<string, SetFormat>;

/** Formats inside a zip archive, told apart by their entries; the first that matches wins. */
const ZIP_FORMATS = {
  torchscript: {
    matches: (names) => names.some((name) => /^[^/]+\/(constants\.pkl|bytecode\.pkl|code\/)/.test(name)),
    open: openTorchScript,
  },
  pt2: {
    matches: (names) =>
      names.some((name) => /(^|\/)(archive_format|serialized_exported_program\.json)$/.test(name)),
    open: openPt2,
  },
  'torch-zip': {
    matches: (names) => names.some((name) => /^[^/]+\/data\.pkl$/.test(name)),
    open: openTorchZip,
  },
  npz: {
    matches: (names) => names.some((name) => name.endsWith('.npy')),
    open: openNpz,
  },
} as const satisfies Record<string, ZipFormat>;

const openArchive = (source: FileSource, options: OpenOptions): WeightFile => {
  const archive = openZip(source, { label: source.path, code: 'checkpoint/invalid' });
  const names = [...archive.entries.keys()];
  const format = Object.values(ZIP_FORMATS).find((each) => each.matches(names));
  if (format !== undefined) return format.open(source, archive, options);
  throw new OrthoError(
    'checkpoint/invalid',
    `${source.path}: a zip archive without data.pkl or .npy entries (it has ${names.slice(0, 3).join(', ') || 'none'})`,
    {
      hint: 'a checkpoint repacked with a zip tool loses its layout; take the original file',
      at: { file: source.path },
    },
  );
};

const isFlat = (kind: Sniffed): kind is keyof typeof WEIGHT_FORMATS =>
  typeof kind === 'string' && Object.hasOwn(WEIGHT_FORMATS, kind);
const isSet = (kind: Sniffed): kind is keyof typeof SET_FORMATS =>
  typeof kind === 'string' && Object.hasOwn(SET_FORMATS, kind);

/** Opens a file; with a pool, one of a set: sets do not nest. */
const openFile = (path: string, options: OpenOptions, pool?: FilePool): WeightFile => {
  const source = new FileSource(path, pool);
  let kind: Sniffed;
  try {
    kind = sniff(source);
    if (kind === 'zip') return openArchive(source, options);
    if (isFlat(kind)) {
      const format: FlatFormat = WEIGHT_FORMATS[kind];
      return format.open(source, options);
    }
    if (!isSet(kind) || pool !== undefined) throw strangerError(kind, path);
  } catch (error) {
    source.close();
    throw error;
  }
  source.close();
  const format: SetFormat = SET_FORMATS[kind];
  return format.open(path, options, (member, shared) => openFile(member, options, shared));
};

/** Says of a part of a distributed checkpoint, which cannot be read alone, what can be. */
const openAlone = (path: string, options: OpenOptions): WeightFile => {
  try {
    return openFile(path, options);
  } catch (error) {
    if (!(error instanceof OrthoError) || !/\.distcp$/.test(path)) throw error;
    throw new OrthoError(error.code, error.message, {
      hint: 'this is a part of a distributed checkpoint: give its folder',
      at: error.at,
      cause: error,
    });
  }
};

const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // opening it says why
  }
};

/**
 * Opens weights: a file of a known format, the index of a set of shards, or a folder that holds one of these. Reads
 * their structure only; close it when the tensors are no longer needed. With `describe`, what is refused for safety
 * becomes findings of level error.
 * @throws OrthoError file/*, checkpoint/*, safetensors/invalid, numpy/invalid
 */
export const openWeights = (path: string, options: OpenOptions = {}): WeightFile =>
  bounded(() =>
    isFolder(path) ? openWeightFolder(path, (file) => openFile(file, options)) : openAlone(path, options),
  );
