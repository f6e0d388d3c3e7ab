import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyPattern, MAX_KEY } from '../../../src/convert/mapping/key-pattern.ts';
import { invertNaming, parseTemplate, renderTemplate } from '../../../src/convert/mapping/key-template.ts';
import { MAX_PATTERN, PatternError, parsePattern } from '../../../src/convert/mapping/pattern-syntax.ts';

/** What JavaScript's own engine finds, with unset groups as ''. */
const native = (source: string, key: string): string[] | undefined => {
  const found = new RegExp(`^(?:${source})$`, 'u').exec(key);
  return found === null ? undefined : found.slice(1).map((text) => text ?? '');
};

const atom = fc.constantFrom(
  'a',
  'b',
  '\\.',
  '.',
  '\\d',
  '\\w',
  '\\s',
  '[ab]',
  '[^a]',
  '[a-c.]',
  '\\x61',
  '\\u{62}',
  '1',
  '🙂',
);
const suffix = fc.constantFrom('', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{0,2}?', '{1,}');
const plain = fc.letrec<{ pattern: string; item: string }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small' },
    fc.tuple(atom, suffix).map(([one, times]) => one + times),
    fc.tuple(tie('pattern'), suffix).map(([inner, times]) => `(?:${inner})${times}`),
  ),
  pattern: fc.oneof(
    fc.array(tie('item'), { maxLength: 3 }).map((items) => items.join('')),
    fc.tuple(tie('item'), tie('item')).map(([a, b]) => `${a}|${b}`),
  ),
})).pattern;
/** Groups stand at the top level, or in an alternative: none is repeated. */
const pattern = fc
  .array(fc.tuple(plain, fc.constantFrom('(', '(?:', '(?<', '|')), { minLength: 1, maxLength: 4 })
  .map((parts) =>
    parts
      .map(([inner, open], i) =>
        open === '|' ? `(?:${inner}|(b))` : `${open === '(?<' ? `(?<n${i}>` : open}${inner})`,
      )
      .join(''),
  );
const key = fc
  .array(fc.constantFrom('a', 'b', 'c', '.', '1', ' ', '🙂', '\n'), { maxLength: 8 })
  .map((parts) => parts.join(''));

describe('patterns', () => {
  it('find what JavaScript finds, and the same groups', () => {
    fc.assert(
      fc.property(pattern, key, (source, text) => {
        try {
          parsePattern(source);
        } catch (error) {
          fc.pre(!(error instanceof PatternError && error.message === 'what is repeated can be empty'));
        }
        expect(new KeyPattern(source).match(text)).toEqual(native(source, text));
      }),
      { numRuns: 2000 },
    );
  });
  it.each<[string, string, string[] | undefined]>([
    ['layers\\.(\\d+)\\.(.*)', 'layers.12.attn.q', ['12', 'attn.q']],
    ['layers\\.(\\d+)', 'layers.12.attn', undefined],
    ['^fc\\.weight$', 'fc.weight', []],
    ['a|b|', '', []],
    ['(?<i>\\d+)-(?<rest>.+?)', '7-x.y', ['7', 'x.y']],
    ['(a)|(b)', 'b', ['', 'b']],
    ['[\\w-]+', 'a-b_c', []],
    ['[^\\d]\\S\\D\\W', 'xyz.', []],
    ['\\t\\x41\\u0042', '\tAB', []],
  ])('%s on %s', (source, text, captures) => {
    expect(new KeyPattern(source).match(text)).toEqual(captures);
    expect(native(source, text)).toEqual(captures);
  });
  it.each([
    ['(', 'not closed'],
    [')', 'no ( for this'],
    ['[a', 'not closed'],
    ['*a', 'nothing to repeat'],
    ['a**', 'nothing to repeat'],
    ['a{3,1}', 'wrong way round'],
    ['a{', 'begins a repetition'],
    ['a]', 'write \\]'],
    ['(a)+', 'cannot be repeated'],
    ['(?:a?b*)+', 'can be empty'],
    ['(?:a|)?', 'can be empty'],
    ['(?=a)', 'look-around'],
    ['(?<=a)', 'look-around'],
    ['(?<1>a)', 'a group name'],
    ['(?<a>x)(?<a>y)', 'two groups are called "a"'],
    ['(a)\\1', 'back-references'],
    ['\\bfoo', '\\b is not supported'],
    ['a^b', 'at its ends only'],
    ['(a$)', 'at its ends only'],
    ['[b-a]', 'a range that is none'],
    ['\\q', 'no known escape'],
    ['\\', 'cannot end in'],
    ['\\u{110000}', 'no known escape'],
    ['(?:(?:a{99}){99}){99}', 'too complex'],
    ['a'.repeat(MAX_PATTERN + 1), 'at most 1000'],
  ])('%s is refused: %s', (source, message) => {
    expect(() => new KeyPattern(source)).toThrow(PatternError);
    expect(() => new KeyPattern(source)).toThrow(message);
  });
  it('that take exponential time elsewhere are done at once', () => {
    const text = 'a'.repeat(MAX_KEY);
    for (const source of ['(?:a+)+b', '(?:a|a)*b', '(?:(?:a|aa){1,20}){1,20}b', '.*.*.*.*=.*']) {
      expect(new KeyPattern(source).match(text)).toBeUndefined();
    }
  });
  it('are not tried on endless keys', () => {
    const pattern = new KeyPattern('x(.*)');
    expect(pattern.match(`y${'x'.repeat(MAX_KEY)}`)).toBeUndefined();
    expect(() => pattern.match('x'.repeat(MAX_KEY + 1))).toThrow(
      expect.objectContaining({ code: 'file/limit' }),
    );
  });
});

describe('templates', () => {
  const groups = parsePattern('(a)(?<name>b)');
  it('have groups by number and by name, and dollars', () => {
    const template = parseTemplate('x.$2.$1.$<name>.$$1.$10', groups);
    expect(renderTemplate(template, ['A', 'B'])).toBe('x.B.A.B.$1.A0');
  });
  it.each([
    ['$3', 'no group 3'],
    ['$0', 'no group 0'],
    ['$<other>', 'no group <other>'],
    ['a$', 'write $$ for a dollar'],
    ['a$b', 'write $$ for a dollar'],
  ])('%s is refused: %s', (source, message) => {
    expect(() => parseTemplate(source, groups)).toThrow(message);
  });
});

describe('renamings turned round', () => {
  const invert = (source: string, to: string) => {
    const parsed = parsePattern(source);
    return invertNaming(parsed, parseTemplate(to, parsed));
  };
  it('text and groups change sides', () => {
    expect(invert('layers\\.(\\d+)\\.(.*)', 'h.$2.$1.$$')).toEqual({
      pattern: 'h\\.(?<g2>.*)\\.(?<g1>\\d+)\\.\\$',
      template: 'layers.$<g1>.$<g2>',
    });
  });
  it('brings every key back', () => {
    const text = fc.stringMatching(/^[a-c.$+(0-9]{0,4}$/);
    fc.assert(
      fc.property(
        text,
        text,
        text,
        text,
        fc.nat(99),
        fc.stringMatching(/^[xyz]{1,3}$/),
        (a, b, c, d, number, word) => {
          const escaped = [a, b].map((one) => one.replace(/[$+.(]/g, '\\$&'));
          const [e, f] = [c, d].map((one) => one.replaceAll('$', '$$$$'));
          const [source, to] = [`${escaped[0]}-(\\d+)${escaped[1]}-(\\w+)`, `${e}/$2-$1/${f}`];
          const there = new KeyPattern(source);
          const inverse = invert(source, to);
          const back = new KeyPattern(inverse.pattern);
          const name = `${a}-${number}${b}-${word}`;
          const renamed = renderTemplate(parseTemplate(to, there.parsed), there.match(name)!);
          expect(renderTemplate(parseTemplate(inverse.template, back.parsed), back.match(renamed)!)).toBe(
            name,
          );
        },
      ),
    );
  });
  it.each([
    ['a.b(c)', '$1', 'write "\\\\." for a dot'],
    ['a+(c)', '$1', 'more than plain text'],
    ['a|b', 'x', 'more than plain text'],
    ['(a(b))', '$1$2', 'groups inside groups'],
    ['(a)(b)', '$1', 'a group is not used'],
    ['(a)', '$1$1', 'a group is used twice'],
  ])('%s -> %s has no inverse: %s', (source, to, message) => {
    expect(() => invert(source, to)).toThrow(message);
  });
});
