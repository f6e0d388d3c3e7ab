/** What is fuzzed: the small checkpoints of test/fixtures, single files and folders alike, and hostile files. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

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

/** The seeds of one folder: its files, and its subfolders as one seed each. */
export const seedsOf = (folder: string): Seed[] =>
  readdirSync(folder)
    .sort()
    .flatMap((name): Seed[] => {
      const path = join(folder, name);
      if (isExpectation(name)) return [];
      if (!statSync(path).isDirectory()) return [{ name, files: new Map([[name, bytesOf(path)]]) }];
      const inside = filesUnder(path).filter((each) => !isExpectation(each));
      return [{ name, files: new Map(inside.map((each) => [relative(folder, each), bytesOf(each)])) }];
    })
    .filter(({ files }) => files.size > 0 && [...files.values()].every(({ length }) => length < MOST_BYTES));
