/** What a remapped state dict is held against: an architecture, or the keys and shapes of another weight file. */
import { existsSync } from 'node:fs';
import type { Architecture } from '../convert/architecture.ts';
import { architectures } from '../convert/architectures/index.ts';
import { dryBuild } from '../convert/build.ts';
import { compareKeys, type ExpectedKey, type KeyComparison } from '../convert/compare-keys.ts';
import { architectureNamed } from '../convert/detect.ts';
import { loadArchitecture } from '../convert/load-architecture.ts';
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
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
    return { label: path, expected, compare: (tensors) => compareKeys(tensors, expected) };
  } finally {
    file.close();
  }
};

/** The architecture's own rules decide: aliases count as matched, keys that inference never reads may be missing. */
const compareWithArchitecture = (architecture: Architecture, tensors: Tensors): KeyComparison => {
  const { parameters, match } = dryBuild(architecture, tensors);
  const nearest = new Map<string, string>();
  for (const key of match.missing.slice(0, 20)) {
    const near = nearestNames(key, match.unexpected, 1)[0];
    if (near !== undefined) nearest.set(key, near);
  }
  const shapeMismatch = match.mismatched.map(({ key }) => ({
    key,
    expected: parameters.requests.get(parameters.canonicalKey(key))?.shape ?? [],
    actual: tensors.get(key)?.dims ?? [],
  }));
  const { matched, missing, unexpected } = match;
  return { matched, missing, unexpected, shapeMismatch, nearest };
};

/** What the network asks for; second names of its tensors follow each, and may be missing. */
const expectedOf = (architecture: Architecture): ExpectedKey[] => {
  const { aliases = [] } = architecture;
  const expected: ExpectedKey[] = [];
  for (const [name, { shape, needed }] of dryBuild(architecture, new Map()).parameters.requests) {
    expected.push({ name, shape, needed });
    for (const { from, to } of aliases) {
      if (!name.startsWith(to)) continue;
      expected.push({ name: from + name.slice(to.length), shape, needed: false, sharedWith: name });
    }
  }
  return expected;
};

const architectureTarget = async (name: string): Promise<Target> => {
  const architecture = await loadArchitecture(name);
  return {
    label: name,
    expected: expectedOf(architecture),
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

const quoted = (keys: readonly string[], nearest?: ReadonlyMap<string, string>): string => {
  const shown = keys.slice(0, 5).map((key) => {
    const near = nearest?.get(key);
    return near === undefined ? `"${key}"` : `"${key}" (nearest: "${near}")`;
  });
  return keys.length > 5 ? `${shown.join(', ')} and ${keys.length - 5} more` : shown.join(', ');
};

/** What the comparison has to say: an error for everything that keeps the keys from being those of the target. */
export const comparisonFindings = (comparison: KeyComparison, against: string): Finding[] => {
  const { matched, missing, unexpected, shapeMismatch, nearest } = comparison;
  const findings: Finding[] = [];
  const error = (rule: string, message: string, hint: string): void => {
    findings.push({ level: 'error', rule, message, hint });
  };
  if (matched.length === 0) {
    error(
      'weights/nothing-matched',
      `no key matches ${against}`,
      'check --strip-prefix, --rename and --state-dict',
    );
  }
  if (missing.length > 0) {
    const text = quoted(missing, nearest);
    error(
      'weights/missing-key',
      `${missing.length} keys of ${against} are missing: ${text}`,
      '--rename, --strip-prefix',
    );
  }
  if (unexpected.length > 0) {
    const text = quoted(unexpected);
    error(
      'weights/unexpected-key',
      `${unexpected.length} keys are unknown to ${against}: ${text}`,
      '--drop GLOB',
    );
  }
  for (const { key, expected, actual } of shapeMismatch.slice(0, 5)) {
    error(
      'weights/shape-mismatch',
      `"${key}" is [${actual.join(', ')}], ${against} has [${expected.join(', ')}]`,
      'the file belongs to another architecture',
    );
  }
  return findings;
};
