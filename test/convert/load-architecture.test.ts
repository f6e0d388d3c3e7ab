import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { architectures } from '../../src/convert/architectures/index.ts';
import { dryBuild } from '../../src/convert/build.ts';
import { loadArchitecture } from '../../src/convert/load-architecture.ts';

const folder = mkdtempSync(join(tmpdir(), 'ortho-architecture-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
const moduleOf = (source: string): string => {
  const path = join(folder, `module-${count++}.mjs`);
  writeFileSync(path, source);
  return path;
};

test('a name gives the registered one, a path the one of the module', async () => {
  expect(await loadArchitecture('pnet')).toBe(architectures.pnet);
  const zoo = fileURLToPath(new URL('../fixtures/convert/nn-zoo.mjs', import.meta.url));
  expect(await loadArchitecture(zoo)).toMatchObject({ name: 'nn-zoo' });
});

test.each([
  ['export const other = 1;', 'it exports no object'],
  ['export const architecture = { build() {} };', 'its "name"'],
  ['export const architecture = { name: "n", inputs: [] };', 'its "build"'],
  [
    'export const architecture = { name: "n", build() {}, inputs: [{ name: "x", shape: [0] }] };',
    'its "inputs"',
  ],
  ['export const architecture = {', 'does not load'],
  ['throw new Error("at home");', 'at home'],
])('a module that says %s is refused', async (source, text) => {
  const path = moduleOf(source);
  await expect(loadArchitecture(path)).rejects.toMatchObject({
    code: 'config/invalid',
    message: expect.stringContaining(text),
    at: { file: path },
  });
});

test.each([
  ['nn.noSuchLayer(x)', 'noSuchLayer'],
  ['({})', 'no outputs'],
  ['({ output: 3 })', 'no outputs'],
  ['({ output: nn.conv2d(x, "c", { out: 3, kernel: 1, groups: 2 }) })', '1 → 3 channels in 2 groups'],
])('a build that does %s fails with the name of the file', async (body, text) => {
  const path = moduleOf(
    `export default { name: 'n', inputs: [{ name: 'x', shape: [1, 1, 4, 4] }], build: (nn, x) => ${body} };`,
  );
  const architecture = await loadArchitecture(path);
  expect(() => dryBuild(architecture, new Map())).toThrow(
    expect.objectContaining({ code: 'config/invalid', message: expect.stringContaining(text) }),
  );
});

test('a module that is not there', async () => {
  await expect(loadArchitecture(join(folder, 'none.mjs'))).rejects.toMatchObject({ code: 'file/not-found' });
});
