import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable } from '../../src/core/printable.ts';

test.each([
  ['plain name.weight', 'plain name.weight'],
  ['größe 日本語 😀', 'größe 日本語 😀'],
  ['\u001b[31mred', '\\x1b[31mred'],
  ['a\nb\r\tc', 'a\\nb\\r\\tc'],
  ['x\u202ey', 'x\\u{202e}y'],
  ['\u0085\u009b', '\\x85\\x9b'],
  ['\ud800', '\\u{d800}'],
  ['\u{e0041}', '\\u{e0041}'],
])('%j', (text, expected) => expect(printable(text)).toBe(expected));

test('no control or format character survives', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/\p{Cc}|\p{Cs}|[\u202a-\u202e\u2066-\u2069]/u);
    }),
  );
});
