/** The built command, from outside: streams, exit codes, and that no input or old output is touched. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { envelope, error as errorSchema } from '../../src/report/schemas/envelope.ts';
import { reportSchemas } from '../../src/report/schemas/index.ts';
import { tools } from '../../tools/index.ts';
import { ortho } from '../support/cli.ts';
import { repository } from '../support/golden.ts';

const CHECKPOINT = 'models/raw/mtcnn-pnet.pth.tar';

let folder: string;
let input: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-built-'));
  input = join(folder, 'pnet.pth.tar');
  copyFileSync(`${repository}${CHECKPOINT}`, input);
});
afterEach(() => rmSync(folder, { recursive: true }));

test('--version', () => {
  const { version } = JSON.parse(readFileSync(`${repository}package.json`, 'utf8'));
  for (const flag of ['--version', '-V']) {
    expect(ortho([flag])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  }
});

test.skipIf(process.platform === 'win32')('the built file is a program of its own, as npx runs it', () => {
  const { bin } = JSON.parse(readFileSync(`${repository}package.json`, 'utf8'));
  const { status, error } = spawnSync(join(repository, bin.ortho), ['--version']);
  expect({ status, error }).toEqual({ status: 0, error: undefined });
});

test.skipIf(!existsSync('/dev/full'))('a full disk under stdout is an output failure', () => {
  const full = openSync('/dev/full', 'w');
  for (const words of [['--version'], ['--help'], ['remap', '--help'], ['inspect', input]]) {
    const { status, stderr } = ortho(words, { stdio: ['ignore', full, 'pipe'] });
    expect(stderr).toMatch(/^ortho: output\/unwritable: cannot write to stdout: [^\n]*\n$/);
    expect(status).toBe(5);
  }
  closeSync(full);
});

test('--help lists every command', () => {
  const { status, stdout, stderr } = ortho(['--help']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const [name, { summary }] of Object.entries(tools))
    expect(stdout).toMatch(`${name.padEnd(8)}  ${summary}`);
});

describe.each(Object.keys(tools))('%s', (name) => {
  test('--help', () => {
    const { status, stdout, stderr } = ortho([name, '--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain(`Usage: ortho ${name} `);
    expect(stdout).toContain('--report FILE');
  });

  test('a misspelt option is a usage error that names the nearest', () => {
    const { status, stdout, stderr } = ortho([name, 'x', '--theads', '2']);
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(`ortho: usage/option: ${name} has no option --theads\n`);
    expect(stderr).toContain('Hint: did you mean --threads?');
  });
});

test('a file that does not exist', () => {
  const missing = join(folder, 'none.onnx');
  const out = join(folder, 'out');
  const lines = [
    ['inspect', missing],
    ['remap', missing, '-o', `${out}.safetensors`],
    ['convert', missing, '-o', `${out}.onnx`],
    ['optimize', missing, '-o', `${out}.onnx`],
    ['quantize', missing, '-o', `${out}.onnx`, '--scheme', 'dynamic'],
    ['verify', missing, '--reference', missing],
    ['run', missing],
  ];
  for (const words of lines) {
    const { status, stdout, stderr } = ortho([...words, '--json']);
    expect(stderr).toMatch(/^ortho: file\/not-found: /);
    expect(stderr).toContain('none.onnx');
    expect(stderr).not.toContain('    at ');
    expect(status).toBe(3);
    expect(errorSchema.parse(JSON.parse(stdout)).findings[0]!.rule).toBe('file/not-found');
  }
  expect(readdirSync(folder)).toEqual(['pnet.pth.tar']);
});

test('a result goes to stdout and to the output, nothing else anywhere', () => {
  const output = join(folder, 'out.safetensors');
  const { status, stdout, stderr } = ortho(['remap', input, '-o', output, '--json', '-q']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const report = envelope('remap', reportSchemas.remap).parse(JSON.parse(stdout));
  expect(report.ok).toBe(true);
  expect(report.subject.file).toBe(input);
  expect(readdirSync(folder)).toEqual(['out.safetensors', 'pnet.pth.tar']);
});

describe('outputs', () => {
  test('one that exists is kept: exit 2', () => {
    const output = join(folder, 'old.safetensors');
    writeFileSync(output, 'old');
    const { status, stderr } = ortho(['remap', input, '-o', output]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^ortho: usage\/output-exists: [^\n]*\nHint: [^\n]*--force[^\n]*\n$/);
    expect(readFileSync(output, 'utf8')).toBe('old');
    expect(ortho(['remap', input, '-o', output, '--force']).status).toBe(0);
    expect(readFileSync(output).length).toBeGreaterThan(1000);
  });

  test('never an input: exit 2', () => {
    const before = readFileSync(input);
    expect(ortho(['remap', input, '-o', input, '--force']).status).toBe(2);
    expect(readFileSync(input).equals(before)).toBe(true);
  });

  test('a place that cannot be written: exit 5', () => {
    for (const output of [join(folder, 'none', 'out.safetensors'), join(input, 'out.safetensors')]) {
      const { status, stderr } = ortho(['remap', input, '-o', output]);
      expect(stderr).toMatch(/^ortho: output\/unwritable: [^\n]*\nHint: [^\n]*\n$/);
      expect(status).toBe(5);
    }
  });
});

test('a hostile file name does not reach the terminal as it is', () => {
  const name = join(folder, 'evil\u001b[31m\n.onnx');
  const { stderr, status } = ortho(['optimize', name, '-o', join(folder, 'o.onnx')]);
  expect(status).toBe(3);
  expect(stderr).toContain('evil\\x1b[31m\\n.onnx');
  expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(2);
});
