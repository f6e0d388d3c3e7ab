/**
 * The weight formats: each opens a file whose content it recognised. Content decides, never the file's name.
 */
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import { openNpz } from './npz.ts';
import { openSafetensors } from './safetensors.ts';
import { sniff, strangerError, torchScriptError } from './sniff.ts';
import type { OpenOptions, WeightFile } from './state-dict.ts';
import { openTorchLegacy } from './torch-legacy.ts';
import { openTorchZip } from './torch-zip.ts';
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
  safetensors: { open: openSafetensors },
} as const satisfies Record<string, FlatFormat>;

/** Formats inside a zip archive, told apart by their entries; the first that matches wins. */
const ZIP_FORMATS = {
  torchscript: {
    matches: (names) => names.some((name) => /^[^/]+\/(constants\.pkl|bytecode\.pkl|code\/)/.test(name)),
    open: (source) => {
      throw torchScriptError(source.path);
    },
  },
  pt2: {
    matches: (names) =>
      names.some((name) => /(^|\/)(archive_format|serialized_exported_program\.json)$/.test(name)),
    open: (source) => {
      throw new OrthoError('checkpoint/unsupported', `${source.path}: an exported program (.pt2)`, {
        hint: 'save the weights with torch.save(model.state_dict(), ...) and convert those',
        at: { file: source.path },
      });
    },
  },
  'torch-zip': {
    matches: (names) => names.some((name) => /^[^/]+\/data\.pkl$/.test(name)),
    open: openTorchZip,
  },
  npz: {
    matches: (names) => names.length > 0 && names.every((name) => name.endsWith('.npy')),
    open: (source) => openNpz(source),
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

/**
 * Opens a weight file: PyTorch zip and legacy checkpoints, safetensors, npz. Reads its structure only; close it when
 * the tensors are no longer needed. With `describe`, what is refused for safety becomes findings of level error.
 * @throws OrthoError file/not-found, file/unknown-format, file/limit, checkpoint/*, safetensors/invalid, numpy/invalid
 */
export const openWeights = (path: string, options: OpenOptions = {}): WeightFile => {
  const source = new FileSource(path);
  try {
    const kind = sniff(source);
    if (kind === 'zip') return openArchive(source, options);
    if (kind === 'torch-legacy' || kind === 'safetensors') {
      const format: FlatFormat = WEIGHT_FORMATS[kind];
      return format.open(source, options);
    }
    throw strangerError(kind, path);
  } catch (error) {
    source.close();
    throw error;
  }
};
