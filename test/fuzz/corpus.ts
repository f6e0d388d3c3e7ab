/** What is fuzzed: the small weight files of test/fixtures, single files and folders alike, and every hostile kind. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { HOSTILE_KINDS } from './hostile.ts';

/** A file, or a folder of files, by relative path. */
export interface Seed {
  readonly name: string;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const MOST_BYTES = 1 << 20;

/** A plain array: a Buffer's slice() would be a view, and damage would reach the seed. */
const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));

const filesUnder = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

const isExpectation = (name: string): boolean => name.endsWith('.tsv') || name.endsWith('.md');

/** A folder as one seed: one of its files is damaged at a time. */
const folderSeed = (folder: string, name: string): Seed => ({
  name,
  files: new Map(
    filesUnder(join(folder, name))
      .filter((each) => !isExpectation(each))
      .map((each) => [relative(folder, each), bytesOf(each)]),
  ),
});

/** The files of a folder as one seed each, and so its subfolders. */
const seedsOf = (folder: string): Seed[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !isExpectation(name))
    .map((entry) =>
      entry.isDirectory()
        ? folderSeed(folder, entry.name)
        : { name: entry.name, files: new Map([[entry.name, bytesOf(join(folder, entry.name))]]) },
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));

const FOLDERS = ['checkpoints', 'distributed', 'hostile', 'numpy', 'programs', 'safetensors'];

/** Every seed, given the folder of the fixtures. Large ones would only slow the run down. */
export const corpus = (fixtures: string): Seed[] =>
  [
    ...FOLDERS.flatMap((name) => seedsOf(join(fixtures, name))),
    folderSeed(fixtures, 'sharded'),
    ...HOSTILE_KINDS.map(
      ({ make }, i): Seed => ({ name: `kind-${i}`, files: new Map([[`kind-${i}`, new Uint8Array(make())]]) }),
    ),
  ].filter(({ files }) => files.size > 0 && [...files.values()].every(({ length }) => length < MOST_BYTES));
