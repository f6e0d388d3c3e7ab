/** The layers of ARCHITECTURE.md, enforced: imports go to lower layers, inside a layer only inside one folder. */
import { describe, expect, test } from 'vitest';
import { type Import, importsOf, packageOf, readSource, sourceFiles } from './support/sources.ts';

const LAYERS = new Map([
  ['core', 0],
  ['proto', 1],
  ['formats', 1],
  ['report', 1],
  ['ir', 2],
  ['ops', 3],
  ['runtime', 3],
  ['passes', 4],
  ['convert', 4],
  ['inspect', 5],
  ['verify', 5],
  ['bench', 6],
  ['quantize', 7],
  ['jobs', 8],
  ['cli', 9],
]);

const NATIVE = ['onnxruntime-node', 'onnxruntime-web', '@tensorflow/tfjs', '@tensorflow/tfjs-node'];

/** The folder under src, or `index` (the library) or `tools`, with its layer. */
const placeOf = (file: string): { folder: string; layer: number } => {
  if (file.startsWith('tools/')) return { folder: 'tools', layer: 11 };
  if (file === 'src/index.ts') return { folder: 'index', layer: 10 };
  const folder = file.split('/')[1]!;
  return { folder, layer: LAYERS.get(folder) ?? Number.NaN };
};

const files = sourceFiles('src', 'tools');
const imports = new Map(files.map((file) => [file, importsOf(file)]));
const each = (check: (file: string, one: Import) => boolean): string[] =>
  [...imports].flatMap(([file, list]) =>
    list.filter((one) => check(file, one)).map((one) => `${file}: ${one.from}`),
  );

test('every file belongs to a layer', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(files.filter((file) => Number.isNaN(placeOf(file).layer))).toEqual([]);
});

test('every relative import names a file that exists', () => {
  const known = new Set(files);
  expect(each((_, { file }) => file?.endsWith('.ts') === true && !known.has(file))).toEqual([]);
});

test('imports go down, or stay in their folder', () => {
  const wrong = each((file, one) => {
    if (one.file === undefined) return false;
    const from = placeOf(file);
    const to = placeOf(one.file);
    return from.folder !== to.folder && !(to.layer < from.layer);
  });
  expect(wrong).toEqual([]);
});

test('no barrels: only the library re-exports', () => {
  expect(each((file, { isExport }) => isExport && file !== 'src/index.ts')).toEqual([]);
  expect(readSource('src/index.ts')).not.toMatch(/export \*/);
});

test('native runtimes stay in src/runtime and are loaded when needed', () => {
  const native = (from: string): boolean => NATIVE.includes(packageOf(from));
  expect(each((file, { from }) => native(from) && !file.startsWith('src/runtime/'))).toEqual([]);
  expect(each((_, { from, isType, isDynamic }) => native(from) && !isType && !isDynamic)).toEqual([]);
});

test('zod is a value only where schemas are defined', () => {
  const wrong = each(
    (file, { from, isType, isDynamic }) =>
      from === 'zod' && !isType && !isDynamic && !/^src\/(report\/schemas|jobs)\//.test(file),
  );
  expect(wrong).toEqual([]);
});

describe('the start path', () => {
  /** Everything that loading these files loads: files of the project, `node:` modules, packages. */
  const reach = (starts: readonly string[]): Set<string> => {
    const seen = new Set<string>();
    const queue = [...starts];
    for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      if (!file.endsWith('.ts')) continue;
      for (const { from, file: target, isType, isDynamic } of importsOf(file)) {
        if (!isType && !isDynamic) queue.push(target ?? from);
      }
    }
    return seen;
  };

  test('--version and --help load a handful of files and no package', () => {
    const start = [...reach(['tools/main.ts'])];
    expect(start.filter((file) => !/^(tools|src\/(cli|core))\//.test(file))).toEqual([]);
    expect(start.length).toBeLessThan(8);
  });

  const tools = files.filter((file) => file.startsWith('tools/') && !/(index|main)\.ts$/.test(file));
  test.each(tools)('%s is described without a package or a job', (file) => {
    const heavy = [...reach([file])].filter(
      (one) => !/^(src|tools|node:)/.test(one) || one.startsWith('src/jobs/'),
    );
    expect(heavy).toEqual([]);
  });
});
