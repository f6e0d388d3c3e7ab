/**
 * Why the keys of a state dict are not those of a target: what was probably done to the file, and the options that undo
 * it. Options are tried on the keys (no data is read), and only what really helps is named.
 */
import { OrthoError } from '../core/errors.ts';
import type { WeightTensor } from '../formats/state-dict.ts';
import { autoMap } from './auto-map.ts';
import type { ExpectedKey, KeyComparison } from './compare-keys.ts';
import { findHidingPrefix, rankArchitectures } from './detect.ts';
import { type PresetName, presets } from './presets/index.ts';
import { type RemapOptions, remap } from './remap.ts';

export interface LikelyCause {
  readonly kind: 'architecture' | 'options' | 'counters' | 'auto';
  /** 0 to 1: how much of the keys fits when the hint is followed. */
  readonly fit: number;
  readonly message: string;
  readonly hint: string;
}

/** What keys are compared with. */
export interface CauseTarget {
  readonly label: string;
  readonly expected: readonly ExpectedKey[];
  /** Whether `label` is an architecture. */
  readonly isArchitecture: boolean;
  compare(tensors: Tensors): KeyComparison;
}

type Tensors = ReadonlyMap<string, WeightTensor>;
type Options = Pick<RemapOptions, 'presets' | 'stripPrefix' | 'addPrefix' | 'rename'>;

/** Prefixes of up to this many levels are taken off or put before. */
const MAX_LEVELS = 3;
/** So many prefixes are tried, the most promising first. */
const MAX_PREFIXES = 4;
/** Options are combined in at most this many steps. */
const MAX_STEPS = 3;
/** From this share of keys on an architecture counts as recognised, or another map as a help. */
const RECOGNISED = 0.7;
/** From this share on nothing more is looked for. */
const EXPLAINED = 0.9;

/** Presets that do more than take one prefix off. */
const PRESETS: readonly PresetName[] = ['torch-compile', 'ddp+compile', 'weight-norm', 'tf-conv'];

const problemsOf = ({ missing, unexpected, shapeMismatch }: KeyComparison): number =>
  missing.length + unexpected.length + shapeMismatch.length;

/** 0 to 1: matched keys over all keys that either side knows. */
const fitOf = (comparison: KeyComparison): number =>
  comparison.matched.length / Math.max(1, comparison.matched.length + problemsOf(comparison));

/** A key cut after its first levels: [what is before, what is left], up to MAX_LEVELS. */
const cuts = (key: string): (readonly [string, string])[] => {
  const found: (readonly [string, string])[] = [['', key]];
  for (let at = key.indexOf('.'); at > 0 && found.length <= MAX_LEVELS; at = key.indexOf('.', at + 1)) {
    found.push([key.slice(0, at + 1), key.slice(at + 1)]);
  }
  return found;
};

/** Prefixes that stand in the file where the target has others, by how many keys that would settle. */
const prefixOptions = ({ missing, unexpected }: KeyComparison): Options[] => {
  const wanted = new Map<string, string[]>();
  for (const key of missing) {
    for (const [before, rest] of cuts(key)) {
      const befores = wanted.get(rest) ?? [];
      wanted.set(rest, befores);
      // What many keys end with says nothing.
      if (befores.length < MAX_PREFIXES) befores.push(before);
    }
  }
  const votes = new Map<string, { from: string; to: string; count: number }>();
  for (const key of unexpected) {
    for (const [from, rest] of cuts(key)) {
      for (const to of wanted.get(rest) ?? []) {
        const name = JSON.stringify([from, to]);
        const vote = votes.get(name) ?? { from, to, count: 0 };
        votes.set(name, vote);
        vote.count++;
      }
    }
  }
  return [...votes.values()]
    .sort((a, b) => b.count - a.count || a.from.length + a.to.length - b.from.length - b.to.length)
    .slice(0, MAX_PREFIXES)
    .map(({ from, to }): Options => {
      if (to === '') return { stripPrefix: [from] };
      return from === '' ? { addPrefix: to } : { rename: [{ from, to }] };
    });
};

const combined = (a: Options, b: Options): Options => ({
  presets: [...(a.presets ?? []), ...(b.presets ?? [])],
  stripPrefix: [...(a.stripPrefix ?? []), ...(b.stripPrefix ?? [])],
  rename: [...(a.rename ?? []), ...(b.rename ?? [])],
  addPrefix: `${b.addPrefix ?? ''}${a.addPrefix ?? ''}`,
});

const shellWord = (text: string): string =>
  /^[\w.,:/=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

const spelled = ({ presets = [], stripPrefix = [], rename = [], addPrefix = '' }: Options): string =>
  [
    ...presets.map((name) => `--preset ${name}`),
    ...stripPrefix.map((prefix) => `--strip-prefix ${shellWord(prefix)}`),
    ...rename.map(({ from, to }) => `--rename ${shellWord(`${from}=${to}`)}`),
    ...(addPrefix === '' ? [] : [`--add-prefix ${shellWord(addPrefix)}`]),
  ].join(' ');

/** The keys after these options; undefined when two would get one name. */
const tryOptions = (tensors: Tensors, target: CauseTarget, options: Options): KeyComparison | undefined => {
  try {
    return target.compare(remap({ path: '', tensors }, options).tensors);
  } catch (error) {
    if (error instanceof OrthoError) return undefined;
    throw error;
  }
};

interface Attempt {
  readonly options: Options;
  readonly comparison: KeyComparison;
}

/** Options that bring the keys nearer to the target, added one by one while that helps. */
const bestOptions = (tensors: Tensors, target: CauseTarget, first: KeyComparison): Attempt | undefined => {
  let best: Attempt = { options: {}, comparison: first };
  // Without torch.compile the second preset takes a prefix off, no more.
  const isCompiled = presets['torch-compile'].rules(tensors).length > 0;
  const useful = PRESETS.filter((name) =>
    name === 'ddp+compile' ? isCompiled : presets[name].rules(tensors).length > 0,
  );
  for (let step = 0; step < MAX_STEPS && problemsOf(best.comparison) > 0; step++) {
    const { options: before, comparison: last } = best;
    // Several renames are better left to --auto.
    const prefixes = prefixOptions(last).filter(
      ({ rename = [] }) => rename.length + (before.rename?.length ?? 0) <= 1,
    );
    for (const more of [...useful.map((name): Options => ({ presets: [name] })), ...prefixes]) {
      const options = combined(before, more);
      const comparison = tryOptions(tensors, target, options);
      if (comparison !== undefined && fitOf(comparison) > fitOf(best.comparison))
        best = { options, comparison };
    }
    if (best.comparison === last) break;
  }
  const gained = best.comparison.matched.length - first.matched.length;
  return gained * 5 >= first.missing.length && gained > 0 ? best : undefined;
};

const outcome = ({ matched, missing, unexpected, shapeMismatch }: KeyComparison): string => {
  const left = [
    [missing.length, 'missing'],
    [unexpected.length, 'unexpected'],
    [shapeMismatch.length, 'of another shape'],
  ] as const;
  const rest = left.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return rest.length === 0
    ? `all ${matched.length} keys match`
    : `${matched.length} keys match (${rest.join(', ')})`;
};

/** Rounded down: only what is complete is 100 %. */
const percent = (value: number): string => `${Math.floor(value * 1000) / 10} %`;

const architectureCause = (tensors: Tensors, target: CauseTarget, fit: number): LikelyCause | undefined => {
  const ranking = rankArchitectures(tensors);
  const own = target.isArchitecture
    ? ranking.find(({ architecture }) => architecture.name === target.label)
    : undefined;
  const [best] = ranking;
  const reached = own?.score ?? fit;
  if (best !== undefined && best.score >= RECOGNISED) {
    if (best.score <= reached) return undefined;
    const { name } = best.architecture;
    return {
      kind: 'architecture',
      fit: best.score,
      message: `the file belongs to another architecture: ${name} explains ${percent(best.score)} of its keys, ${target.label} ${percent(reached)}`,
      hint: `--against ${name}`,
    };
  }
  const hidden = findHidingPrefix(tensors);
  if (hidden === undefined || hidden.candidate.score <= fit) return undefined;
  const { name } = hidden.candidate.architecture;
  if (target.isArchitecture && name === target.label) return undefined;
  return {
    kind: 'architecture',
    fit: hidden.candidate.score,
    message: `below "${hidden.prefix}" the file has another architecture: ${name} explains ${percent(hidden.candidate.score)} of its keys, ${target.label} ${percent(reached)}`,
    hint: `--strip-prefix ${shellWord(hidden.prefix)} --against ${name}`,
  };
};

/** Files written before PyTorch 0.4.1. */
const counterCause = ({ missing, unexpected, shapeMismatch }: KeyComparison): LikelyCause | undefined => {
  const areCounters = missing.length > 0 && missing.every((key) => key.endsWith('num_batches_tracked'));
  if (!areCounters || unexpected.length + shapeMismatch.length > 0) return undefined;
  return {
    kind: 'counters',
    fit: 1,
    message: `only the ${missing.length} counters of batch norms (num_batches_tracked) are missing, which PyTorch writes since 0.4.1 and inference does not need`,
    hint: 'load it with strict=False, or compare with an architecture (--against NAME), where counters may be missing',
  };
};

const autoCause = (
  tensors: Tensors,
  { expected, label }: CauseTarget,
  fit: number,
): LikelyCause | undefined => {
  const map = autoMap(tensors, expected);
  if (map.score < RECOGNISED || map.score <= fit) return undefined;
  const open = map.ambiguous.reduce((sum, { from }) => sum + from.length, 0);
  const rest = open === 0 ? '' : `; ${open} more could be exchanged for each other`;
  return {
    kind: 'auto',
    fit: map.score,
    message: `by shapes, names and order, ${map.pairs.size} of ${tensors.size} keys correspond to keys of ${label}${rest}`,
    hint: '--auto gives them those names',
  };
};

/** The likely causes, the one that explains most first; none when everything fits. */
export const likelyCauses = (
  tensors: Tensors,
  target: CauseTarget,
  comparison: KeyComparison,
): LikelyCause[] => {
  if (problemsOf(comparison) === 0) return [];
  const before = fitOf(comparison);
  const best = bestOptions(tensors, target, comparison);
  const fit = best === undefined ? before : fitOf(best.comparison);
  const counters = fit < 1 ? counterCause(comparison) : undefined;
  const architecture = fit < 1 ? architectureCause(tensors, target, fit) : undefined;
  const isExplained = counters !== undefined || architecture !== undefined || fit >= EXPLAINED;
  const auto = isExplained || comparison.missing.length === 0 ? undefined : autoCause(tensors, target, fit);
  const hint = best === undefined ? '' : spelled(best.options);
  const options: LikelyCause | undefined = best && {
    kind: 'options',
    fit,
    message: `with ${hint} ${outcome(best.comparison)}`,
    hint,
  };
  return [architecture, options, counters, auto]
    .filter((cause) => cause !== undefined)
    .sort((a, b) => b.fit - a.fit);
};
