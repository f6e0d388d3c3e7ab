/** What is wrong with a rule, before any tensor is seen: patterns, templates, and numbers that contradict each other. */
import { KeyPattern } from './key-pattern.ts';
import { parseTemplate } from './key-template.ts';
import { PatternError } from './pattern-syntax.ts';
import type { Rule } from './rule.ts';

export interface RuleFault {
  /** Fields and indices inside the rule. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

type Path = RuleFault['path'];

class Checker {
  readonly faults: RuleFault[] = [];

  add(path: Path, message: string): void {
    this.faults.push({ path, message });
  }

  #try<T>(path: Path, make: () => T): T | undefined {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      this.add(path, `${error.message} (character ${error.position + 1})`);
      return undefined;
    }
  }

  pattern(path: Path, source: string): KeyPattern | undefined {
    return this.#try(path, () => new KeyPattern(source));
  }

  template(path: Path, source: string, pattern: KeyPattern | undefined): void {
    if (pattern !== undefined) this.#try(path, () => parseTemplate(source, pattern.parsed));
  }

  /** Several patterns that bind the same groups. */
  members(paths: readonly Path[], sources: readonly string[]): KeyPattern | undefined {
    const patterns = sources.map((source, i) => this.pattern(paths[i]!, source));
    const first = patterns[0];
    if (first === undefined) return undefined;
    patterns.forEach((pattern, i) => {
      if (pattern !== undefined && groupsOf(pattern) !== groupsOf(first)) {
        this.add(paths[i]!, 'it must have the groups of the first pattern (the same names, or as many)');
      }
    });
    return first;
  }

  distinct(path: Path, values: readonly unknown[]): void {
    if (new Set(values).size !== values.length) this.add(path, 'one is there twice');
  }
}

const groupsOf = ({ parsed }: KeyPattern): string =>
  JSON.stringify(parsed.groups.map((name, i) => name ?? String(i + 1)).sort());

/** The faults of a rule whose fields have the right types. */
export const ruleFaults = (rule: Rule): readonly RuleFault[] => {
  const checker = new Checker();
  const { op } = rule;
  switch (op) {
    case 'table':
      checker.distinct(['keys'], Object.values(rule.keys));
      for (const [from, to] of Object.entries(rule.keys)) {
        if (from === '' || to === '') checker.add(['keys', from], 'a key is empty');
      }
      break;
    case 'prefix':
      if (rule.from === rule.to) checker.add(['to'], 'it is the same as "from"');
      break;
    case 'rename':
      checker.template(['to'], rule.to, checker.pattern(['keys'], rule.keys));
      break;
    case 'select':
    case 'drop':
      break;
    case 'concat': {
      const paths = rule.keys.map((_, i) => ['keys', i]);
      checker.template(['to'], rule.to, checker.members(paths, rule.keys));
      checker.distinct(['keys'], rule.keys);
      if (Array.isArray(rule.sizes) && rule.sizes.length !== rule.keys.length) {
        checker.add(['sizes'], `${rule.keys.length} are expected, one for each of "keys"`);
      }
      break;
    }
    case 'split':
    case 'chunk': {
      const pattern = checker.pattern(['keys'], rule.keys);
      rule.to.forEach((to, i) => {
        checker.template(['to', i], to, pattern);
      });
      checker.distinct(['to'], rule.to);
      if (op === 'split' && rule.sizes?.length !== rule.to.length) {
        checker.add(['sizes'], `${rule.to.length} are expected, one for each of "to"`);
      }
      break;
    }
    case 'weight-norm':
      checker.template(['to'], rule.to, checker.members([['g'], ['v']], [rule.g, rule.v]));
      break;
    default:
      checker.pattern(['keys'], rule.keys);
      if (op === 'permute') checker.distinct(['order'], rule.order);
      if (op === 'flip') checker.distinct(['dims'], rule.dims);
      if (op === 'transpose' && rule.dims !== undefined) checker.distinct(['dims'], rule.dims);
      if (op === 'reshape') {
        for (const field of ['shape', 'from'] as const) {
          if ((rule[field] ?? []).filter((dim) => dim === -1).length > 1) {
            checker.add([field], '-1 can stand for one dimension only');
          }
        }
      }
      if (op === 'scale' && (rule.factor === 0 || !Number.isFinite(rule.factor))) {
        checker.add(['factor'], 'a factor is finite and not 0');
      }
  }
  return checker.faults;
};
