import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { BaselineFile } from '../../src/jobs/baseline-file.ts';
import { baselineFile, readBaselineFile } from '../../src/jobs/baseline-file.ts';
import { writeChain } from '../support/chain-model.ts';
import { ortho } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ortho-stored-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const short = writeChain(folder, 'short.onnx', { matMuls: 10 });
const long = writeChain(folder, 'long.onnx', { matMuls: 1000 });
const other = writeChain(folder, 'other.onnx', { matMuls: 10, scale: 1.01 });
const stored = join(folder, 'stored.json');

interface Ran {
  readonly status: number | null;
  readonly comparisons: { baseline: string; verdict: string; regression?: string; ratio: number }[];
  readonly findings: { level: string; rule: string; message: string; hint?: string }[];
}

const bench = (...words: string[]): Ran => {
  const { status, stdout } = ortho(['bench', ...words, '--threads', '1', '--duration', '0.5', '--json']);
  const { data, findings } = JSON.parse(stdout);
  return { status, comparisons: data?.comparisons, findings };
};

/** A copy of the stored baseline with something changed. */
const changed = (name: string, change: (file: Record<string, unknown> & BaselineFile) => object): string => {
  const path = join(folder, name);
  const file = JSON.parse(readFileSync(stored, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...file, ...change(file) }));
  return path;
};

beforeAll(() => {
  expect(bench(short, '--save-baseline', stored).status).toBe(0);
}, 60_000);

test('it holds the machine, the options, the model and every session', () => {
  const file = readBaselineFile(stored);
  expect(baselineFile.parse(JSON.parse(readFileSync(stored, 'utf8')))).toEqual(file);
  expect(file.machine.processor).not.toBe('');
  expect(file.machine.node).toBe(process.versions.node);
  expect(file.session).toEqual({ level: 'all', threads: 1, spinning: 'default' });
  const [model] = file.models;
  expect(model?.file).toBe('short.onnx');
  expect(model?.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(model?.sessions.length).toBeGreaterThanOrEqual(3);
  expect(model?.outputs?.[0]?.name).toBe('y');
});

// How sure a live comparison is depends on the machine: what follows from its verdict does not.
test('a model is compared with the stored numbers, and outputs are checked', () => {
  const slow = bench(long, '--baseline', stored, '--max-regression', '5%');
  expect(slow.comparisons).toMatchObject([{ baseline: 'short.onnx' }]);
  expect(slow.comparisons[0]?.ratio).toBeGreaterThan(2);
  expect(slow.status).toBe(slow.comparisons[0]?.regression === 'proven' ? 1 : 0);
  const wrong = bench(other, '--baseline', stored);
  expect(wrong.comparisons).toEqual([]);
  expect(wrong.findings.find(({ rule }) => rule === 'parity')?.message).toContain('output "y"');
  expect(wrong.status).toBe(1);
});

test('other inputs are not the same measurement', () => {
  const { status, comparisons, findings } = bench(short, '--baseline', stored, '--seed', '7');
  expect(status).toBe(1);
  expect(comparisons).toEqual([]);
  expect(findings.find(({ rule }) => rule === 'parity')?.message).toContain('--seed');
});

test('numbers of another machine, runtime or option are refused, and what differs is named', () => {
  const refusal = (path: string, ...words: string[]): string => {
    const { status, findings } = bench(short, '--baseline', path, ...words);
    expect([status, findings[0]?.rule]).toEqual([3, 'baseline/refused']);
    expect(findings[0]?.hint).toContain('--remeasure');
    return findings[0]?.message ?? '';
  };
  const machine = changed('machine.json', (file) => ({
    machine: { ...file.machine, processor: 'abacus', onnxruntime: '1.2.3', node: '1.0.0' },
  }));
  const message = refusal(machine);
  expect(message).toMatch(/processor: .* instead of abacus/);
  expect(message).toMatch(/onnxruntime-node: .* instead of 1\.2\.3/);
  expect(message).toMatch(/node: .* instead of 1\.0\.0/);
  expect(refusal(stored, '--level', 'basic')).toContain('level: basic instead of all');
  const ruler = changed('ruler.json', () => ({ yardstick: '00' }));
  expect(refusal(ruler)).toContain('another version');
});

test('the stored model is measured again on another machine, if it is the same file', () => {
  const machine = (file: BaselineFile): object => ({ machine: { ...file.machine, cores: 1000 } });
  const there = changed('elsewhere.json', machine);
  const again = bench(long, '--baseline', there, '--remeasure');
  expect(again.status).toBe(0);
  expect(again.comparisons).toMatchObject([{ baseline: 'short.onnx' }]);

  mkdirSync(join(folder, 'moved'));
  const moved = join(folder, 'moved', 'stored.json');
  copyFileSync(there, moved);
  const gone = bench(long, '--baseline', moved, '--remeasure');
  expect([gone.status, gone.findings[0]?.rule]).toEqual([3, 'baseline/refused']);
  expect(gone.findings[0]?.message).toContain('is not there');
  copyFileSync(other, join(folder, 'moved', 'short.onnx'));
  const swapped = bench(long, '--baseline', moved, '--remeasure');
  expect(swapped.findings[0]?.message).toContain('is not the file that was measured');
});

test('one stored model of several is chosen by its name', () => {
  const two = changed('two.json', ({ models }) => ({
    models: [...models, { ...models[0], name: 'long.onnx', file: 'long.onnx' }],
  }));
  expect(bench(long, '--baseline', two).comparisons).toMatchObject([{ baseline: 'long.onnx' }]);
  const stranger = bench(writeChain(folder, 'stranger.onnx'), '--baseline', two);
  expect([stranger.status, stranger.findings[0]?.rule]).toEqual([2, 'usage/unknown-name']);
});

test('without stored outputs the comparison says that it proves nothing about them', () => {
  const silent = changed('silent.json', ({ models }) => ({ models: [{ ...models[0], outputs: null }] }));
  const { comparisons, findings } = bench(other, '--baseline', silent);
  expect(comparisons.length).toBe(1);
  expect(findings.map(({ rule }) => rule)).toContain('parity-not-checked');
});

test('a damaged file is named with its fault', () => {
  const fault = (path: string): string => {
    const { status, findings } = bench(short, '--baseline', path);
    expect([status, findings[0]?.rule]).toEqual([3, 'baseline/invalid']);
    return findings[0]?.message ?? '';
  };
  const text = join(folder, 'text.json');
  writeFileSync(text, '{"schema": ');
  expect(fault(text)).toContain('not JSON');
  expect(fault(changed('empty.json', () => ({ models: [] })))).toContain('models');
  const negative = changed('negative.json', ({ models }) => ({
    models: [{ ...models[0], sessions: [{ ms: 1, ratio: -1, pairs: 3 }] }],
  }));
  expect(fault(negative)).toContain('models[0].sessions');
  const cut = changed('cut.json', ({ models }) => ({
    models: [{ ...models[0], outputs: [{ ...models[0]?.outputs?.[0], base64: 'AAAA' }] }],
  }));
  expect(fault(cut)).toContain('output "y" has 3 bytes');
});

test('an output that exists is kept, and an input is never replaced', () => {
  expect(bench(short, '--save-baseline', stored).status).toBe(2);
  expect(bench(short, '--save-baseline', short, '--force').status).toBe(2);
  expect(bench(short, '--baseline', long, '--remeasure').status).toBe(2);
});
