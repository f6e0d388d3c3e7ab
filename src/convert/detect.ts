/**
 * Which architecture a state dict belongs to: every one is built dry on its keys, and the one that explains most of
 * them wins.
 */
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import type { WeightTensor } from '../formats/state-dict.ts';
import type { Architecture } from './architecture.ts';
import { architectures } from './architectures/index.ts';
import { dryBuild } from './build.ts';
import { type KeyMatch, scoreOf } from './match.ts';

export interface Candidate {
  readonly architecture: Architecture;
  readonly match: KeyMatch;
  /** 0 to 1; see scoreOf. */
  readonly score: number;
}

/** From this share of explained keys on a checkpoint counts as recognised: a few renamed or missing keys are faults of
 * the file, but a later generation of the same network (0.6 and less for the pairs known here) is another architecture. */
const RECOGNISED = 0.7;

/** How well one architecture explains the keys. No weight is read. */
export const judge = (architecture: Architecture, tensors: ReadonlyMap<string, WeightTensor>): Candidate => {
  const { match } = dryBuild(architecture, tensors);
  return { architecture, match, score: scoreOf(match) };
};

/** All architectures of the registry, best first; equals stay in registry order. */
export const rankArchitectures = (tensors: ReadonlyMap<string, WeightTensor>): Candidate[] =>
  Object.values<Architecture>(architectures)
    .map((architecture) => judge(architecture, tensors))
    .sort((a, b) => b.score - a.score);

/**
 * The architecture that explains the keys best, if it explains them well enough. The first that explains them all
 * ends the search: none can do better.
 */
export const detectArchitecture = (tensors: ReadonlyMap<string, WeightTensor>): Candidate | undefined => {
  let best: Candidate | undefined;
  for (const architecture of Object.values<Architecture>(architectures)) {
    const candidate = judge(architecture, tensors);
    if (candidate.score > (best?.score ?? 0)) best = candidate;
    if (candidate.score === 1) break;
  }
  return best !== undefined && best.score >= RECOGNISED ? best : undefined;
};

/** Why no architecture was found: the nearest one, and what speaks against it. */
export const noArchitectureError = (file: string, tensors: ReadonlyMap<string, WeightTensor>): OrthoError => {
  const [best] = rankArchitectures(tensors);
  const why =
    best === undefined || best.match.used.length === 0
      ? 'none of them shares a key with this state dict'
      : `nearest: ${best.architecture.name}, where ${best.match.used.length} keys match, ${best.match.missing.length} are missing${firstOf(best.match.missing)} and ${best.match.unexpected.length + best.match.mismatched.length} do not fit${firstOf([...best.match.unexpected, ...best.match.mismatched.map(({ key }) => key)])}`;
  return new OrthoError('convert/no-architecture', `${file}: no known architecture has these keys; ${why}`, {
    at: { file },
    hint: `--architecture takes one of ${Object.keys(architectures).join(', ')}, or a module of your own (FILE.mjs)`,
  });
};

const firstOf = (keys: readonly string[]): string => (keys.length === 0 ? '' : ` (first: "${keys[0]}")`);

/** Components of a prefix that is tried. */
const MAX_PREFIX_DEPTH = 3;

/** Prefixes of a few components that at least half of the keys share, the shortest first. */
function* commonPrefixes(tensors: ReadonlyMap<string, WeightTensor>): Generator<string> {
  let prefix = '';
  for (let depth = 0; depth < MAX_PREFIX_DEPTH; depth++) {
    const counts = new Map<string, number>();
    for (const key of tensors.keys()) {
      const end = key.startsWith(prefix) ? key.indexOf('.', prefix.length) : -1;
      if (end >= 0) counts.set(key.slice(0, end + 1), (counts.get(key.slice(0, end + 1)) ?? 0) + 1);
    }
    const common = [...counts].sort((a, b) => b[1] - a[1])[0];
    if (common === undefined || common[1] * 2 < tensors.size) return;
    prefix = common[0];
    yield prefix;
  }
}

const withoutPrefix = (
  tensors: ReadonlyMap<string, WeightTensor>,
  prefix: string,
): ReadonlyMap<string, WeightTensor> =>
  prefix === ''
    ? tensors
    : new Map(
        [...tensors].map(([key, tensor]) => [
          key.startsWith(prefix) ? key.slice(prefix.length) : key,
          tensor,
        ]),
      );

/**
 * The prefix that hides an architecture: stripping it from the keys makes one recognisable (or makes `wanted` fit).
 * Prefixes of up to three components that at least half of the keys share are tried.
 */
export const findHidingPrefix = (
  tensors: ReadonlyMap<string, WeightTensor>,
  wanted?: Architecture,
): { readonly prefix: string; readonly candidate: Candidate } | undefined => {
  for (const prefix of commonPrefixes(tensors)) {
    const stripped = withoutPrefix(tensors, prefix);
    const candidate = wanted === undefined ? detectArchitecture(stripped) : judge(wanted, stripped);
    if (candidate !== undefined && candidate.score >= RECOGNISED) return { prefix, candidate };
  }
  return undefined;
};

/** The best of the architectures that have a landmark among these keys. */
const bestByLandmarks = (
  tensors: ReadonlyMap<string, WeightTensor>,
  prefix: string,
): Candidate | undefined => {
  const likely = Object.values<Architecture>(architectures).filter(
    ({ landmarks }) => landmarks?.some((key) => tensors.has(prefix + key)) ?? true,
  );
  const stripped = likely.length === 0 ? tensors : withoutPrefix(tensors, prefix);
  let best: Candidate | undefined;
  for (const architecture of likely) {
    const candidate = judge(architecture, stripped);
    if (candidate.score > (best?.score ?? 0)) best = candidate;
    if (candidate.score === 1) break;
  }
  return best;
};

/** An architecture that may be that of a state dict. */
export interface ClosestArchitecture {
  readonly candidate: Candidate;
  /** What has to be stripped from the keys; '' for nothing. */
  readonly prefix: string;
  /** Whether the keys count as its own. */
  readonly isRecognised: boolean;
}

/**
 * The architecture that comes closest to these keys, however far it is; undefined when the keys have no landmark of
 * any. Cheap for keys that belong to none.
 */
export const closestArchitecture = (
  tensors: ReadonlyMap<string, WeightTensor>,
): ClosestArchitecture | undefined => {
  let best: ClosestArchitecture | undefined;
  for (const prefix of ['', ...commonPrefixes(tensors)]) {
    const candidate = bestByLandmarks(tensors, prefix);
    if (candidate === undefined || candidate.score <= (best?.candidate.score ?? 0)) continue;
    best = { candidate, prefix, isRecognised: candidate.score >= RECOGNISED };
    if (best.isRecognised) break;
  }
  return best;
};

/** The architecture of this name. @throws OrthoError usage/unknown-name */
export const architectureNamed = (name: string): Architecture => {
  const found = Object.hasOwn(architectures, name)
    ? (architectures as Readonly<Record<string, Architecture>>)[name]
    : undefined;
  if (found !== undefined) return found;
  const near = nearestNames(name, Object.keys(architectures))[0];
  throw new OrthoError('usage/unknown-name', `no architecture is named "${name}"`, {
    hint: `${near === undefined ? '' : `nearest: "${near}"; `}there are ${Object.keys(architectures).join(', ')}; a module of your own is given as FILE.mjs`,
  });
};
