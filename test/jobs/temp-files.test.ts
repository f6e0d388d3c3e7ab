/** Folders for whole jobs: gone when the job ends, is interrupted, or, after a kill, when the next one starts. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { writeModel } from '../../src/jobs/model-file.ts';
import { forgetTempFile, reserveTempFile, targetOf, withTempFolder } from '../../src/jobs/temp-files.ts';
import { repository } from '../support/golden.ts';
import { modelFromText } from '../support/model-text.ts';

const root = mkdtempSync(join(tmpdir(), 'ortho-temp-test-'));
const given = process.env.TMPDIR;
let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(root, 'tmp-'));
  process.env.TMPDIR = parent;
});
afterEach(() => {
  if (given === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = given;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test.skipIf(process.platform === 'win32')('gone after success and after failure', async () => {
  const seen: string[] = [];
  const use = async (folder: string): Promise<number> => {
    seen.push(folder);
    writeFileSync(join(folder, 'file'), 'x');
    return readdirSync(folder).length;
  };
  expect(await withTempFolder(use)).toBe(1);
  const failing = withTempFolder(async (folder) => {
    await use(folder);
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(seen.map((folder) => dirname(folder))).toEqual([parent, parent]);
  expect(readdirSync(parent)).toEqual([]);
});

test.skipIf(process.platform === 'win32')('sweeps what dead processes left, and nothing else', async () => {
  const name = await withTempFolder(async (folder) => basename(folder));
  const dead = spawnSync(process.execPath, ['--version']).pid;
  const stale = name.replace(`-${process.pid}-`, `-${dead}-`);
  const kept = [name, 'ortho-mine', `${stale}-more`].sort();
  for (const folder of [stale, ...kept]) {
    mkdirSync(join(parent, folder));
    writeFileSync(join(parent, folder, 'file'), 'x');
  }
  await withTempFolder(async () => {});
  expect(readdirSync(parent).sort()).toEqual(kept);
});

test.skipIf(process.platform === 'win32')('no place for one is an error of the output', async () => {
  process.env.TMPDIR = join(parent, 'nowhere');
  await expect(withTempFolder(async () => {})).rejects.toMatchObject({
    code: 'output/unwritable',
    hint: expect.stringContaining('TMPDIR'),
  });
});

test('a temporary file stands for its target', () => {
  const target = join(parent, 'out.onnx');
  const reserved = reserveTempFile(target);
  expect(targetOf(reserved)).toBe(target);
  expect(targetOf(target)).toBe(target);
  forgetTempFile(reserved);
});

test.skipIf(process.platform === 'win32')('an interrupted quantize leaves none', async () => {
  const input = join(root, 'in.onnx');
  const weights = Array.from({ length: 64 }, (_, i) => (i % 7) - 3).join(',');
  await writeModel(
    input,
    modelFromText(`g (float[1,8] x) => (float[1,8] y) <float[8,8] w = {${weights}}> { y = MatMul (x, w) }`),
  );
  const main = join(repository, 'dist/cli/main.js');
  const output = join(root, 'out.onnx');
  const child = spawn(process.execPath, [main, 'quantize', input, '-o', output, '--scheme', 'dynamic'], {
    env: { ...process.env, TMPDIR: parent },
    stdio: 'ignore',
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  while (readdirSync(parent).length === 0 && child.exitCode === null) await sleep(5);
  child.kill('SIGINT');
  const code = await ended;
  // Where the machine was so slow that the job ended first, there is nothing left either.
  expect([130, 0]).toContain(code);
  expect(existsSync(output)).toBe(code === 0);
  expect(readdirSync(parent)).toEqual([]);
});
