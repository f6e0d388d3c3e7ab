/**
 * diff: what differs between the weights of two files. `failOn` says which differences make the report not ok:
 * `shape`: keys (added, removed, renamed) or shapes; `value`: these, or values beyond the tolerance, or tensors that could
 * not be compared; `any`: these, or element types, bits, or names that share a tensor in one file only. Metadata never.
 */
import { setImmediate } from 'node:timers/promises';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { diffWeights } from '../inspect/diff-weights.ts';
import type { DiffData } from '../report/schemas/diff.ts';
import { parseTolerances, toleranceFor } from '../verify/tolerance.ts';
import { subjectOf } from './subject.ts';
import { openWeightInput, type WeightInput } from './weight-input.ts';

/** Which differences make the report not ok. */
export type FailOn = 'any' | 'shape' | 'value';

export interface DiffOptions {
  readonly a: string;
  readonly b: string;
  /** The state dict of both files; `stateDictA` and `stateDictB` come first. The best one when left out. */
  readonly stateDict?: string | undefined;
  readonly stateDictA?: string | undefined;
  readonly stateDictB?: string | undefined;
  readonly keys?: readonly string[];
  readonly stripPrefix?: readonly string[];
  /** `[KEY=]atol:1e-6,rtol:1e-5`; without a word floats must be equal too. */
  readonly tolerance?: readonly string[];
  readonly failOn?: FailOn | undefined;
  readonly hash?: boolean;
  readonly io?: JobIo;
}

/** Longest stretch of work before signals are looked at. */
const BREATH_MS = 50;

/** Runs the steps of a comparison; shows progress, and lets an interruption through. */
const runSteps = async <R>(steps: Generator<number, R>, io: JobIo): Promise<R> => {
  let since = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - since < BREATH_MS) continue;
    io.progress('comparing', step.value);
    await setImmediate();
    io.signal.throwIfAborted();
    since = performance.now();
  }
};

const sourceFindings = (input: WeightInput, path: string, isChosen: boolean): Finding[] => {
  const findings: Finding[] = input.findings.map((finding) => ({
    ...finding,
    at: { file: path, ...finding.at },
  }));
  if (input.others.length > 0 && !isChosen) {
    const others = input.others.slice(0, 5).map((other) => JSON.stringify(other));
    findings.push({
      level: 'note',
      rule: 'other-state-dicts',
      message: `the state dict at "${input.dict.path}" was compared; there ${others.length === 1 ? 'is' : 'are'} also ${others.join(', ')}`,
      hint: 'choose with --state-dict, --state-dict-a, --state-dict-b',
      at: { file: path },
    });
  }
  return findings;
};

const metadataDifferences = (a: WeightInput, b: WeightInput): DiffData['metadata'] => {
  const keys = new Set([...a.metadata.keys(), ...b.metadata.keys()]);
  return [...keys]
    .filter((key) => JSON.stringify(a.metadata.get(key)) !== JSON.stringify(b.metadata.get(key)))
    .map((key) => ({
      key,
      ...(a.metadata.has(key) ? { a: a.metadata.get(key) } : {}),
      ...(b.metadata.has(key) ? { b: b.metadata.get(key) } : {}),
    }));
};

const few = (names: readonly string[], count = 3): string => {
  const shown = names.slice(0, count).map((name) => JSON.stringify(name));
  return names.length > count ? `${shown.join(', ')} and ${names.length - count} more` : shown.join(', ');
};

type Parts = Omit<DiffData, 'a' | 'b'>;

const contentFindings = ({ sharing, notCompared, prefix, renamed, metadata, changed }: Parts): Finding[] => {
  const findings: Finding[] = [];
  const note = (rule: string, message: string, hint?: string, level: Finding['level'] = 'note'): void => {
    findings.push({ level, rule, message, ...(hint === undefined ? {} : { hint }) });
  };
  if (prefix !== null && prefix.equal < prefix.keys) {
    note(
      'prefix',
      `${prefix.keys} keys of ${prefix.of === 'a' ? 'A' : 'B'} are those of the other file after "${prefix.prefix}", ${prefix.keys - prefix.equal} of them with another content`,
      `--strip-prefix ${prefix.prefix} compares them`,
    );
  }
  const lost = changed.filter(({ values }) => (values?.nonFinite.differing ?? 0) > 0);
  if (lost.length > 0) {
    const names = few(lost.map(({ name }) => name));
    note('non-finite', `NaN or infinite on one side only: elements of ${names}`, undefined, 'warning');
  }
  for (const { keys, sharedIn } of sharing) {
    const [one, other] = sharedIn === 'a' ? ['A', 'B'] : ['B', 'A'];
    note('sharing', `one tensor in ${one}, separate ones in ${other}: ${few(keys)}`);
  }
  const ambiguous = renamed.filter((pair) => pair.ambiguous === true).length;
  if (ambiguous > 0) {
    note(
      'ambiguous-rename',
      `${ambiguous} of the renamed tensors have the same content as others; they are paired by name and order`,
    );
  }
  if (notCompared.length > 0) {
    const names = few(notCompared.map(({ name }) => name));
    note('not-compared', `tensors without values were not compared: ${names}`, undefined, 'warning');
  }
  if (metadata.length > 0) note('metadata', `metadata differs: ${few(metadata.map(({ key }) => key))}`);
  return findings;
};

const failures = (failOn: FailOn, { totals, changed, sharing }: Parts): string[] => {
  const count = (what: string): number => changed.filter((change) => change.what === what).length;
  const found: (readonly [number, string])[] = [
    [totals.added, 'added'],
    [totals.removed, 'removed'],
    [totals.renamed, 'renamed'],
    [count('shape'), 'of another shape'],
  ];
  if (failOn !== 'shape')
    found.push([count('values'), 'with other values'], [totals.notCompared, 'not compared']);
  if (failOn === 'any') {
    found.push(
      [count('dtype'), 'of another dtype'],
      [count('bits'), 'with other bits'],
      [sharing.length, 'shared in one file only'],
    );
  }
  return found.flatMap(([number, text]) => (number === 0 ? [] : [`${number} ${text}`]));
};

/**
 * Compares the weights of two files: checkpoints, safetensors, npz, or the initializers of ONNX models.
 * @throws OrthoError what opening either file throws, checkpoint/no-state-dict when no key takes part,
 *   weights/key-collision, usage/option for a malformed tolerance
 */
export const diffFiles = async (options: DiffOptions): Promise<Report<'diff', DiffData>> => {
  const { a: pathA, b: pathB, stateDict, failOn, io = silentIo() } = options;
  const { stateDictA = stateDict, stateDictB = stateDict, hash = false } = options;
  const { general, byOutput } = parseTolerances(options.tolerance ?? []);
  const tolerances = {
    general: general ?? { atol: 0, rtol: 0, ofMax: 0 },
    ...(byOutput === undefined ? {} : { byOutput }),
  };
  const open: WeightInput[] = [];
  try {
    const a = openWeightInput(pathA, stateDictA);
    open.push(a);
    const b = openWeightInput(pathB, stateDictB);
    open.push(b);
    const steps = diffWeights(a.dict, b.dict, {
      ...(options.keys === undefined ? {} : { keys: options.keys }),
      ...(options.stripPrefix === undefined ? {} : { stripPrefix: options.stripPrefix }),
      toleranceFor: (key, dtype) => toleranceFor(key, dtype, tolerances),
    });
    const { tensors, ...diff } = await runSteps(steps, io);
    if (tensors.a + tensors.b === 0 && (options.keys ?? []).length > 0) {
      throw new OrthoError('checkpoint/no-state-dict', `--keys fits no key of ${pathA} or ${pathB}`, {
        hint: 'ortho inspect lists the keys',
      });
    }
    const parts: Parts = { ...diff, metadata: metadataDifferences(a, b) };
    const findings = [
      ...sourceFindings(a, pathA, stateDictA !== undefined),
      ...sourceFindings(b, pathB, stateDictB !== undefined),
      ...contentFindings(parts),
    ];
    const failed = failOn === undefined ? [] : failures(failOn, parts);
    if (failed.length > 0) {
      findings.push({
        level: 'error',
        rule: `differs-in-${failOn}`,
        message: `--fail-on ${failOn}: ${failed.join(', ')}`,
      });
    }
    const subject = subjectOf(pathA, { hash });
    const side = ({ format, dict }: WeightInput, { file, sha256, bytes }: typeof subject, count: number) => ({
      file,
      format,
      stateDict: dict.path,
      sha256,
      bytes,
      tensors: count,
    });
    return createReport('diff', {
      subject,
      findings,
      data: {
        a: side(a, subject, tensors.a),
        b: side(b, subjectOf(pathB, { hash }), tensors.b),
        ...parts,
      },
    });
  } finally {
    for (const input of open) input.close();
  }
};
