import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/core/errors.ts';
import { error as errorSchema } from '../../src/report/schemas/envelope.ts';
import { toy } from '../support/cli.ts';
import { repository } from '../support/golden.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('commands', () => {
  test('the nearest command is named', () => {
    expect(toy(['atc'])).toEqual({
      status: 2,
      stdout: '',
      stderr: 'ortho: usage/unknown-name: there is no command "atc"\nHint: did you mean ortho act?\n',
    });
    expect(toy(['__proto__'])).toMatchObject({ status: 2, stdout: '' });
    expect(toy(['constructor'])).toMatchObject({ status: 2, stdout: '' });
  });

  test('nothing at all is a usage error, help is not', () => {
    const nothing = toy([]);
    expect(nothing).toMatchObject({ status: 2, stdout: '' });
    for (const words of [['--help'], ['-h'], ['help']]) {
      expect(toy(words)).toEqual({ status: 0, stdout: nothing.stderr, stderr: '' });
    }
  });

  test('help of a tool, from anywhere', () => {
    const { stdout, status } = toy(['act', '--help']);
    expect(status).toBe(0);
    expect(stdout).toContain('Usage: ortho act FILE... [options]');
    expect(stdout.indexOf('Examples:')).toBeLessThan(stdout.indexOf('Options:'));
    expect(stdout).toContain('--margin P');
    expect(stdout).toContain('(default: 3%)');
    expect(stdout).toMatch(/--no-color +no colours/);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(toy(['help', 'act']).stdout).toBe(stdout);
    expect(toy(['act', '--nonsense', '-h']).stdout).toBe(stdout);
    expect(toy(['write', '--help']).stdout).toContain('Usage: ortho write [FILE] -o OUT [options]');
  });

  test('a tool that does not load is a bug', () => {
    expect(toy(['broken'])).toMatchObject({ status: 70, stdout: '' });
  });
});

describe('errors', () => {
  /** One code an exit code. */
  const byExit = [...new Map(Object.entries(ERROR_CODES).map(([code, { exit }]) => [exit, code]))];

  test.each(byExit)('exit %i of %s', (exit, code) => {
    const { status, stdout, stderr } = toy(['act', 'f', '-q', '--throw', code]);
    expect(status).toBe(exit);
    expect(stdout).toBe('');
    const lines = stderr.trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual([`ortho: ${code}: it \\x1b[2J failed\\nbadly`, 'Hint: do better']);
    if (code !== 'internal/bug') expect(lines).toHaveLength(2);
  });

  test.each([['--json'], ['--format', 'json'], ['--format=json']])('with %s %s also as JSON', (...words) => {
    const { status, stdout } = toy(['act', 'f', '--throw', 'model/invalid', ...words]);
    expect(status).toBe(3);
    const parsed = errorSchema.parse(JSON.parse(stdout));
    expect(parsed).toMatchObject({
      schema: 'error@1',
      ok: false,
      exitCode: 3,
      findings: [{ level: 'error', rule: 'model/invalid', hint: 'do better', at: { node: 'n' } }],
    });
  });

  test('a usage error too', () => {
    const { stdout, status } = toy(['act', '--json', '--nonsense']);
    expect(status).toBe(2);
    expect(errorSchema.parse(JSON.parse(stdout)).findings[0]!.rule).toBe('usage/option');
    expect(JSON.parse(toy(['nonsense', '--json']).stdout).findings[0].rule).toBe('usage/unknown-name');
  });

  test('anything else is a bug, with its stack', () => {
    const { status, stdout, stderr } = toy(['act', 'f', '--crash']);
    expect(status).toBe(70);
    expect(stdout).toBe('');
    expect(stderr).toContain('ortho: internal/bug: x is not a function\n');
    expect(stderr).toMatch(/TypeError: x is not a function\n +at /);
    expect(stderr).toContain('This is a bug in ortho');
  });
});

describe('reports', () => {
  test.each([
    [['--json', '--format', 'md'], 'usage/conflict: --json contradicts --format md'],
    [['-q', '-v'], 'usage/conflict: -q contradicts -v'],
  ])('%j is refused', (words, message) => {
    const { status, stderr } = toy(['act', 'f', ...words]);
    expect(stderr.split('\n')[0]).toBe(`ortho: ${message}`);
    expect(status).toBe(2);
  });

  test('a report that is not ok exits 1, or as the tool says', () => {
    expect(toy(['act', 'f', '--refuse']).status).toBe(1);
    expect(toy(['act', 'f', '--odd']).status).toBe(3);
  });

  test.each([
    ['text', /^act f \(1 B\): ok\n/],
    ['md', /^## act: f: ok\n/],
    ['json', /^\{\n {2}"schema": "act@1"/],
  ])('as %s on stdout', (format, expected) => {
    expect(toy(['act', 'f', '--format', format]).stdout).toMatch(expected);
  });

  test.each(['html', 'junit', 'github', 'sarif'])(
    '%s is not built yet: exit 4, before the work',
    (format) => {
      const { status, stdout, stderr } = toy(['act', 'f', '--format', format]);
      expect(status).toBe(4);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^ortho: report\/unsupported-format: /);
    },
  );

  test('plain text', () => {
    expect(toy(['act', 'f', '--plain'])).toMatchObject({ status: 0, stdout: 'plain text\n' });
  });

  test('to a file by its extension, beside the one on stdout', () => {
    const file = join(folder, 'report.json');
    const first = toy(['act', 'f', '--report', file]);
    expect(first).toMatchObject({ status: 0 });
    expect(first.stdout).toMatch(/^act f/);
    expect(JSON.parse(readFileSync(file, 'utf8')).schema).toBe('act@1');
    expect(toy(['act', 'f', '--report', file])).toMatchObject({ status: 2, stdout: '' });
    expect(toy(['act', 'f', '--report', file, '--force']).status).toBe(0);
    expect(toy(['act', file, '--report', file, '--force']).stderr).toContain('usage/conflict');
    expect(toy(['act', 'f', '--input', `x=${file}`, '--report', file, '--force']).stderr).toContain(
      'usage/conflict',
    );
    expect(toy(['act', 'f', '--report', join(folder, 'r.sarif')]).status).toBe(4);
    expect(toy(['act', 'f', '--report', join(folder, 'none', 'r.json')]).status).toBe(5);
    expect(toy(['write', '-o', join(folder, 'r.md'), '--report', join(folder, 'r.md')]).status).toBe(2);
    expect(readdirSync(folder)).toEqual(['report.json']);
    rmSync(file);
  });

  test('-q and -v decide what stderr says', () => {
    expect(toy(['act', 'f', '-q']).stderr).toBe('');
    expect(toy(['act', 'f', '-v']).stderr).toBe('a detail \\x1b[31m\nwarning: look out\n');
  });

  test('colours: only on a terminal, or forced, never with NO_COLOR or --no-color', () => {
    const start = '\u001b[';
    expect(toy(['act', 'f']).stdout).not.toContain(start);
    expect(toy(['act', 'f'], { env: { FORCE_COLOR: '1' } }).stdout).toContain(start);
    expect(toy(['act', 'f'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } }).stdout).not.toContain(start);
    expect(toy(['act', 'f', '--no-color'], { env: { FORCE_COLOR: '1' } }).stdout).not.toContain(start);
    expect(toy(['act', 'f', '--throw', 'model/invalid'], { env: { FORCE_COLOR: '1' } }).stderr).toContain(
      `${start}31mortho`,
    );
  });
});

describe('interruption', () => {
  const interrupt = (signal: NodeJS.Signals, target: string) =>
    new Promise<{ code: number | null; stderr: string }>((resolve) => {
      const words = [`${repository}test/cli/toy.mjs`, 'act', 'f', '-q', '--force', '--wait', target];
      const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
      let stderr = '';
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
        if (String(chunk).includes('ready')) child.kill(signal);
      });
      child.on('close', (code) => resolve({ code, stderr }));
    });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s exits 130 and leaves the old output',
    async (signal) => {
      const target = join(folder, 'out');
      writeFileSync(target, 'old');
      const { code, stderr } = await interrupt(signal, target);
      expect(code).toBe(130);
      expect(stderr).toContain(`ortho: internal/interrupted: stopped by ${signal}`);
      expect(readFileSync(target, 'utf8')).toBe('old');
      expect(readdirSync(folder)).toEqual(['out']);
      rmSync(target);
    },
  );

  test('a reader that goes away is no error', async () => {
    const code = await new Promise((resolve) => {
      const child = spawn(process.execPath, [`${repository}test/cli/toy.mjs`, 'act', 'f', '-q'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      child.stdout.destroy();
      child.on('close', resolve);
    });
    expect(code).toBe(0);
  });
});
