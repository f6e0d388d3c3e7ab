/** What a remapped state dict is held against: an architecture, or the keys and shapes of another weight file. */
import { existsSync } from 'node:fs';
import type { Architecture } from '../convert/architecture.ts';
import { architectures } from '../convert/architectures/index.ts';
import { dryBuild } from '../convert/build.ts';
import {
  compareKeys,
  type ExpectedKey,
  type KeyComparison,
  nearestUnexpected,
} from '../convert/compare-keys.ts';
import { architectureNamed } from '../convert/detect.ts';
import { likelyCauses } from '../convert/likely-causes.ts';
import { loadArchitecture } from '../convert/load-architecture.ts';
import { shapeHint } from '../convert/shape-faults.ts';
import { OrthoError } from '../core/errors.ts';
import { groupKeys, groupText } from '../core/key-groups.ts';
import type { Finding } from '../core/report.ts';
import { openWeights } from '../formats/index.ts';
import { pickStateDict, type WeightTensor } from '../formats/state-dict.ts';

type Tensors = ReadonlyMap<string, WeightTensor>;

/** What `--against` names. No file stays open. */
export interface Target {
  /** As the user wrote it. */
  readonly label: string;
  /** Its keys in its own order. */
  readonly expected: readonly ExpectedKey[];
  readonly isArchitecture: boolean;
  compare(tensors: Tensors): KeyComparison;
}

const fileTarget = (path: string): Target => {
  const file = openWeights(path);
  try {
    const expected = [...pickStateDict(file, path).tensors].map(
      ([name, { dims, dtype, sharedWith }]): ExpectedKey => ({
        name,
        shape: dims,
        dtype,
        ...(sharedWith === undefined ? {} : { sharedWith }),
      }),
    );
    return {
      label: path,
      expected,
      isArchitecture: false,
      compare: (tensors) => compareKeys(tensors, expected),
    };
  } finally {
    file.close();
  }
};

/** The architecture's own rules decide: aliases count as matched, keys that inference never reads may be missing. */
const compareWithArchitecture = (architecture: Architecture, tensors: Tensors): KeyComparison => {
  const { parameters, match } = dryBuild(architecture, tensors);
  const shapeOf = (canonical: string): readonly number[] => parameters.requests.get(canonical)?.shape ?? [];
  const shapeMismatch = match.mismatched.map(({ key }) => ({
    key,
    expected: shapeOf(parameters.canonicalKey(key)),
    actual: tensors.get(key)?.dims ?? [],
  }));
  const { matched, missing, unexpected } = match;
  const nearest = nearestUnexpected(missing, unexpected, shapeOf, tensors);
  return { matched, missing, unexpected, shapeMismatch, nearest };
};

/** What the network asks for; second names of its tensors follow each, and may be missing. */
const expectedOf = (architecture: Architecture): ExpectedKey[] => {
  const { aliases = [] } = architecture;
  const expected: ExpectedKey[] = [];
  for (const [name, { shape, needed }] of dryBuild(architecture, new Map()).parameters.requests) {
    // Any float will do for what is computed with; the counters of batch norms are integers.
    const dtype = name.endsWith('.num_batches_tracked') ? ({ dtype: 'int64' } as const) : {};
    expected.push({ name, shape, needed, ...dtype });
    for (const { from, to } of aliases) {
      if (!name.startsWith(to)) continue;
      expected.push({ name: from + name.slice(to.length), shape, needed: false, sharedWith: name, ...dtype });
    }
  }
  return expected;
};

const architectureTarget = async (name: string): Promise<Target> => {
  const architecture = await loadArchitecture(name);
  return {
    label: name,
    expected: expectedOf(architecture),
    isArchitecture: true,
    compare: (tensors) => compareWithArchitecture(architecture, tensors),
  };
};

/**
 * What `against` names: a registered architecture, a module of one (FILE.mjs), or a weight file.
 * @throws OrthoError usage/unknown-name, and what openWeights and the module throw
 */
export const resolveAgainst = async (against: string): Promise<Target> => {
  const isModule = /\.(mjs|cjs|js|ts|mts)$/.test(against);
  if (isModule || Object.hasOwn(architectures, against)) return architectureTarget(against);
  if (existsSync(against)) return fileTarget(against);
  architectureNamed(against);
  throw new OrthoError('usage/unknown-name', `--against: there is no file or architecture "${against}"`);
};

/** So many lines a message may have for keys or modules; the report's data has all of them. */
const SHOWN = 8;

const listed = (keys: readonly string[], nearest: ReadonlyMap<string, string> = new Map()): string =>
  groupKeys(keys, SHOWN)
    .map((group) => {
      const near = nearest.get(group.pattern);
      return near === undefined ? groupText(group) : `${groupText(group)} (nearest: "${near}")`;
    })
    .join(', ');

const shapeFinding = (
  { shapeMismatch }: KeyComparison,
  label: string,
  tensors: Tensors,
): Finding | undefined => {
  if (shapeMismatch.length === 0) return undefined;
  const shown = shapeMismatch.slice(0, SHOWN).map(({ key, expected, actual }) => {
    const dtype = tensors.get(key)?.dtype;
    // Equal shapes: the type is what does not fit.
    return expected.join() === actual.join()
      ? `"${key}" is ${dtype} [${actual.join(', ')}], which is no float`
      : `"${key}" is [${actual.join(', ')}], expected [${expected.join(', ')}]`;
  });
  const more = shapeMismatch.length - shown.length;
  return {
    level: 'error',
    rule: 'weights/shape-mismatch',
    message: `of another shape than in ${label}: ${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`,
    hint: shapeHint(shapeMismatch),
  };
};

/**
 * What the comparison has to say: the likely causes, then an error for everything that keeps the keys from being those
 * of the target.
 */
export const comparisonFindings = (
  target: Target,
  comparison: KeyComparison,
  tensors: Tensors,
): Finding[] => {
  const { label } = target;
  const { matched, missing, unexpected, nearest } = comparison;
  const causes = likelyCauses(tensors, target, comparison);
  const findings = causes.map(
    ({ message, hint }): Finding => ({ level: 'note', rule: 'likely-cause', message, hint }),
  );
  const error = (rule: string, message: string, hint: string): void => {
    findings.push({ level: 'error', rule, message, hint: causes[0]?.hint ?? hint });
  };
  const count = (keys: readonly string[]): string => (keys.length === 1 ? '1 key' : `${keys.length} keys`);
  if (matched.length === 0) {
    error(
      'weights/nothing-matched',
      `no key matches ${label}`,
      'check --strip-prefix, --rename and --state-dict',
    );
  }
  if (missing.length > 0) {
    // In another architecture a near name means nothing.
    const isForeign = causes.some(({ kind }) => kind === 'architecture');
    const text = listed(missing, isForeign ? undefined : nearest);
    error(
      'weights/missing-key',
      `${count(missing)} of ${label} missing: ${text}`,
      '--rename FROM=TO, or --auto',
    );
  }
  if (unexpected.length > 0) {
    const text = listed(unexpected);
    error('weights/unexpected-key', `${count(unexpected)} unknown to ${label}: ${text}`, '--drop GLOB');
  }
  const shapes = shapeFinding(comparison, label, tensors);
  return shapes === undefined ? findings : [...findings, shapes];
};
