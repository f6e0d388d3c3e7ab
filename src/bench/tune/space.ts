/**
 * What is searched. Every axis below changes what the runtime really does (session options that it accepts and ignores
 * are not among them); the first value of an axis is the runtime's default and needs no choice.
 *
 * The pool of a search is: each single choice, then all combinations of threads and spinning, the axes that depend on each
 * other most, then these with every level. What else goes together is joined during the search.
 */
import type { SessionOptions } from '../../runtime/session.ts';
import { type Choice, type Choices, keyOf, sessionOptionsOf } from './configuration.ts';

/** What the ways to share processors depend on. */
export interface SpaceOptions {
  readonly models: number;
  /** Processors to use. */
  readonly cores: number;
}

/** Ways to split cores between models that are tried at most. */
const MOST_SPLITS = 12;

const everywhere = (axis: string, name: string, options: SessionOptions, models: number): Choice => ({
  axis,
  name,
  options: Array.from({ length: models }, () => options),
});

const perModel = (threads: readonly (number | undefined)[]): Choice => ({
  axis: 'threads',
  name: `threads ${threads.map((count) => count ?? 'default').join(' + ')}`,
  options: threads.map((count) => (count === undefined ? {} : { threads: count })),
});

/** 1, 2, 4… and the number of cores. */
export const threadCounts = (cores: number): number[] => {
  const counts: number[] = [];
  for (let count = 1; count < cores; count *= 2) counts.push(count);
  return [...counts, cores];
};

/** Ways to give each of `parts` at least one of `cores`, the even ones first. */
const splitsOf = (cores: number, parts: number): number[][] => {
  let partial: number[][] = [[]];
  for (let part = 0; part < parts; part++) {
    const isLast = part === parts - 1;
    partial = partial.flatMap((split) => {
      const left = cores - split.reduce((sum, count) => sum + count, 0) - (parts - part - 1);
      if (left < 1) return [];
      // Many models and many cores have more splits than can be tried: only those of powers of two are made.
      const counts = isLast ? [left] : threadCounts(left);
      return counts.map((count) => [...split, count]);
    });
    partial = partial.slice(0, 4096);
  }
  const unevenness = (split: readonly number[]): number => Math.max(...split) - Math.min(...split);
  return partial.toSorted((a, b) => unevenness(a) - unevenness(b)).slice(0, MOST_SPLITS);
};

const threadChoices = ({ models, cores }: SpaceOptions): Choice[] => {
  const uniform = threadCounts(cores).map((count) => Array.from({ length: models }, () => count));
  if (models === 1) return uniform.map(perModel);
  const single = Array.from({ length: models }, (_, model) =>
    Array.from({ length: models }, (_, other) => (other === model ? 1 : undefined)),
  );
  const all = [...uniform, ...splitsOf(cores, models), ...single].map(perModel);
  return [...new Map(all.map((choice) => [choice.name, choice])).values()];
};

/** Choices by axis: those that usually matter most come first, as time may be short. */
const axesOf = (space: SpaceOptions): Map<string, Choice[]> => {
  const { models, cores } = space;
  const one = (axis: string, name: string, options: SessionOptions): Choice =>
    everywhere(axis, name, options, models);
  const branches = [...new Set([2, cores])].filter((count) => count > 1 && count <= cores);
  return new Map([
    [
      'spinning',
      [
        one('spinning', 'spinning stop', { spinning: 'stop' }),
        one('spinning', 'spinning off', { spinning: 'off' }),
      ],
    ],
    ['threads', threadChoices(space)],
    [
      'level',
      [
        one('level', 'all without NchwcTransformer', { disabledOptimizers: ['NchwcTransformer'] }),
        one('level', 'level extended', { level: 'extended' }),
        one('level', 'level basic', { level: 'basic' }),
      ],
    ],
    ['arena', [one('arena', 'no arena', { arena: false })]],
    ['memPattern', [one('memPattern', 'no memory pattern', { memPattern: false })]],
    ['prepacking', [one('prepacking', 'no prepacking', { prepacking: false })]],
    [
      'mode',
      branches.map((count) =>
        one('mode', `parallel, ${count} branches`, { parallel: true, interOpThreads: count }),
      ),
    ],
  ]);
};

/** All combinations of one choice or none on each of these axes. */
const gridOf = (axes: ReadonlyMap<string, readonly Choice[]>, names: readonly string[]): Choices[] => {
  let grid: Choices[] = [[]];
  for (const name of names) {
    grid = grid.flatMap((choices) => [choices, ...axes.get(name)!.map((choice) => [...choices, choice])]);
  }
  return grid;
};

/** Configurations that differ from the default and from each other, in the order in which they should be tried. */
export const poolOf = (space: SpaceOptions): Choices[] => {
  const axes = axesOf(space);
  const singles = [...axes.values()].flatMap((choices) => choices.map((choice): Choices => [choice]));
  const sharing = gridOf(axes, ['threads', 'spinning']);
  return distinct([...singles, ...sharing, ...gridOf(axes, ['threads', 'spinning', 'level'])], space.models);
};

/** Drops those that run the models like one before, or like the default configuration. */
export const distinct = (
  pool: readonly Choices[],
  models: number,
  known: Iterable<string> = [],
): Choices[] => {
  const seen = new Set([...known, keyOf(sessionOptionsOf([], models))]);
  return pool.filter((choices) => {
    const key = keyOf(sessionOptionsOf(choices, models));
    return !seen.has(key) && seen.add(key) !== undefined;
  });
};
