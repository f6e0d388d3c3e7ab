import { describe, expect, test } from 'vitest';
import { ERROR_CODES, OrthoError } from '../../src/core/errors.ts';
import { readSource, sourceFiles } from '../support/sources.ts';

const source = sourceFiles('src', 'tools')
  .filter((file) => file !== 'src/core/errors.ts')
  .map(readSource)
  .join('\n');

describe.each(Object.entries(ERROR_CODES))('%s', (code, { exit, summary }) => {
  test('is thrown somewhere', () => expect(source.includes(`'${code}'`)).toBe(true));
  test('says what it means', () => expect(summary.length).toBeGreaterThan(10));
  test('carries its exit code', () => {
    const error = new OrthoError(code as keyof typeof ERROR_CODES, 'x', { at: { key: 'k' } });
    expect(error).toMatchObject({ exitCode: exit, at: { key: 'k' }, hint: undefined });
  });
});
