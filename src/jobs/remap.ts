/**
 * Rewrites a state dict: reads a weight file, renames, selects and casts its tensors, compares the result with an
 * architecture or another file where asked, and streams it into a new file. Tensors pass through in pieces.
 */
import { type RemapOptions, type RemapResult, remap } from '../convert/remap.ts';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { openWeights } from '../formats/index.ts';
import { pickStateDict, type WeightFile } from '../formats/state-dict.ts';
import type { RemapData } from '../report/schemas/remap.ts';
import { dataFiles } from './data-files.ts';
import { checkOutput } from './output.ts';
import { comparisonFindings, resolveAgainst } from './remap-against.ts';
import { keptMetadata, writerFor, writeWeights } from './remap-output.ts';
import { subjectOf } from './subject.ts';

export interface RemapJobOptions extends RemapOptions {
  readonly source: string;
  /** Its extension names the format: .safetensors, .npz, or .pth (.pt, .bin, .ckpt, .tar). */
  readonly output: string;
  /** Path of the state dict inside the file; the best one when left out. */
  readonly stateDict?: string | undefined;
  /** A registered architecture, a module of one (FILE.mjs), or a weight file whose keys and shapes are to be met. */
  readonly against?: string | undefined;
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

const overflowFindings = ({ casts }: RemapResult, dtype: string): Finding[] =>
  [...casts]
    .filter(([, { overflowed }]) => overflowed > 0)
    .map(([key]) => ({
      level: 'warning',
      rule: 'cast-overflow',
      message: `"${key}" has finite values that are infinite in ${dtype}`,
      hint: 'keep it in float32, or use bfloat16',
      at: { key },
    }));

/**
 * Remaps `source` into `output`. With `against`, a mismatch makes the report not ok and nothing is written.
 * @throws OrthoError checkpoint/no-state-dict, weights/key-collision, dtype/unsupported, usage/*, output/*, and what
 *   openWeights throws
 */
export const remapFile = async (options: RemapJobOptions): Promise<Report<'remap', RemapData>> => {
  const { source, output, against, io = silentIo() } = options;
  const force = options.force === true;
  writerFor(output);
  checkOutput(output, { force, inputs: [source] });
  const file = openWeights(source);
  try {
    const dict = pickStateDict(file, source, options.stateDict);
    checkOutput(output, { force, inputs: dataFiles(dict.tensors.values()) });
    const result = remap(dict, options);
    const { tensors } = result;
    if (tensors.size === 0) {
      throw new OrthoError('checkpoint/no-state-dict', `${source}: --select and --drop leave no tensor`, {
        hint: 'globs are matched against the original keys; ortho inspect lists them',
        at: { file: source },
      });
    }
    const metadata = keptMetadata(file, output);
    const findings = sourceFindings(file, dict.path, result, metadata);
    const target = against === undefined ? undefined : await resolveAgainst(against);
    const comparison = target?.compare(tensors);
    if (target !== undefined && comparison !== undefined)
      findings.push(...comparisonFindings(comparison, target.label));
    if (!findings.some(({ level }) => level === 'error')) {
      await writeWeights(output, tensors, { force, io, metadata });
      if (options.dtype !== undefined) findings.push(...overflowFindings(result, options.dtype));
    }
    const aliases = [...tensors].flatMap(([key, { sharedWith }]) =>
      sharedWith === undefined ? [] : [{ key, sharedWith }],
    );
    return createReport('remap', {
      subject: subjectOf(source, { hash: options.hash === true }),
      findings,
      data: {
        keys: tensors.size,
        renamed: result.renamed,
        dropped: result.dropped,
        aliases,
        against:
          comparison === undefined
            ? null
            : {
                matched: comparison.matched.length,
                missing: comparison.missing,
                unexpected: comparison.unexpected,
                shapeMismatch: comparison.shapeMismatch,
              },
      },
    });
  } finally {
    file.close();
  }
};
