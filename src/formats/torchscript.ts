/**
 * TorchScript archives (torch.jit.save, also for mobile): `data.pkl` is the module as a tree of objects, `data/` its
 * storages, `constants.pkl` and `constants/` the tensors that its code uses as `CONSTANTS.c0`, `CONSTANTS.c1`, …, and
 * `code/` the program, which is never run.
 *
 * State dicts, in this order, each only where it has tensors:
 *   ''           parameters and buffers, as torch.jit.load(...).state_dict() lists them
 *   'constants'  the constants, under the names `CONSTANTS.cN`; in a frozen module all weights are here
 *   'attributes' tensors of the module that are neither parameters nor buffers
 *
 * Metadata: `class`, `frozen`, `mobile`, `version`, `training`, `attributes` (plain ones by their dotted names) and
 * `extra` (the extra files: their text where it is short).
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { FileSource } from '../core/source.ts';
import { PickleBudget, type PickleMachine } from './pickle.ts';
import { toJson } from './pickle-json.ts';
import { PickleGlobal, PickleObject, PickleTuple, type PickleValue } from './pickle-values.ts';
import type { Json, OpenOptions, StateDict, WeightFile } from './state-dict.ts';
import {
  ArchiveStorages,
  damageFindings,
  extraFilesOf,
  integrityOf,
  isBigEndian,
  readPickle,
  rootOf,
} from './torch-archive.ts';
import { toStateDict } from './torch-content.ts';
import { TorchHost } from './torch-host.ts';
import { isTensor, type TensorLike } from './torch-structure.ts';
import { ScriptClasses } from './torchscript-classes.ts';
import { type ScriptContent, scriptContentOf } from './torchscript-module.ts';
import type { ZipArchive } from './zip.ts';

/** Plain attributes that metadata shows. */
const MAX_ATTRIBUTES = 64;

const isOwnClass = (value: PickleValue): value is PickleGlobal =>
  value instanceof PickleGlobal && /^__torch__(\.|$)/.test(value.module);

/** Classes of the archive itself are data in it, also where enumerations are called with their value. */
class ScriptHost extends TorchHost {
  override call(callable: PickleValue, args: readonly PickleValue[], machine: PickleMachine): PickleValue {
    return isOwnClass(callable) ? this.create(callable, args, machine) : super.call(callable, args, machine);
  }
  takesBareArgument(callable: PickleValue): boolean {
    return isOwnClass(callable);
  }
}

/** `__torch__.net.___torch_mangle_3.Net` -> `net.Net`. */
const classNameOf = ({ qualified }: PickleGlobal): string =>
  qualified
    .split('.')
    .filter((part) => part !== '__torch__' && !part.startsWith('___torch_mangle_'))
    .join('.');

const constantsOf = (value: PickleValue): Map<string, TensorLike> => {
  const tensors = new Map<string, TensorLike>();
  if (!(value instanceof PickleTuple)) return tensors;
  for (const [index, item] of value.items.entries()) {
    if (isTensor(item)) tensors.set(`CONSTANTS.c${index}`, item);
  }
  return tensors;
};

const attributesOf = ({ attributes }: ScriptContent): Json => {
  const shown: Record<string, Json> = Object.create(null);
  for (const [name, value] of [...attributes].slice(0, MAX_ATTRIBUTES)) shown[name] = toJson(value);
  if (attributes.size > MAX_ATTRIBUTES) shown['…'] = `${attributes.size - MAX_ATTRIBUTES} more`;
  return shown;
};

const versionOf = (archive: ZipArchive, root: string): string | undefined => {
  const entry = archive.entries.get(`${root}version`) ?? archive.entries.get(`${root}.data/version`);
  if (entry === undefined || entry.size > 16) return undefined;
  return Buffer.from(entry.data.read(0, entry.size)).toString('latin1').trim();
};

const metadataOf = (
  module: PickleObject,
  content: ScriptContent,
  isFrozen: boolean,
  archive: ZipArchive,
  root: string,
): Map<string, Json> => {
  const metadata = new Map<string, Json>([
    ['class', classNameOf(module.type)],
    ['frozen', isFrozen],
    ['mobile', archive.entries.has(`${root}bytecode.pkl`)],
  ]);
  const version = versionOf(archive, root);
  if (version !== undefined) metadata.set('version', version);
  const training = module.attribute('training');
  if (typeof training === 'boolean') metadata.set('training', training);
  if (content.attributes.size > 0) metadata.set('attributes', attributesOf(content));
  const extra = extraFilesOf(archive, `${root}extra/`);
  if (extra !== undefined) metadata.set('extra', extra);
  return metadata;
};

/**
 * Opens a TorchScript archive.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const openTorchScript = (
  source: FileSource,
  archive: ZipArchive,
  options: OpenOptions = {},
): WeightFile => {
  const label = source.path;
  const root = rootOf(archive, label);
  const pickle = archive.entries.get(`${root}data.pkl`);
  if (pickle === undefined) {
    throw new OrthoError(
      'checkpoint/unsupported',
      `${label}: a TorchScript archive without ${root}data.pkl`,
      {
        hint: 'PyTorch before 1.4 wrote such archives; load it there and save its state_dict() with torch.save',
        at: { file: label },
      },
    );
  }
  const bigEndian = isBigEndian(archive, root, label);
  let storages = new ArchiveStorages(archive, `${root}data/`, label, bigEndian);
  const host = new ScriptHost(
    (id, machine) => storages.resolve(id, machine),
    options,
    new PickleBudget(archive.bytes),
  );
  const read = host.reading('torchscript', label, () => {
    const module = readPickle(pickle, root, label, host);
    if (!(module instanceof PickleObject)) {
      throw new OrthoError(
        'checkpoint/invalid',
        `${label}: data.pkl of the TorchScript archive holds no module`,
        {
          hint: 'the archive was put together by hand or is damaged',
          at: { file: label },
        },
      );
    }
    const content = scriptContentOf(module, new ScriptClasses(archive, root), label);
    const findings: Finding[] = [...storages.findings];
    const entry = archive.entries.get(`${root}constants.pkl`);
    storages = new ArchiveStorages(archive, `${root}constants/`, label, bigEndian);
    const constants = constantsOf(entry === undefined ? null : readPickle(entry, root, label, host));
    findings.push(...storages.findings);
    host.refuseCalls();
    const stateDicts: StateDict[] = [
      { path: '', entries: content.weights },
      { path: 'constants', entries: constants },
      { path: 'attributes', entries: content.tensors },
    ]
      .filter(({ entries }) => entries.size > 0)
      .map((each) => toStateDict(each, label, findings));
    const isFrozen = content.weights.size === 0 && constants.size > 0;
    return {
      format: 'torchscript',
      stateDicts,
      globals: host.globals(),
      metadata: metadataOf(module, content, isFrozen, archive, root),
      findings: [...findings, ...host.findings(label)],
      checkIntegrity: () => integrityOf(archive, label),
      readFaults: () => damageFindings(archive, label),
    };
  });
  return { ...read, close: () => source.close() };
};
