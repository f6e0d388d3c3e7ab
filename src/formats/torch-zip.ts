/**
 * PyTorch's zip checkpoints (torch.save since 1.6): one root folder with `data.pkl`, one record a storage under
 * `data/`, optionally `byteorder`. Opening reads the directory and the pickle; storages stay in the file.
 */
import { OrthoError } from '../core/errors.ts';
import type { FileSource } from '../core/source.ts';
import { PickleBudget } from './pickle.ts';
import type { OpenOptions, WeightFile } from './state-dict.ts';
import {
  ArchiveStorages,
  checksumFindings,
  damageFindings,
  integrityOf,
  isBigEndian,
  readPickle,
  rootOf,
} from './torch-archive.ts';
import { contentOf } from './torch-content.ts';
import { TorchHost } from './torch-host.ts';
import type { ZipArchive } from './zip.ts';

/**
 * Reads a zip checkpoint, which may itself lie inside another archive and share a budget with others there.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const readTorchZip = (
  archive: ZipArchive,
  label: string,
  options: OpenOptions = {},
  budget: PickleBudget = new PickleBudget(archive.bytes),
): Omit<WeightFile, 'close'> => {
  const root = rootOf(archive, label);
  const pickle = archive.entries.get(`${root}data.pkl`);
  if (pickle === undefined) {
    throw new OrthoError('checkpoint/invalid', `${label}: a zip archive without ${root}data.pkl`, {
      hint: 'PyTorch checkpoints have one; this archive is something else or was cut',
    });
  }
  const storages = new ArchiveStorages(archive, `${root}data/`, label, isBigEndian(archive, root, label));
  const host = new TorchHost((id, machine) => storages.resolve(id, machine), options, budget);
  return host.reading('torch-zip', label, () => {
    const content = contentOf(readPickle(pickle, root, label, host), label);
    if (!content.hasModule) host.refuseCalls();
    return {
      format: 'torch-zip',
      stateDicts: content.stateDicts,
      globals: host.globals(),
      metadata: content.metadata,
      findings: [
        ...storages.findings,
        ...checksumFindings(archive, label),
        ...content.findings,
        ...host.findings(label),
      ],
      checkIntegrity: () => integrityOf(archive, label),
      readFaults: () => damageFindings(archive, label),
    };
  });
};

/** Opens a zip checkpoint whose directory was read already; throws as readTorchZip does. */
export const openTorchZip = (
  source: FileSource,
  archive: ZipArchive,
  options: OpenOptions = {},
): WeightFile => ({ ...readTorchZip(archive, source.path, options), close: () => source.close() });
