/**
 * Adding a thing is one file and one line: a file that defines one and is not listed would be dead. What looks like
 * the entries of a registry (has every field that all of them have) and lies beside it must be one of them.
 */
import { describe, expect, test } from 'vitest';
import { renderers } from '../src/report/index.ts';
import { reportSchemas } from '../src/report/schemas/index.ts';
import { tools } from '../tools/index.ts';
import { repository } from './support/golden.ts';
import { importsOf, readSource, sourceFiles } from './support/sources.ts';

const REGISTRY = /as const satisfies Record</;
const files = sourceFiles('src', 'tools');
/** The operator rules keep their list beside the function that `index.ts` is for. */
const indexes = files.filter(
  (file) =>
    (file.endsWith('/index.ts') && REGISTRY.test(readSource(file))) || file === 'src/ops/infer/rules.ts',
);

/** Entries of these are functions, schemas or files that load late; their declarations say what they are. */
const BY_DECLARATION = new Map([
  ['src/formats/index.ts', /^export const open(Npz|Safetensors|Torch\w+) =/m],
  ['src/report/schemas/index.ts', /^export type \w+Data = Frozen[\s\S]*|^export type \w+Data = \w+ \|/m],
  ['src/ops/infer/rules.ts', /^export const \w+: RuleTable =/m],
  ['src/report/layouts/index.ts', /^export const \w+: Layout</m],
  ['tools/index.ts', /^export const tool = defineTool\(/m],
]);
const PARTS_OF_REPORTS = ['common.ts', 'envelope.ts', 'bench-load.ts', 'bench-profile.ts'];

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

const load = (file: string): Promise<Fields> => import(`${repository}dist/${file.replace(/\.ts$/, '.js')}`);

const besideOf = (index: string): string[] => {
  const folder = index.slice(0, index.lastIndexOf('/') + 1);
  return files.filter(
    (file) => file.startsWith(folder) && !file.slice(folder.length).includes('/') && file !== index,
  );
};

/** The files beside an index that define an entry, found by declaration. */
const declared = (index: string, pattern: RegExp): string[] =>
  besideOf(index).filter(
    (file) => pattern.test(readSource(file)) && !PARTS_OF_REPORTS.some((part) => file.endsWith(`/${part}`)),
  );

const isByDeclaration = (index: string): boolean => BY_DECLARATION.has(index);

describe('every file that defines an entry is listed', () => {
  test.each(indexes.filter(isByDeclaration))('in %s', (index) => {
    const entries = declared(index, BY_DECLARATION.get(index)!);
    expect(entries.length).toBeGreaterThan(0);
    const listed = new Set(importsOf(index).map(({ file }) => file));
    expect(entries.filter((file) => !listed.has(file))).toEqual([]);
  });

  test.each(indexes.filter((index) => !isByDeclaration(index)))('in %s', async (index) => {
    const registries = Object.values(await load(index)).filter(isFields);
    const entries = registries.flatMap((registry) => Object.values(registry)).filter(isFields);
    expect(entries.length).toBeGreaterThan(0);
    const shared = Object.keys(entries[0]!).filter((key) =>
      entries.every((entry) => typeof entry[key] === typeof entries[0]![key]),
    );
    expect(shared.length).toBeGreaterThan(1);
    const missing: string[] = [];
    for (const file of besideOf(index)) {
      for (const [name, value] of Object.entries(await load(file))) {
        const isEntry =
          isFields(value) && shared.every((key) => typeof value[key] === typeof entries[0]![key]);
        if (isEntry && !entries.includes(value)) missing.push(`${file}: ${name}`);
      }
    }
    expect(missing).toEqual([]);
  });
});

test('the registries are found', () => expect(indexes.length).toBeGreaterThan(7));

describe('tools', () => {
  test.each(Object.entries(tools))('%s has the name and summary it is listed with', async (name, command) => {
    const { tool } = await command.load();
    expect({ name: tool.name, summary: tool.summary }).toEqual({ name, summary: command.summary });
    expect(tool.examples.length).toBeGreaterThan(0);
    for (const { command: typed } of tool.examples) expect(typed).toMatch(new RegExp(`^ortho ${name} `));
  });

  test('every tool has the schema of its report', () => {
    expect(Object.keys(tools).filter((name) => !Object.hasOwn(reportSchemas, name))).toEqual([]);
  });
});

test('renderers are listed under their names', () => {
  expect(Object.values(renderers).map(({ name }) => name)).toEqual(Object.keys(renderers));
});
