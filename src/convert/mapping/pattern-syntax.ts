/**
 * The regular expressions of mapping files, parsed: the part of JavaScript's syntax (with the flag `u`) that can be
 * matched in time proportional to the length of the key. Keys and mapping files may come from strangers, and a pattern
 * like `(a+)+b` must not hang.
 *
 * Known are characters, `.`, classes (`[a-z]`, `\d`, `\w`, `\s`), alternatives, `*`, `+`, `?`, `{n,m}` (lazy too), and
 * groups: `(…)`, `(?<name>…)`, `(?:…)`. A pattern fits a whole key, so `^` and `$` at its ends say nothing new. Refused,
 * each with a message: back-references, look-around, `\b`, a capturing group inside a repetition, and the repetition of
 * what can be empty. Without these, the first match does not depend on how an engine treats them.
 */

/** Inclusive ranges of code points. */
export type Ranges = readonly (readonly [number, number])[];

export type PatternNode =
  | { readonly kind: 'literal'; readonly codePoint: number }
  | { readonly kind: 'class'; readonly ranges: Ranges; readonly isNegated: boolean }
  | { readonly kind: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'choice'; readonly options: readonly PatternNode[] }
  | {
      readonly kind: 'group';
      readonly body: PatternNode;
      /** 1, 2…; undefined for `(?:…)`. */
      readonly index: number | undefined;
      /** What stands between the parentheses. */
      readonly source: string;
    }
  | {
      readonly kind: 'repeat';
      readonly body: PatternNode;
      readonly min: number;
      readonly max: number;
      readonly isLazy: boolean;
    };

export interface ParsedPattern {
  readonly root: PatternNode;
  /** Name of each capturing group, in order; undefined where it has none. */
  readonly groups: readonly (string | undefined)[];
}

export const MAX_PATTERN = 1000;

/** Why a pattern is refused; `position` counts characters. */
export class PatternError extends Error {
  readonly position: number;
  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

const DIGITS: Ranges = [[0x30, 0x39]];
const WORD: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SPACES: Ranges = [
  [9, 13],
  [32, 32],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
/** `.` is anything but these. */
const LINE_ENDS: Ranges = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];
const LAST = 0x10ffff;

const complement = (ranges: Ranges): Ranges => {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [from, to] of ranges) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  gaps.push([next, LAST]);
  return gaps;
};

const SHORTHANDS = new Map<string, Ranges>([
  ['d', DIGITS],
  ['D', complement(DIGITS)],
  ['w', WORD],
  ['W', complement(WORD)],
  ['s', SPACES],
  ['S', complement(SPACES)],
]);
const CONTROLS = new Map([
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
]);
const SYNTAX = '^$\\.*+?()[]{}|/-';

/** Whether a pattern fits the empty text. */
const isNullable = (node: PatternNode): boolean => {
  switch (node.kind) {
    case 'literal':
    case 'class':
      return false;
    case 'sequence':
      return node.items.every(isNullable);
    case 'choice':
      return node.options.some(isNullable);
    case 'group':
      return isNullable(node.body);
    case 'repeat':
      return node.min === 0;
  }
};

class Parser {
  readonly #characters: readonly string[];
  readonly #groups: (string | undefined)[] = [];
  #at = 0;

  constructor(source: string) {
    this.#characters = [...source];
  }

  parse(): ParsedPattern {
    const root = this.#choice(true);
    if (this.#at < this.#characters.length) throw this.#error('there is no ( for this )');
    return { root, groups: this.#groups };
  }

  #error(message: string, position = this.#at): PatternError {
    return new PatternError(message, position);
  }
  #peek(ahead = 0): string | undefined {
    return this.#characters[this.#at + ahead];
  }
  #take(text: string): boolean {
    const isThere = [...text].every((character, i) => this.#peek(i) === character);
    if (isThere) this.#at += text.length;
    return isThere;
  }

  #choice(isTop: boolean): PatternNode {
    const options = [this.#sequence(isTop)];
    while (this.#take('|')) options.push(this.#sequence(isTop));
    return options.length === 1 ? options[0]! : { kind: 'choice', options };
  }

  #sequence(isTop: boolean): PatternNode {
    const items: PatternNode[] = [];
    if (isTop) this.#take('^');
    for (let next = this.#peek(); next !== undefined && next !== '|' && next !== ')'; next = this.#peek()) {
      const isEnd = this.#peek(1) === undefined || this.#peek(1) === '|';
      if (isTop && next === '$' && isEnd) this.#at++;
      else items.push(this.#repeated());
    }
    return items.length === 1 ? items[0]! : { kind: 'sequence', items };
  }

  #repeated(): PatternNode {
    const start = this.#at;
    const groups = this.#groups.length;
    const body = this.#atom();
    const bounds = this.#bounds();
    if (bounds === undefined) return body;
    if (this.#groups.length > groups) {
      throw this.#error('a capturing group cannot be repeated: put the repetition inside of it', start);
    }
    if (isNullable(body)) throw this.#error('what is repeated can be empty', start);
    const [min, max] = bounds;
    if (min > max) throw this.#error(`{${min},${max}} is the wrong way round`, start);
    const isLazy = this.#take('?');
    if ('*+?{'.includes(this.#peek() ?? ' ')) throw this.#error('nothing to repeat');
    return { kind: 'repeat', body, min, max, isLazy };
  }

  #bounds(): [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    if (this.#peek() !== '{') return undefined;
    const rest = this.#characters.slice(this.#at, this.#at + 24).join('');
    const [whole, min, comma, max] = /^\{(\d{1,4})(,?)(\d{0,4})\}/.exec(rest) ?? [];
    if (whole === undefined || (comma === '' && max !== '')) {
      throw this.#error('{ begins a repetition like {2} or {1,3}; write \\{ for a brace');
    }
    this.#at += whole.length;
    return [Number(min), comma === '' ? Number(min) : max === '' ? Infinity : Number(max)];
  }

  #atom(): PatternNode {
    const start = this.#at;
    const character = this.#characters[this.#at++]!;
    switch (character) {
      case '(':
        return this.#group(start);
      case '[':
        return this.#set(start);
      case '.':
        return { kind: 'class', ranges: LINE_ENDS, isNegated: true };
      case '\\': {
        const escaped = this.#escape(start);
        return typeof escaped === 'number'
          ? { kind: 'literal', codePoint: escaped }
          : { kind: 'class', ranges: escaped, isNegated: false };
      }
      case '^':
      case '$':
        throw this.#error('a pattern fits the whole key: ^ and $ stand at its ends only', start);
      case '*':
      case '+':
      case '?':
        throw this.#error('nothing to repeat', start);
      case '{':
      case '}':
      case ']':
        throw this.#error(`write \\${character} for the character itself`, start);
      default:
        return { kind: 'literal', codePoint: character.codePointAt(0)! };
    }
  }

  #group(start: number): PatternNode {
    let index: number | undefined;
    if (!this.#take('?:')) {
      let name: string | undefined;
      if (this.#take('?')) {
        if (!this.#take('<') || this.#peek() === '=' || this.#peek() === '!') {
          throw this.#error('(? begins (?:…) or (?<name>…); look-around is not supported', start);
        }
        const end = this.#characters.indexOf('>', this.#at);
        name = end < 0 ? '' : this.#characters.slice(this.#at, end).join('');
        if (!/^[A-Za-z_]\w*$/.test(name)) throw this.#error('a group name is letters, digits and _', start);
        if (this.#groups.includes(name)) throw this.#error(`two groups are called "${name}"`, start);
        this.#at = end + 1;
      }
      this.#groups.push(name);
      index = this.#groups.length;
    }
    const from = this.#at;
    const body = this.#choice(false);
    const source = this.#characters.slice(from, this.#at).join('');
    if (!this.#take(')')) throw this.#error('this ( is not closed', start);
    return { kind: 'group', body, index, source };
  }

  #set(start: number): PatternNode {
    const isNegated = this.#take('^');
    const ranges: (readonly [number, number])[] = [];
    for (;;) {
      const low = this.#setItem(start);
      if (low === undefined) break;
      if (typeof low !== 'number') ranges.push(...low);
      else if (this.#peek() === '-' && this.#peek(1) !== ']') {
        this.#at++;
        const high = this.#setItem(start);
        if (typeof high !== 'number' || high < low)
          throw this.#error('this class has a range that is none', start);
        ranges.push([low, high]);
      } else ranges.push([low, low]);
    }
    return { kind: 'class', ranges, isNegated };
  }

  /** One character or shorthand of a class; undefined at its end. */
  #setItem(start: number): number | Ranges | undefined {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw this.#error('this [ is not closed', start);
    if (character === ']') return undefined;
    return character === '\\' ? this.#escape(this.#at - 1) : character.codePointAt(0)!;
  }

  #escape(start: number): number | Ranges {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw this.#error('a pattern cannot end in \\', start);
    const shorthand = SHORTHANDS.get(character) ?? CONTROLS.get(character);
    if (shorthand !== undefined) return shorthand;
    if (SYNTAX.includes(character)) return character.codePointAt(0)!;
    if (character === 'x' || character === 'u') {
      const rest = this.#characters.slice(this.#at, this.#at + 8).join('');
      const form = character === 'x' ? /^([\da-f]{2})/i : /^([\da-f]{4})|^\{([\da-f]{1,6})\}/i;
      const [whole, plain, braced] = form.exec(rest) ?? [];
      const code = Number.parseInt(plain ?? braced ?? '', 16);
      if (whole !== undefined && code <= LAST) {
        this.#at += whole.length;
        return code;
      }
    }
    if (/[1-9k]/.test(character)) throw this.#error('back-references are not supported', start);
    if (/[bB]/.test(character)) throw this.#error('\\b is not supported', start);
    throw this.#error(`\\${character} is no known escape`, start);
  }
}

/** @throws PatternError where the pattern is malformed, too long, or uses what is refused */
export const parsePattern = (source: string): ParsedPattern => {
  if (source.length > MAX_PATTERN) {
    throw new PatternError(`a pattern has at most ${MAX_PATTERN} characters, this has ${source.length}`, 0);
  }
  return new Parser(source).parse();
};
