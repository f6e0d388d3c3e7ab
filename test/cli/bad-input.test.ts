/** What people really give to a tool: each gets one line, a hint, the documented exit code, and loses nothing. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeModel } from '../../src/proto/encode.ts';
import { joinSegments } from '../../src/proto/segments.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { type Outcome, ortho } from '../support/cli.ts';
import { repository } from '../support/golden.ts';

const checkpoint = join(repository, 'models/raw/mtcnn-onet.pth.tar');
const half = join(repository, 'models/raw/mtcnn-pnet.pth.tar');
let folder: string;
let outputs: string;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-bad-'));
  outputs = at('outputs');
  mkdirSync(outputs);
  const bytes = readFileSync(half);
  writeFileSync(at('truncated.pth'), bytes.subarray(0, bytes.length / 2));
  writeFileSync(at('page.pth'), '<!DOCTYPE html><html><body>404</body></html>');
  writeFileSync(at('empty.pth'), '');
  // An empty zip: an end-of-central-directory record and nothing else.
  writeFileSync(at('no-data.pth'), Buffer.concat([Buffer.from('PK\x05\x06', 'latin1'), Buffer.alloc(18)]));
  const model = (text: string): Uint8Array => joinSegments(encodeModel(parseModelText(text)));
  writeFileSync(
    at('cycle.onnx'),
    model(
      '<ir_version: 8, opset_import: ["" : 17]> g (float[1] x) => (float[1] y) { y = Add(x, b) b = Relu(y) }',
    ),
  );
  const external = (location: string): Uint8Array =>
    model(
      `<ir_version: 8, opset_import: ["" : 17]> g (float[4] x) => (float[4] y)
       <float[4] w = ["location": "${location}"]> { y = Add(x, w) }`,
    );
  writeFileSync(at('missing-data.onnx'), external('nowhere.bin'));
  writeFileSync(at('escaping-data.onnx'), external('../../etc/passwd'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const expectRefusal = ({ status, stdout, stderr }: Outcome, exit: number, says: RegExp): void => {
  expect({ status, stderr }).toEqual({ status: exit, stderr: expect.stringMatching(says) });
  const said = stdout + stderr;
  expect(said).not.toMatch(/\n\s+at .*:\d+:\d+|node:internal/);
  expect(said).toMatch(/hint/i);
  expect(readdirSync(outputs)).toEqual([]);
};

const out = (): string => join(outputs, 'out.onnx');

describe('convert', () => {
  test.each([
    ['truncated.pth', 3, /truncated|cut off|ends|central directory/i],
    ['page.pth', 3, /HTML/],
    ['empty.pth', 3, /empty/],
    ['no-data.pth', 3, /data\.pkl|empty/],
    ['nowhere.pth', 3, /no such file/],
  ])('%s', (name, exit, says) => {
    expectRefusal(ortho(['convert', at(name), '-o', out()]), exit, says);
  });

  test('an unknown architecture names the nearest', () => {
    expectRefusal(ortho(['convert', checkpoint, '-o', out(), '--architecture', 'onett']), 2, /onet\b/);
  });

  test.each([['input=1,4,48,48'], ['input=1,3,48'], ['nobody=1,3,48,48']])('--input-shape %s', (shape) => {
    expectRefusal(
      ortho(['convert', checkpoint, '-o', out(), '--input-shape', shape]),
      2,
      /usage\/input-shape/,
    );
  });

  test('no state dict of a known net', () => {
    const outcome = ortho([
      'convert',
      join(repository, 'test/fixtures/checkpoints/t2.sd.zip.pth'),
      '-o',
      out(),
    ]);
    expectRefusal(outcome, 4, /no-architecture/);
  });

  test('keys that keep their prefix match nothing', () => {
    const { status, stdout } = ortho(['convert', checkpoint, '-o', out(), '--no-strip-prefix']);
    expect(status).toBe(1);
    expect(stdout).toMatch(/no-strip-prefix/);
    expect(readdirSync(outputs)).toEqual([]);
  });
});

describe('models', () => {
  test.each([
    ['cycle.onnx', 3, /cycle/],
    ['missing-data.onnx', 3, /nowhere\.bin/],
    ['escaping-data.onnx', 3, /folder/],
    ['page.pth', 3, /HTML/],
  ])('optimize %s', (name, exit, says) => {
    expectRefusal(ortho(['optimize', at(name), '-o', out()]), exit, says);
  });
});

describe('outputs', () => {
  test('a folder that does not exist', () => {
    expectRefusal(ortho(['convert', checkpoint, '-o', join(outputs, 'no', 'out.onnx')]), 5, /does not exist/);
  });

  test.skipIf(process.getuid?.() === 0)('a folder that cannot be written', () => {
    chmodSync(outputs, 0o500);
    try {
      expectRefusal(ortho(['convert', checkpoint, '-o', out()]), 5, /permission/);
    } finally {
      chmodSync(outputs, 0o700);
    }
  });

  test('a full device', () => {
    const { status, stderr } = ortho(['convert', checkpoint, '-o', '/dev/full']);
    expect({ status, stderr }).toEqual({ status: 5, stderr: expect.stringMatching(/no space left/) });
  });

  test('an output that exists stays', () => {
    writeFileSync(at('taken.onnx'), 'mine');
    const { status, stderr } = ortho(['convert', checkpoint, '-o', at('taken.onnx')]);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/--force/) });
    expect(readFileSync(at('taken.onnx'), 'utf8')).toBe('mine');
  });

  test('an output that is the input', () => {
    const before = readFileSync(half);
    const copy = at('copy.pth.tar');
    writeFileSync(copy, before);
    const { status } = ortho(['remap', copy, '-o', copy, '--strip-prefix', 'module.', '--force']);
    expect(status).toBe(2);
    expect(readFileSync(copy).equals(before)).toBe(true);
  });
});

test('Ctrl-C in the middle: 130, nothing left', async () => {
  const place = mkdtempSync(join(folder, 'interrupt-'));
  const child = spawn(
    process.execPath,
    [
      join(repository, 'dist/cli/main.js'),
      'convert',
      join(repository, 'models/raw/landmarks-gdconv.pth.tar'),
      '-o',
      join(place, 'out.onnx'),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = new Promise<number | null>((resolve) => {
    child.on('exit', resolve);
  });
  // The temporary file shows that the work has begun.
  while (readdirSync(place).length === 0 && child.exitCode === null) await sleep(5);
  child.kill('SIGINT');
  expect(await ended).toBe(130);
  expect(readdirSync(place)).toEqual([]);
});
