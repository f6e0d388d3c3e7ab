import { expect, test } from 'vitest';
import { readSource, sourceFiles } from './support/sources.ts';

/** A tool describes itself and calls one job; what is longer belongs in src. */
test.each(sourceFiles('tools'))('%s has at most 60 lines', (file) => {
  expect(readSource(file).trimEnd().split('\n').length).toBeLessThanOrEqual(60);
});

test.each(sourceFiles('src', 'bench'))('%s has at most 500 lines', (file) => {
  expect(readSource(file).trimEnd().split('\n').length).toBeLessThanOrEqual(500);
});
