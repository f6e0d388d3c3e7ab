/** What an optimisation is asked to do: where the result must run, which level and which passes that means. */
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import { type PassName, passes, passNames } from '../passes/index.ts';
import type { Pass } from '../passes/pass.ts';
import type { Level } from '../runtime/session.ts';

interface TargetRules {
  readonly summary: string;
  /** The levels of the runtime that give such a model. */
  readonly levels: readonly Level[];
  /** The one that is taken by default. */
  readonly level: Level;
  /** Rewrites of the runtime that must not run. */
  readonly disabledOptimizers: readonly string[];
}

/** Where the result must run. */
export const targets = {
  onnx: {
    summary: 'standard operators only: loads anywhere',
    levels: ['disabled', 'basic'],
    level: 'basic',
    disabledOptimizers: [],
  },
  ort: {
    summary: 'operators of com.microsoft too: ONNX Runtime, on any CPU',
    levels: ['extended', 'all'],
    level: 'all',
    // Its layouts depend on the CPU: on another one the model runs and is silently wrong.
    disabledOptimizers: ['NchwcTransformer'],
  },
  'this-cpu': {
    summary: 'layouts of this kind of CPU: wrong results on others',
    levels: ['all'],
    level: 'all',
    disabledOptimizers: [],
  },
} as const satisfies Record<string, TargetRules>;

export type Target = keyof typeof targets;

export const targetNames = Object.keys(targets) as Target[];

const rulesOf = (target: Target): TargetRules => targets[target];

/** The runtime's level for a target. @throws usage/conflict when the level asked for contradicts it */
export const levelFor = (target: Target, level: Level | undefined): Level => {
  const { levels, level: own } = rulesOf(target);
  if (level === undefined) return own;
  if (levels.includes(level)) return level;
  const fitting = targetNames.filter((name) => rulesOf(name).levels.includes(level));
  throw new OrthoError('usage/conflict', `--level ${level} contradicts --target ${target}`, {
    hint: `${target} takes ${levels.join(' or ')}; ${level} belongs to --target ${fitting.join(' or ') || '(none)'}`,
  });
};

const knownPass = (name: string): PassName => {
  const known = passNames.find((one) => one === name);
  if (known !== undefined) return known;
  throw new OrthoError('usage/unknown-name', `there is no pass "${name}"`, {
    hint: `did you mean ${nearestNames(name, passNames, 1)[0] ?? passNames.join(', ')}?`,
  });
};

/** The passes to run, in the order of the registry. @throws usage/unknown-name */
export const selectPasses = (only: readonly string[], skip: readonly string[]): Pass[] => {
  const wanted = new Set(only.length > 0 ? only.map(knownPass) : passNames);
  for (const name of skip.map(knownPass)) wanted.delete(name);
  return passNames.filter((name) => wanted.has(name)).map((name) => passes[name]);
};
