import { expect, test } from 'vitest';
import { globMatcher } from '../../src/core/glob.ts';

test.each([
  ['classifier.*', 'classifier.1.weight', true],
  ['classifier.*', 'my.classifier.1.weight', false],
  ['*.num_batches_tracked', 'a.b.num_batches_tracked', true],
  ['*.num_batches_tracked', 'num_batches_tracked', false],
  ['layer?.bias', 'layer3.bias', true],
  ['layer?.bias', 'layer33.bias', false],
  ['a*b*c', 'aXbYbZc', true],
  ['a*b*c', 'aXbYbZ', false],
  ['', '', true],
  ['', 'x', false],
  ['**', '', true],
  ['a.b', 'axb', false],
])('%s against %s', (pattern, name, expected) => {
  expect(globMatcher([pattern])(name)).toBe(expected);
});

test('one of several is enough, none matches nothing', () => {
  expect(globMatcher(['a', 'b*'])('bc')).toBe(true);
  expect(globMatcher([])('a')).toBe(false);
});

test('a pattern full of stars against a long name ends at once', () => {
  expect(globMatcher([`${'*a'.repeat(40)}b`])('a'.repeat(5000))).toBe(false);
});
