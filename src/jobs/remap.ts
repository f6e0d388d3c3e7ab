/**
 * Rewrites a state dict: reads a weight file, renames, selects, transforms and casts its tensors, compares the result with
 * an architecture or another file where asked, and streams it into a new file. Tensors pass through in pieces.
 */
import { existsSync } from 'node:fs';
import { type AutoMap, autoMap } from '../convert/auto-map.ts';
import { type PresetName, presets } from '../convert/presets/index.ts';
import { type RemapOptions, type RemapResult, remap } from '../convert/remap.ts';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { openWeights } from '../formats/index.ts';
import { pickStateDict, type StateDict, type WeightFile } from '../formats/state-dict.ts';
import type { RemapData } from '../report/schemas/remap.ts';
import { dataFiles } from './data-files.ts';
import { readMapping } from './mapping-file.ts';
import { checkOutput } from './output.ts';
import { comparisonFindings, resolveAgainst } from './remap-against.ts';
import { keptMetadata, writerFor, writeWeights } from './remap-output.ts';
import { subjectOf } from './subject.ts';

export interface RemapJobOptions extends Omit<RemapOptions, 'matchKeys' | 'mayLack'> {
  readonly source: string;
  /** Its extension names the format: .safetensors, .npz, or .pth (.pt, .bin, .ckpt, .tar). Needed but for a dry run. */
  readonly output?: string | undefined;
  /** A mapping file; in place of `rules`. */
  readonly mapping?: string | undefined;
  /** Path of the state dict inside the file; the best one when left out. */
  readonly stateDict?: string | undefined;
  /** A registered architecture, a module of one (FILE.mjs), or a weight file whose keys and shapes are to be met. */
  readonly against?: string | undefined;
  /** Find new names for all keys by comparison with `against`. */
  readonly auto?: boolean;
  /** Everything but the write. */
  readonly dryRun?: boolean;
  /** Bytes of tensors in one output file; more are spread over shards with an index. One file when left out. */
  readonly maxShard?: number | undefined;
  readonly force?: boolean;
  readonly hash?: boolean;
  readonly io?: JobIo;
}

const quoted = (keys: readonly string[]): string => {
  const shown = keys.slice(0, 5).map((key) => `"${key}"`);
  return keys.length > 5 ? `${shown.join(', ')} and ${keys.length - 5} more` : shown.join(', ');
};

const sourceFindings = (
  file: WeightFile,
  used: string,
  result: RemapResult,
  kept: ReadonlyMap<string, string>,
): Finding[] => {
  const findings: Finding[] = [...file.findings];
  const others = file.stateDicts.map(({ path }) => path).filter((path) => path !== used);
  if (others.length > 0) {
    const shown = others.slice(0, 5).map((path) => (path === '' ? '"" (top level)' : `"${path}"`));
    findings.push({
      level: 'note',
      rule: 'other-state-dicts',
      message: `the state dict "${used}" was taken; the file also has ${shown.join(', ')}`,
      hint: '--state-dict PATH takes another one',
    });
  }
  // What safetensors calls its format is no metadata of the weights.
  const beside = [...file.metadata.keys()].filter(
    (key) => !others.includes(key) && !kept.has(key) && !(file.format === 'safetensors' && key === 'format'),
  );
  if (beside.length > 0) {
    findings.push({
      level: 'note',
      rule: 'metadata-left',
      message: `entries beside the state dict are not copied: ${quoted(beside)}`,
    });
  }
  if (result.unused.length > 0) {
    findings.push({
      level: 'warning',
      rule: 'unused-rule',
      message: `no key fits ${quoted(result.unused)}`,
      hint: 'ortho inspect lists the keys',
    });
  }
  return findings;
};

const overflowFindings = ({ casts }: RemapResult): Finding[] =>
  casts
    .filter(({ tally }) => tally.overflowed > 0)
    .map(({ key, dtype }) => ({
      level: 'warning',
      rule: 'cast-overflow',
      message: `"${key}" has finite values that are infinite in ${dtype}`,
      hint: 'keep it in float32, or use bfloat16',
      at: { key },
    }));

/** @throws OrthoError usage/* for options that need or exclude each other */
const checkOptions = (options: RemapJobOptions): void => {
  const { output, mapping, rules, invert, against, auto, dryRun } = options;
  const conflict = (message: string, hint: string): OrthoError =>
    new OrthoError('usage/conflict', message, { hint });
  if (invert === true && mapping === undefined && rules === undefined) {
    throw conflict('--invert turns a mapping round, and there is none', 'give it with --mapping FILE.json');
  }
  if (mapping !== undefined && rules !== undefined)
    throw conflict('mapping and rules are both given', 'give one');
  if (auto === true && against === undefined) {
    throw conflict(
      '--auto needs the keys that are wanted',
      'name them with --against FILE or --against ARCHITECTURE',
    );
  }
  if (output === undefined && dryRun !== true) {
    throw new OrthoError('usage/option', '-o, --output OUT is missing', {
      hint: 'where the result goes; or --dry-run',
    });
  }
};

/** The state dict that is asked for, or that a preset prefers, or the best. */
const chooseStateDict = (
  file: WeightFile,
  { source, stateDict, presets: names = [] }: RemapJobOptions,
): { readonly dict: StateDict; readonly preset?: PresetName } => {
  if (stateDict === undefined) {
    for (const name of names) {
      const { stateDicts = [] }: { readonly stateDicts?: readonly string[] } = presets[name];
      for (const path of stateDicts) {
        const dict = file.stateDicts.find((one) => one.path === path || one.path.startsWith(`${path}.`));
        if (dict !== undefined) return { dict, preset: name };
      }
    }
  }
  return { dict: pickStateDict(file, source, stateDict) };
};

const autoFindings = ({ ambiguous, hints, score }: AutoMap, against: string): Finding[] => {
  const findings = hints.map((message): Finding => ({ level: 'note', rule: 'auto-hint', message }));
  const shown = ambiguous.slice(0, 5).map(
    ({ from, to, reason }): Finding => ({
      level: 'error',
      rule: 'weights/ambiguous',
      message: `${quoted(from)} could each be any of ${quoted(to)}: ${reason}`,
      hint: 'settle it with --rename or --mapping',
    }),
  );
  const others = ambiguous.length - shown.length;
  if (others > 0) {
    shown.push({
      level: 'error',
      rule: 'weights/ambiguous',
      message: `and ${others} more groups like these`,
    });
  }
  const percent = (score * 100).toFixed(1);
  return [
    {
      level: 'note',
      rule: 'auto-score',
      message: `${percent} % of the keys of both sides pair up with ${against}`,
    },
    ...findings,
    ...shown,
  ];
};

const outcomeOf = (
  result: RemapResult,
): Pick<RemapData, 'keys' | 'renamed' | 'dropped' | 'aliases' | 'transformed'> => ({
  keys: result.tensors.size,
  renamed: result.renamed,
  dropped: result.dropped,
  aliases: [...result.tensors].flatMap(([key, { sharedWith }]) =>
    sharedWith === undefined ? [] : [{ key, sharedWith }],
  ),
  transformed: result.transformed,
});

const autoData = ({ pairs: _pairs, carried: _carried, ...rest }: AutoMap): RemapData['auto'] => rest;

/**
 * Remaps `source` into `output`. With `against`, a mismatch makes the report not ok and nothing is written.
 * @throws OrthoError checkpoint/no-state-dict, weights/key-collision, weights/missing-key, weights/shape-mismatch,
 *   dtype/unsupported, config/invalid, usage/*, output/*, and what openWeights throws
 */
export const remapFile = async (options: RemapJobOptions): Promise<Report<'remap', RemapData>> => {
  const { source, output, against, maxShard, io = silentIo() } = options;
  const force = options.force === true;
  const dryRun = options.dryRun === true;
  checkOptions(options);
  const inputs = [
    source,
    options.mapping ?? source,
    ...(against !== undefined && existsSync(against) ? [against] : []),
  ];
  if (output !== undefined) {
    writerFor(output, { maxShard });
    checkOutput(output, { force, inputs });
  }
  const rules = options.mapping === undefined ? options.rules : readMapping(options.mapping);
  const target = against === undefined ? undefined : await resolveAgainst(against);
  const file = openWeights(source);
  try {
    const { dict, preset } = chooseStateDict(file, options);
    if (output !== undefined) checkOutput(output, { force, inputs: dataFiles(dict.tensors.values()) });
    let auto: AutoMap | undefined;
    const matchKeys: RemapOptions['matchKeys'] = (tensors) => {
      auto = autoMap(tensors, target?.expected ?? []);
      return auto.ambiguous.length > 0 ? new Map() : new Map([...auto.pairs, ...auto.carried]);
    };
    const mapped = remap(dict, {
      ...options,
      ...(rules === undefined ? {} : { rules }),
      matchKeys: options.auto === true ? matchKeys : undefined,
    });
    const result = { ...mapped, unused: mapped.unused.filter((rule) => rule !== `--preset ${preset}`) };
    const { tensors } = result;
    if (tensors.size === 0) {
      throw new OrthoError('checkpoint/no-state-dict', `${source}: the selection leaves no tensor`, {
        hint: '--select and --drop match the original keys; ortho inspect lists them',
        at: { file: source },
      });
    }
    const metadata = output === undefined ? new Map<string, string>() : keptMetadata(file, output);
    const findings = sourceFindings(file, dict.path, result, metadata);
    if (auto !== undefined && against !== undefined) findings.push(...autoFindings(auto, against));
    const comparison = target?.compare(tensors);
    if (target !== undefined && comparison !== undefined)
      findings.push(...comparisonFindings(target, comparison, tensors));
    let written: RemapData['output'] = null;
    if (output !== undefined && !dryRun && !findings.some(({ level }) => level === 'error')) {
      const { findings: notes, ...rest } = await writeWeights(output, tensors, {
        force,
        io,
        metadata,
        maxShard,
        inputs,
      });
      written = rest;
      findings.push(...notes);
      findings.push(...overflowFindings(result), ...(file.readFaults?.() ?? []));
    }
    return createReport('remap', {
      subject: subjectOf(source, { hash: options.hash === true }),
      findings,
      data: {
        ...outcomeOf(result),
        against:
          comparison === undefined
            ? null
            : {
                matched: comparison.matched.length,
                missing: comparison.missing,
                unexpected: comparison.unexpected,
                shapeMismatch: comparison.shapeMismatch,
              },
        auto: auto === undefined ? null : autoData(auto),
        output: written,
        dryRun,
        tensors: dryRun
          ? [...tensors].map(([name, { dtype, dims }]) => ({ name, dtype, shape: dims }))
          : null,
      },
    });
  } finally {
    file.close();
  }
};
