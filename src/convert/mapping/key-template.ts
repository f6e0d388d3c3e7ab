/**
 * What a new key is made of: text, `$1`, `$<name>`, and `$$` for a dollar. And a renaming turned round: the pattern of
 * `layers\.(\d+)\.(.*)` -> `blocks.$1.$2` backwards is `blocks\.(\d+)\.(.*)` -> `layers.$1.$2`. That exists where the
 * pattern is plain text and capturing groups, and the template has every group once.
 */
import type { Captures } from './key-pattern.ts';
import { type ParsedPattern, PatternError, type PatternNode } from './pattern-syntax.ts';

type Part = string | number;

/** Text, and numbers of groups. */
export type KeyTemplate = readonly Part[];

/** @throws PatternError for groups that the pattern does not have, and a lone $ */
export const parseTemplate = (source: string, { groups }: ParsedPattern): KeyTemplate => {
  const parts: Part[] = [];
  let text = '';
  const form = /\$(?:(\$)|(\d{1,2})|<([^>]*)>)?|[^$]+/gy;
  for (let found = form.exec(source); found !== null; found = form.exec(source)) {
    const [whole, dollar, digits, name] = found;
    if (dollar !== undefined || !whole.startsWith('$')) {
      text += dollar ?? whole;
      continue;
    }
    if (digits === undefined && name === undefined) {
      throw new PatternError('write $$ for a dollar; a group is $1 or $<name>', found.index);
    }
    // As in JavaScript: $12 is group 1 and a 2 where there are fewer than twelve groups.
    const isLong = digits !== undefined && Number(digits) > groups.length;
    const shown = isLong ? digits.slice(0, 1) : digits;
    const group = shown === undefined ? groups.indexOf(name) + 1 : Number(shown);
    if (group < 1 || group > groups.length) {
      throw new PatternError(`the pattern has no group ${shown ?? `<${name}>`}`, found.index);
    }
    if (text !== '') parts.push(text);
    parts.push(group);
    text = isLong ? digits.slice(1) : '';
  }
  if (text !== '') parts.push(text);
  return parts;
};

/** The key that a template and captures make. */
export const renderTemplate = (template: KeyTemplate, captures: Captures): string =>
  template.map((part) => (typeof part === 'string' ? part : (captures[part - 1] ?? ''))).join('');

/** Top-level parts of a pattern that is text and groups. @throws PatternError for any other */
const plainParts = ({ root }: ParsedPattern): { parts: Part[]; sources: Map<number, string> } => {
  const parts: Part[] = [];
  const sources = new Map<number, string>();
  const items: readonly PatternNode[] = root.kind === 'sequence' ? root.items : [root];
  for (const item of items) {
    if (item.kind === 'literal') {
      const character = String.fromCodePoint(item.codePoint);
      const last = parts.at(-1);
      if (typeof last === 'string') parts[parts.length - 1] = last + character;
      else parts.push(character);
    } else if (item.kind === 'group' && item.index !== undefined) {
      if (hasGroup(item.body)) throw new PatternError('groups inside groups cannot be turned round', 0);
      parts.push(item.index);
      sources.set(item.index, item.source);
    } else if (item.kind === 'class' && item.isNegated) {
      throw new PatternError('"." outside of a group stands for any character: write "\\\\." for a dot', 0);
    } else throw new PatternError('outside of groups it has more than plain text', 0);
  }
  return { parts, sources };
};

const hasGroup = (node: PatternNode): boolean => {
  switch (node.kind) {
    case 'group':
      return node.index !== undefined || hasGroup(node.body);
    case 'repeat':
      return hasGroup(node.body);
    case 'sequence':
      return node.items.some(hasGroup);
    case 'choice':
      return node.options.some(hasGroup);
    default:
      return false;
  }
};

const escapeText = (text: string): string => text.replace(/[\^$\\.*+?()[\]{}|/]/g, '\\$&');

/** A group of its own for each group of the other side, so that digits after it do not matter. */
const groupName = (index: number): string => `g${index}`;

/** The pattern as a template: what it is made of, with groups by their number. @throws PatternError where it is not plain */
export const templateOf = (pattern: ParsedPattern): KeyTemplate => plainParts(pattern).parts;

/**
 * The renaming turned round, as sources of a pattern and a template.
 * @throws PatternError saying why it has no inverse
 */
export const invertNaming = (
  pattern: ParsedPattern,
  template: KeyTemplate,
): { readonly pattern: string; readonly template: string } => {
  const { parts, sources } = plainParts(pattern);
  const used = template.filter((part) => typeof part === 'number');
  if (new Set(used).size !== used.length) throw new PatternError('a group is used twice', 0);
  if (used.length !== sources.size) throw new PatternError('a group is not used: its text is lost', 0);
  return {
    pattern: template
      .map((part) =>
        typeof part === 'string' ? escapeText(part) : `(?<${groupName(part)}>${sources.get(part)})`,
      )
      .join(''),
    template: parts
      .map((part) => (typeof part === 'string' ? part.replaceAll('$', '$$$$') : `$<${groupName(part)}>`))
      .join(''),
  };
};
