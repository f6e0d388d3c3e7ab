import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from '../../src/formats/strict-json.ts';

const invalid = (message: string): Error => new Error(message);
const parse = (text: string | Uint8Array, depth = 8, values = 1000): unknown =>
  parseStrictJson(typeof text === 'string' ? Buffer.from(text) : text, { depth, values }, invalid);

describe('strict JSON', () => {
  it.each([
    ['{"a":1,"a":2}', '"a"'],
    ['{"a":1,"\\u0061":2}', '"a"'],
    ['{"x":[{"b":1},{"c":{"k":0, "k" : 0}}]}', '"k"'],
    ['{"":1,"":2}', '""'],
    ['{"__proto__":1,"__proto__":2}', '"__proto__"'],
    [`{"a":1,"a"${' '.repeat(500)}:2}`, '"a"'],
    ['{"q\\"":1,"q\\"":2}', '"q\\""'],
  ])('%s has a key twice', (text, key) => {
    expect(() => parse(text)).toThrow(`it has the key ${key} twice`);
  });
  it.each(['{"a":{"a":1},"b":{"a":":"}}', '["a","a",":"]', '{"a\\\\":1,"a":2}', '" : "', '{}'])(
    '%s has none',
    (text) => {
      expect(parse(text)).toEqual(JSON.parse(text));
    },
  );
  it('counts depth before it parses', () => {
    expect(parse('[[[1]]]', 3)).toEqual([[[1]]]);
    expect(() => parse('[[[1]]]', 2)).toThrow('it nests 3 levels (at most 2)');
    expect(() => parse('['.repeat(5_000_000))).toThrow('it nests 5000000 levels');
  });
  it('counts values before it parses', () => {
    expect(parse('[[],{"a":[1,2]}]', 8, 7)).toEqual([[], { a: [1, 2] }]);
    expect(() => parse('[[],{"a":[1,2]}]', 8, 6)).toThrow('it has 7 values (at most 6)');
    expect(() => parse(`[${'{},'.repeat(1_000_000)}0]`)).toThrow('it has 2000002 values');
  });
  it('refuses what is no JSON, no UTF-8, or begins with a byte order mark', () => {
    for (const text of ['{"a":1', '{"a', '{a:1}', '\ufeff{}', 'NaN', '']) {
      expect(() => parse(text)).toThrow('it is no valid JSON');
    }
    expect(() => parse(Uint8Array.of(0x22, 0xff, 0x22))).toThrow('it is no UTF-8 JSON');
  });
  it('gives what JSON.parse gives for every document without duplicates', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4, noUnicodeString: false }), (text) => {
        expect(parse(text, 100)).toEqual(JSON.parse(text));
      }),
      { numRuns: 300 },
    );
  });
});
