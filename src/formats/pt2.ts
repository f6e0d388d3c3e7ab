/**
 * torch.export archives (.pt2), of which weights and metadata are read, and the program is not. Three layouts:
 *
 *  - one root folder with `archive_format`, `models/M.json`, and for each model `data/weights/M_weights_config.json`
 *    and `data/constants/M_constants_config.json` (pt2-payload.ts);
 *  - the same with `data/weights/M.pt` and `data/constants/M.pt`, a torch.save file each;
 *  - before: no root folder, `serialized_exported_program.json`, and `serialized_state_dict` and
 *    `serialized_constants` as `.pt`, or as `.json` that is a torch.save file all the same.
 *
 * State dicts: '' has parameters and buffers, 'constants' the other tensors; in an archive of several models these are
 * called 'M' and 'M.constants'. The model called `model` comes first, then file order. Aliases are views of one file.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import type { FileSource } from '../core/source.ts';
import { judge } from './pickle-survey.ts';
import { DescriptionBudget } from './pt2-json.ts';
import { nestedCheckpoint, type Payload, type PayloadContext, payloadOf } from './pt2-payload.ts';
import { programMetadata } from './pt2-program.ts';
import { mergedGlobals } from './shard-index.ts';
import type { Json, OpenOptions, StateDict, WeightFile } from './state-dict.ts';
import {
  checkInflation,
  damageFindings,
  extraFilesOf,
  integrityOf,
  isBigEndian,
  rootOf,
} from './torch-archive.ts';
import type { ZipArchive, ZipEntry } from './zip.ts';

/** Models of one archive. */
const MAX_MODELS = 1000;
const OLD_PROGRAM = 'serialized_exported_program.json';

/** One program: its description, and where its tensors are. */
interface Model {
  readonly name: string;
  readonly program: ZipEntry | undefined;
  readonly weights: Payload;
  readonly constants: Payload | undefined;
}

/** A torch.save file with the dict of all tensors. */
const checkpointPayload = (entry: ZipEntry, context: PayloadContext): Payload => {
  if (entry.size === 0) return { dict: { path: '', tensors: new Map() }, findings: [], nested: [] };
  const file = nestedCheckpoint(entry, context);
  const findings = file.findings.filter(({ rule }) => rule !== 'no-tensors');
  return { dict: file.stateDicts[0] ?? { path: '', tensors: new Map() }, findings, nested: [file] };
};

const missing = (label: string, what: string): OrthoError =>
  new OrthoError('checkpoint/invalid', `${label}: the exported program has no ${what}`, {
    hint: 'the archive is incomplete; export the program again',
    at: { file: label },
  });

/** What lies at `data/KIND/`: a checkpoint, or a config beside its files. */
const partOf = (
  kind: 'weights' | 'constants',
  name: string,
  root: string,
  context: PayloadContext,
): Payload | undefined => {
  const folder = `${root}data/${kind}/`;
  const { entries } = context.archive;
  const checkpoint = entries.get(`${folder}${name}.pt`);
  if (checkpoint !== undefined) return checkpointPayload(checkpoint, context);
  const config = entries.get(`${folder}${name}_${kind}_config.json`);
  return config && payloadOf(config, folder, context);
};

/** The names of all models: those that are described, and those that only have weights (compiled packages). */
const modelNames = (archive: ZipArchive, root: string, label: string): string[] => {
  const names = new Set<string>();
  for (const name of archive.entries.keys()) {
    const inner = name.slice(root.length);
    const [, model] =
      /^models\/(.+)\.json$/.exec(inner) ?? /^data\/weights\/(.+)_weights_config\.json$/.exec(inner) ?? [];
    if (model !== undefined) names.add(model);
  }
  if (names.size > MAX_MODELS) {
    throw new OrthoError('file/limit', `${label}: ${names.size} models (at most ${MAX_MODELS})`, {
      hint: 'no archive of exported programs has as many; the file is hostile',
    });
  }
  return [...names].sort((a, b) => Number(b === 'model') - Number(a === 'model'));
};

const textOfEntry = (archive: ZipArchive, name: string): string | undefined => {
  const entry = archive.entries.get(name);
  if (entry === undefined) return undefined;
  return entry.size > 64 ? '' : Buffer.from(entry.data.read(0, entry.size)).toString('latin1').trim();
};

const checkArchive = (archive: ZipArchive, root: string, label: string): void => {
  const format = textOfEntry(archive, `${root}archive_format`);
  const version = textOfEntry(archive, `${root}archive_version`) ?? '0';
  if (format === 'pt2' && version === '0') return;
  throw new OrthoError(
    'checkpoint/unsupported',
    `${label}: an archive of format ${JSON.stringify(format)}, version ${JSON.stringify(version)} ("pt2", "0" is known)`,
    { hint: 'export the program again with a released PyTorch', at: { file: label } },
  );
};

const modelsOf = (context: PayloadContext, root: string): Model[] =>
  modelNames(context.archive, root, context.label).map((name) => {
    const weights = partOf('weights', name, root, context);
    if (weights === undefined) throw missing(context.label, `weights of the model ${JSON.stringify(name)}`);
    const program = context.archive.entries.get(`${root}models/${name}.json`);
    return { name, program, weights, constants: partOf('constants', name, root, context) };
  });

const oldModel = (context: PayloadContext): Model => {
  const part = (name: string): Payload | undefined => {
    const { entries } = context.archive;
    const entry = entries.get(`serialized_${name}.pt`) ?? entries.get(`serialized_${name}.json`);
    return entry && checkpointPayload(entry, context);
  };
  const weights = part('state_dict');
  if (weights === undefined) throw missing(context.label, 'serialized_state_dict.pt');
  const program = context.archive.entries.get(OLD_PROGRAM);
  return { name: 'model', program, weights, constants: part('constants') };
};

/** Sample inputs and objects of classes: torch.export.load unpickles them, beside the weights. */
const isUnpickled = (inner: string): boolean =>
  /^(data\/(sample_inputs\/.+|(weights|constants)\/(custom|opaque)_obj_\d+)|serialized_example_inputs\.\w+)$/.test(
    inner,
  );

/** What they name. */
const surveyOf = ({ archive, label }: PayloadContext, root: string): ReturnType<typeof judge>[] =>
  [...archive.entries.values()]
    .filter(({ name }) => isUnpickled(name.slice(root.length)))
    .map((entry) => {
      checkInflation(entry, label);
      return judge(entry.data, `${label}: ${entry.name}`);
    });

/** The tensors of one model under their final paths. */
const stateDictsOf = ({ name, weights, constants }: Model, isOnly: boolean): StateDict[] =>
  [
    { ...weights.dict, path: isOnly ? '' : name },
    ...(constants === undefined
      ? []
      : [{ ...constants.dict, path: isOnly ? 'constants' : `${name}.constants` }]),
  ].filter(({ tensors, refused }) => tensors.size + (refused?.size ?? 0) > 0);

/**
 * Opens a torch.export archive.
 * @throws OrthoError checkpoint/invalid, checkpoint/refused-global, checkpoint/unsupported, file/limit
 */
export const openPt2 = (source: FileSource, archive: ZipArchive, options: OpenOptions = {}): WeightFile => {
  const label = source.path;
  const isOld = archive.entries.has(OLD_PROGRAM);
  const root = isOld ? '' : rootOf(archive, label);
  if (!isOld) checkArchive(archive, root, label);
  const budget = new DescriptionBudget(archive.bytes);
  const context = { archive, label, bigEndian: isBigEndian(archive, root, label), options, budget };
  const models = isOld ? [oldModel(context)] : modelsOf(context, root);
  const parts = models.flatMap(({ weights, constants }) => (constants ? [weights, constants] : [weights]));
  const survey = options.describe === true ? surveyOf(context, root) : [];
  const findings: Finding[] = [...parts, ...survey].flatMap((part) => part.findings);
  const stateDicts = models.flatMap((model) => stateDictsOf(model, models.length === 1));
  if (stateDicts.length === 0) {
    findings.push({
      level: 'warning',
      rule: 'no-tensors',
      message: 'the exported program holds no tensors (compiled packages keep theirs in libraries)',
      at: { file: label },
    });
  }
  const metadata = new Map<string, Json>();
  const version = isOld ? textOfEntry(archive, 'version') : undefined;
  if (version !== undefined) metadata.set('version', version);
  for (const { name, program } of models) {
    const described =
      program === undefined ? new Map<string, Json>() : programMetadata(program, label, findings, budget);
    if (models.length > 1) metadata.set(name, Object.fromEntries(described));
    else for (const [key, value] of described) metadata.set(key, value);
  }
  const extra = extraFilesOf(archive, isOld ? 'extra_files/' : `${root}extra/`);
  if (extra !== undefined) metadata.set('extra', extra);
  return {
    format: 'pt2',
    stateDicts,
    globals: mergedGlobals([...parts.flatMap(({ nested }) => nested), ...survey]),
    metadata,
    findings,
    checkIntegrity: () => integrityOf(archive, label),
    readFaults: () => damageFindings(archive, label),
    close: () => source.close(),
  };
};
