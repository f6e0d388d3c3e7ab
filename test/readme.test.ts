/** The documents say what the code does: generated parts are fresh, named files exist, the two commands are there. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { generatedParts, markersOf, renewed } from './support/docs.ts';
import { expectGolden, repository } from './support/golden.ts';
import { sourceFiles } from './support/sources.ts';

const DOCUMENTS = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
const read = (name: string): string => readFileSync(join(repository, name), 'utf8');

let parts: ReadonlyMap<string, string>;
beforeAll(async () => {
  parts = await generatedParts();
});

test.each(DOCUMENTS)('the generated parts of %s are fresh', (name) => {
  expectGolden(name, renewed(read(name), parts));
});

test('every generated part is shown somewhere', () => {
  const shown = new Set(DOCUMENTS.flatMap((name) => markersOf(read(name))));
  expect([...parts.keys()].filter((name) => !shown.has(name))).toEqual([]);
});

test('README names the two commands exactly', () => {
  expect(read('README.md')).toContain('\nnpm ci && npm run demo\n');
  expect(read('README.md')).toContain('\nnpm ci && npm test\n');
});

test('CHANGELOG knows the version', () => {
  expect(read('CHANGELOG.md')).toContain(`## ${JSON.parse(read('package.json')).version}`);
});

describe.each(DOCUMENTS)('%s', (name) => {
  test('links to files that exist', () => {
    const links = [...read(name).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(repository, dirname(name), link)))).toEqual([]);
  });

  test('names source files that exist', () => {
    const named = [...read(name).matchAll(/`((?:src|tools|test|models|bench|schemas)\/[\w./-]*\w\.\w+)`/g)];
    expect(named.map(([, file]) => file!).filter((file) => !existsSync(join(repository, file)))).toEqual([]);
  });
});

test('ARCHITECTURE draws every folder of src', () => {
  const folders = new Set(
    sourceFiles('src')
      .map((file) => file.split('/')[1]!)
      .filter((name) => !name.includes('.')),
  );
  const architecture = read('ARCHITECTURE.md');
  expect([...folders].filter((folder) => !new RegExp(`\\b${folder} {2,}\\S`).test(architecture))).toEqual([]);
});
