import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { judgeComparison } from '../../src/jobs/bench-judgement.ts';
import { BenchLab } from '../../src/jobs/bench-lab.ts';
import { bench as benchSchema } from '../../src/report/schemas/bench.ts';
import { writeChain } from '../support/chain-model.ts';
import { ortho } from '../support/cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'ortho-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const short = writeChain(folder, 'short.onnx', { matMuls: 10 });
const long = writeChain(folder, 'long.onnx', { matMuls: 1000 });
const other = writeChain(folder, 'other.onnx', { matMuls: 10, scale: 1.01 });
const renamed = writeChain(folder, 'renamed.onnx', { matMuls: 10, output: 'z' });
const wider = writeChain(folder, 'wider.onnx', { matMuls: 10, rows: 5 });

interface Ran {
  readonly status: number | null;
  readonly report: {
    ok: boolean;
    data: { comparisons: { verdict: string; regression?: string; ratio: number }[]; parity: unknown[] };
    findings: { level: string; rule: string; message: string }[];
  };
  readonly rules: string[];
}

const bench = (...words: string[]): Ran => {
  const { status, stdout } = ortho(['bench', ...words, '--threads', '1', '--json']);
  const report = JSON.parse(stdout);
  return { status, report, rules: report.findings.map(({ rule }: { rule: string }) => rule) };
};

// How sure a live comparison is depends on the machine: what follows from its verdict does not.
test('a model that is proven slower by more than was allowed exits 1', () => {
  const slow = bench(long, '--baseline', short, '--duration', '2', '--max-regression', '5%');
  const [comparison] = slow.report.data.comparisons;
  expect(comparison?.ratio).toBeGreaterThan(2);
  const isProven = comparison?.regression === 'proven';
  expect(slow.rules.includes('regression')).toBe(isProven);
  expect(slow.status).toBe(isProven ? 1 : 0);
  expect(benchSchema.parse(slow.report.data)).toEqual(slow.report.data);
});

test('the same is only a warning when nothing was said of regressions, and faster is fine', () => {
  const slower = bench(long, '--baseline', short, '--duration', '1');
  expect(slower.rules.includes('slower-than-baseline')).toBe(
    slower.report.data.comparisons[0]?.verdict === 'slower',
  );
  expect(slower.status).toBe(0);
  const faster = bench(short, '--baseline', long, '--duration', '1', '--max-regression', '5%');
  expect(faster.report.data.comparisons[0]?.ratio).toBeLessThan(0.5);
  expect(faster.report.data.comparisons[0]?.regression).not.toBe('proven');
  expect(faster.status).toBe(0);
});

test('models whose outputs differ are not ranked; the output and the difference are named', () => {
  const { status, report, rules } = bench(other, '--baseline', short, '--duration', '0.3');
  expect(status).toBe(1);
  expect(report.data.comparisons).toEqual([]);
  expect(report.data.parity.length).toBe(1);
  expect(rules).toContain('parity');
  const finding = report.findings.find(({ rule }) => rule === 'parity');
  expect(finding?.message).toMatch(/output "y".*elements differ.*expected .*, found /);
});

test('parity may be loosened or ignored', () => {
  const loose = bench(other, '--baseline', short, '--duration', '0.3', '--tolerance', 'rtol:0.02');
  expect(loose.status).toBe(0);
  expect(loose.report.data.comparisons.length).toBe(1);
  const ignored = bench(other, '--baseline', short, '--duration', '0.3', '--ignore-parity');
  expect(ignored.status).toBe(0);
  expect(ignored.report.data.comparisons.length).toBe(1);
  expect(ignored.report.findings.find(({ rule }) => rule === 'parity')?.level).toBe('warning');
});

test('outputs and inputs that are called or shaped otherwise are named', () => {
  const names = bench(renamed, '--baseline', short, '--duration', '0.3');
  expect(names.status).toBe(1);
  expect(names.report.findings.find(({ rule }) => rule === 'parity')?.message).toContain(
    'its outputs are "z", those of the baseline "y"',
  );
  const shapes = bench(wider, '--baseline', short, '--duration', '0.3');
  expect(shapes.status).toBe(1);
  expect(shapes.report.findings.find(({ rule }) => rule === 'parity')?.message).toContain(
    'its inputs are "x" float32[5, 16], those of the baseline "x" float32[4, 16]',
  );
});

test('one candidate of several that differs does not keep the others from being compared', () => {
  const { status, report } = bench(other, short, '--baseline', long, '--alone', '--duration', '1');
  expect(status).toBe(1);
  expect(report.data.comparisons.map(({ verdict }) => verdict)).toEqual(['faster']);
});

test('a broken candidate is one finding, and the rest goes on', () => {
  const broken = join(folder, 'broken.onnx');
  writeFileSync(broken, 'nothing');
  const { status, report, rules } = bench(broken, short, '--baseline', long, '--alone', '--duration', '1');
  expect(status).toBe(3);
  expect(report.data.comparisons.length).toBe(1);
  expect(rules.filter((rule) => rule === 'model/invalid' || rule === 'model/truncated').length).toBe(1);
});

test('what an undecided regression means is the choice of the caller', () => {
  const result = {
    ratio: 1.05,
    ci95: [1.03, 1.07],
    verdict: 'slower',
    regression: 'inconclusive',
    sessions: 3,
    pairs: 30,
    sessionRatios: [1.05],
  } as const;
  const levels = (onInconclusive: 'fail' | 'pass'): string[] => {
    const lab = new BenchLab({ models: [] });
    const candidate = { name: 'b', path: 'b.onnx', feeds: new Map(), isBaseline: false };
    judgeComparison(lab, 'a', candidate, result, { margin: 0.03, maxRegression: 0.05, onInconclusive });
    return lab.findings.map(({ level, rule }) => `${level} ${rule}`);
  };
  expect(levels('pass')).toEqual(['warning slower-than-baseline', 'warning regression-inconclusive']);
  expect(levels('fail')).toEqual(['warning slower-than-baseline', 'error regression-inconclusive']);
});

test('options that say what no gate asks for are refused', () => {
  const { status, stderr } = ortho(['bench', short, '--baseline', long, '--on-inconclusive', 'fail']);
  expect(status).toBe(2);
  expect(stderr).toContain('--max-regression');
  const alone = ortho(['bench', short, '--max-regression', '5%']);
  expect(alone.status).toBe(2);
  expect(alone.stderr).toContain('--baseline');
});
