/**
 * Mappings turned round: the rules in reverse order, each by what undoes it. What one rule has made must be told from
 * what was there before by its key alone, so a renaming whose new names are also names of other keys does not come back.
 */
import type { FloatDType } from '../../core/cast.ts';
import { OrthoError } from '../../core/errors.ts';
import { KeyPattern } from './key-pattern.ts';
import { invertNaming, parseTemplate } from './key-template.ts';
import { PatternError } from './pattern-syntax.ts';
import type { ConcatRule, Rule, RuleOf, SplitRule } from './rule.ts';

/** Casts that lose nothing, so that casting back gives the same bits. */
const WIDENINGS: readonly (readonly [FloatDType, FloatDType])[] = [
  ['float16', 'float32'],
  ['float16', 'float64'],
  ['bfloat16', 'float32'],
  ['bfloat16', 'float64'],
  ['float32', 'float64'],
];

class NoInverse extends Error {}

const inverseNames = (keys: string, to: string): { readonly pattern: string; readonly template: string } => {
  const { parsed } = new KeyPattern(keys);
  try {
    return invertNaming(parsed, parseTemplate(to, parsed));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new NoInverse(`"${keys}" -> "${to}": ${error.message}`);
  }
};

const invertPermute = (rule: RuleOf<'permute'>): Rule => {
  const rank = rule.order.length;
  const order: number[] = new Array(rank);
  rule.order.forEach((dim, i) => {
    order[dim < 0 ? dim + rank : dim] = i;
  });
  return { ...rule, order };
};

const invertConcat = (rule: ConcatRule): Rule => {
  const { keys, to, sizes, dim, groups } = rule;
  if (sizes === undefined) throw new NoInverse('say "sizes": the size of each part, or "equal"');
  const turned = keys.map((key) => inverseNames(key, to));
  // All turn the same template round; named groups let every part bind as the first one does.
  const named = new KeyPattern(keys[0]!).parsed.groups;
  if (turned.some(({ pattern }) => pattern !== turned[0]!.pattern)) {
    throw new NoInverse(
      `its parts have other patterns in their groups${named.length > 1 ? ', or another order' : ''}`,
    );
  }
  const common = { keys: turned[0]!.pattern, to: turned.map(({ template }) => template), dim, groups };
  return sizes === 'equal' ? { op: 'chunk', ...common } : { op: 'split', sizes, ...common };
};

const invertSplit = (rule: SplitRule): Rule => {
  const { op, keys, to, dim, groups } = rule;
  const turned = to.map((template) => inverseNames(keys, template));
  const sizes = op === 'chunk' ? 'equal' : rule.sizes;
  return {
    op: 'concat',
    keys: turned.map(({ pattern }) => pattern),
    to: turned[0]!.template,
    sizes,
    dim,
    groups,
  };
};

const invertTable = (rule: RuleOf<'table'>): Rule => ({
  ...rule,
  keys: Object.fromEntries(Object.entries(rule.keys).map(([from, to]) => [to, from])),
});

/** @throws NoInverse */
const inverseOf = (rule: Rule): Rule => {
  switch (rule.op) {
    case 'table':
      return invertTable(rule);
    case 'prefix':
      return { ...rule, from: rule.to, to: rule.from };
    case 'rename': {
      const { pattern, template } = inverseNames(rule.keys, rule.to);
      return { ...rule, keys: pattern, to: template };
    }
    case 'select':
    case 'drop':
      throw new NoInverse('what was left out cannot come back');
    case 'transpose':
    case 'flip':
      return rule;
    case 'permute':
      return invertPermute(rule);
    case 'reshape':
      if (rule.from === undefined) throw new NoInverse('say "from": the shape before');
      return {
        ...rule,
        shape: rule.from,
        from: rule.shape,
        rank: rule.rank === undefined ? undefined : rule.shape.length,
      };
    case 'squeeze':
      return { ...rule, op: 'unsqueeze', rank: rule.rank === undefined ? undefined : rule.rank - 1 };
    case 'unsqueeze':
      return { ...rule, op: 'squeeze', rank: rule.rank === undefined ? undefined : rule.rank + 1 };
    case 'slice':
      throw new NoInverse('what was cut off cannot come back');
    case 'cast':
      if (!WIDENINGS.some(([from, to]) => from === rule.from && to === rule.dtype)) {
        throw new NoInverse('only a cast "from" a type to a wider one loses nothing');
      }
      return { ...rule, dtype: rule.from!, from: rule.dtype };
    case 'scale':
      if (!Number.isInteger(Math.log2(Math.abs(rule.factor)))) {
        throw new NoInverse('only powers of two can be divided out exactly');
      }
      return { ...rule, factor: 1 / rule.factor };
    case 'concat':
      return invertConcat(rule);
    case 'split':
    case 'chunk':
      return invertSplit(rule);
    case 'weight-norm':
      throw new NoInverse('g and v cannot be told from their product');
  }
};

/** A rule that undoes another, and the place of that in the mapping. */
export interface Inverse {
  readonly rule: Rule;
  readonly index: number;
}

/**
 * The rules that undo these, last first; those marked `"inverse": "skip"` are left out.
 * @throws OrthoError config/invalid naming the rule that has no inverse
 */
export const invertRules = (rules: readonly Rule[], label: (index: number) => string): readonly Inverse[] => {
  const inverses: Inverse[] = [];
  rules.forEach((rule, index) => {
    if (rule.inverse === 'skip') return;
    try {
      inverses.unshift({ rule: inverseOf(rule), index });
    } catch (error) {
      if (!(error instanceof NoInverse)) throw error;
      throw new OrthoError('config/invalid', `${label(index)} has no inverse: ${error.message}`, {
        hint: '"inverse": "skip" leaves the rule out when the mapping is inverted',
      });
    }
  });
  return inverses;
};
