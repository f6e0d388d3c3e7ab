import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FileSource } from '../../src/core/source.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-source-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(process.platform === 'win32')('a named pipe without a writer is refused at once', () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(() => new FileSource(pipe)).toThrow(
    expect.objectContaining({ code: 'file/not-found', message: `${pipe}: not a regular file` }),
  );
});

test('a folder is no file', () => {
  expect(() => new FileSource(folder)).toThrow(
    expect.objectContaining({ code: 'file/not-found', hint: 'give a file in it' }),
  );
});

test('positioned reads, and none beyond the end', () => {
  const path = join(folder, 'bytes');
  writeFileSync(path, Uint8Array.of(1, 2, 3, 4));
  const source = new FileSource(path);
  expect([source.size, Array.from(source.read(1, 2))]).toEqual([4, [2, 3]]);
  expect(() => source.read(3, 2)).toThrow(expect.objectContaining({ code: 'file/truncated' }));
  source.close();
});
