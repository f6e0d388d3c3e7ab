/**
 * What every weight format gives: named tensors grouped into state dicts, and what else the file says about itself.
 * Data stays in the file until a tensor's source is read.
 */
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Finding } from '../core/report.ts';
import type { Tensor } from '../core/tensor.ts';

export type WeightFormat =
  | 'torch-zip'
  | 'torch-legacy'
  | 'torch-tar'
  | 'torchscript'
  | 'pt2'
  | 'torch-dcp'
  | 'safetensors'
  | 'npz'
  | 'npy';

/** A tensor of a state dict. */
export interface WeightTensor extends Tensor {
  /** The first key of the same state dict that shows the same elements of the same storage (an alias, a tied weight). */
  readonly sharedWith?: string;
}

/** Why a tensor of a file is not among those that can be read. */
export interface RefusedReason {
  /** What it is, e.g. `a meta tensor, which has a shape but no values`. */
  readonly what: string;
  /** What to do about it. */
  readonly hint: string;
}

export interface StateDict {
  /** Where it lies in the file: dictionary keys joined by dots, '' for the top level. */
  readonly path: string;
  /** In file order. */
  readonly tensors: ReadonlyMap<string, WeightTensor>;
  /**
   * Keys whose tensors have no values here, and why; absent where there are none. Whoever copies the state dict
   * must not lose them in silence.
   */
  readonly refused?: ReadonlyMap<string, RefusedReason>;
}

/**
 * What a global of a pickle is: `data` (a function or class whose meaning as data is known), `opaque` (unknown: a
 * record, never more), `dangerous` (no weights need it; loading it elsewhere may run code).
 */
export type GlobalKind = 'data' | 'opaque' | 'dangerous';

/** A Python global that a pickle of the file names. */
export interface GlobalUse {
  /** `module.name`. */
  readonly name: string;
  readonly kind: GlobalKind;
  /** How often the pickles want to call it. */
  readonly calls: number;
  /** Where it is first named: which pickle, and at which byte of the file or entry; set for dangerous ones. */
  readonly first?: { readonly pickle: string; readonly byte: number };
}

/** How a weight file is opened. */
export interface OpenOptions {
  /**
   * What would be refused for safety (unknown and dangerous globals and their calls) becomes findings of level error, and
   * what can be shown is shown. For looking at a file only, never for using its tensors.
   */
  readonly describe?: boolean;
  /** With `describe`: judge every pickle, however many there are. */
  readonly allPickles?: boolean;
}

/** A plain JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface WeightFile {
  readonly format: WeightFormat;
  /** Every state dict of the file, the best first (each format documents its order). */
  readonly stateDicts: readonly StateDict[];
  /** The Python globals that its pickles name, sorted by name; empty for formats without code. */
  readonly globals: readonly GlobalUse[];
  /** What lies beside the state dicts (epoch, arguments…), as plain values; tensors and long lists are summarised. */
  readonly metadata: ReadonlyMap<string, Json>;
  /** What was refused, skipped or looks wrong, short of making the file unreadable. */
  readonly findings: readonly Finding[];
  /** Reads every record of the file and reports stored checksums that do not fit; absent where there are none. */
  checkIntegrity?(): readonly Finding[];
  /**
   * Stored checksums that did not fit the tensors that were read from the first byte to the last since the file was
   * opened; asks for no reading of its own. Absent where there are no checksums.
   */
  readFaults?(): readonly Finding[];
  /** Closes the file; tensors can not be read afterwards. */
  close(): void;
}

/**
 * The state dict at `path`, or the best one when no path is given.
 * @throws OrthoError checkpoint/no-state-dict when there is none (the hint lists the paths there are).
 */
export const pickStateDict = (file: WeightFile, name: string, path?: string): StateDict => {
  const found = path === undefined ? file.stateDicts[0] : file.stateDicts.find((dict) => dict.path === path);
  if (found !== undefined) return found;
  const paths = file.stateDicts.map((dict) => dict.path);
  if (path === undefined || paths.length === 0) {
    const refused = file.findings.find((finding) => finding.rule === 'refused-tensor');
    throw new OrthoError('checkpoint/no-state-dict', `${name}: no tensors in this ${file.format} file`, {
      hint: refused?.message ?? 'look at its content with: ortho inspect',
      at: { file: name },
    });
  }
  const near = nearestNames(path, paths)[0] ?? paths[0] ?? '';
  throw new OrthoError('checkpoint/no-state-dict', `${name}: no state dict at "${path}"`, {
    hint: `nearest: "${near}"; there ${paths.length === 1 ? 'is' : 'are'} ${paths
      .slice(0, 8)
      .map((each) => (each === '' ? '"" (top level)' : `"${each}"`))
      .join(', ')}`,
    at: { file: name },
  });
};
