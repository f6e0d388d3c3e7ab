/** What goes wrong with one of several models, or in the middle: the rest is measured, kept and printed. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { silentIo } from '../../src/core/job-io.ts';
import { typedTensor } from '../../src/core/tensor.ts';
import { writeNpy } from '../../src/formats/npy.ts';
import { Graph } from '../../src/ir/graph.ts';
import { Model } from '../../src/ir/model.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { tensorType } from '../../src/ir/type.ts';
import { benchModels } from '../../src/jobs/bench.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { bench as benchSchema } from '../../src/report/schemas/bench.ts';
import { ortho } from '../support/cli.ts';
import { repository } from '../support/golden.ts';

const file = (name: string): string => new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'ortho-bench-bad-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quick = ['--duration', '0.2', '--alone', '--json', '--threads', '1'];
const names = (report: { data: { models: { name: string }[] } }): string[] =>
  report.data.models.map(({ name }) => name);
const errors = (report: { findings: { level: string; rule: string }[] }) =>
  report.findings.filter(({ level }) => level === 'error');

test('a model that hangs is stopped, and the others are measured', () => {
  const trips = join(folder, 'trips.npy');
  const count = typedTensor('int64', [], BigInt64Array.of(10n ** 18n));
  writeFileSync(trips, Buffer.concat([...writeNpy(count)]));
  const hanging = ['bench', file('endless-loop'), file('add'), '--input', `trips=${trips}`, '--timeout', '4'];
  const { status, stdout } = ortho([...hanging, ...quick]);
  const report = JSON.parse(stdout);
  expect(names(report)).toEqual(['add.onnx']);
  expect(errors(report).map(({ rule }) => rule)).toEqual(['runtime/timeout']);
  expect(status).toBe(5);
});

test('a missing file among several', () => {
  const { status, stdout } = ortho([
    'bench',
    file('add'),
    join(folder, 'no.onnx'),
    file('conv-bn-relu'),
    ...quick,
  ]);
  const report = JSON.parse(stdout);
  expect(names(report)).toEqual(['add.onnx', 'conv-bn-relu.onnx']);
  expect(errors(report).map(({ rule }) => rule)).toEqual(['file/not-found']);
  expect(status).toBe(3);
});

test('inputs that cannot be made up: it says what to do, and the others are measured', () => {
  // Nobody guesses 7919.
  const graph = new Graph('picky');
  const x = graph.addInput('x', tensorType('float32', ['n']));
  const shape = graph.addInitializer('shape', typedTensor('int64', [1], BigInt64Array.of(7919n)));
  const { output } = graph.add({ op: 'Reshape', inputs: [x, shape], outputs: ['r'] });
  graph.addOutput('y', output, tensorType('float32', [7919]));
  const model = new Model(graph);
  model.opsets.set('', 17);
  const parts = encodeModel(modelToProto(model)).map((segment) =>
    segment instanceof Uint8Array ? segment : segment.read(0, segment.size),
  );
  const picky = join(folder, 'picky.onnx');
  writeFileSync(picky, Buffer.concat(parts));
  const { status, stdout } = ortho(['bench', picky, file('add'), ...quick]);
  expect(status).toBe(2);
  const report = JSON.parse(stdout);
  expect(names(report)).toEqual(['add.onnx']);
  const [finding] = errors(report) as unknown as [{ rule: string; message: string; hint: string }];
  expect(finding.rule).toBe('usage/input-shape');
  expect(finding.message).toContain('picky.onnx');
  expect(finding.hint).toContain('--shape');
  const told = ortho(['bench', picky, ...quick, '--shape', '7919']);
  expect([told.status, names(JSON.parse(told.stdout))]).toEqual([0, ['picky.onnx']]);
});

test('a batch of a model whose batch is fixed', () => {
  const both = ['bench', file('add'), file('conv-bn-relu'), '--batch', '1,2', ...quick];
  const { status, stdout } = ortho(both);
  const report = JSON.parse(stdout);
  expect(benchSchema.parse(report.data)).toEqual(report.data);
  const swept = report.data.batches as { name: string; points: { batch: number }[] }[];
  const fixed = errors(report).length;
  expect(swept.length + fixed).toBe(2);
  for (const { points } of swept) expect(points.map(({ batch }) => batch)).toEqual([1, 2]);
  expect(status).toBe(fixed === 0 ? 0 : 2);
});

test('workers are measured, and the schema knows them', async () => {
  const report = await benchModels({
    models: [{ file: file('add') }, { file: file('conv-bn-relu') }],
    workers: 2,
    duration: 0.4,
    session: { threads: 1 },
  });
  expect(benchSchema.parse(report.data)).toEqual(report.data);
  expect(report.data.pipeline).toBeNull();
  expect(report.data.throughput.map(({ name, threads, load }) => [name, threads, load.workers])).toEqual([
    ['add.onnx', 1, 2],
    ['conv-bn-relu.onnx', 1, 2],
  ]);
  for (const { single, load, scaling } of report.data.throughput) {
    expect(scaling).toBeCloseTo(load.perSecond / single.perSecond);
  }
  for (const { memory, idleCpuShare, cpuMsPerRun, summary, summaryAll, disturbed } of report.data.models) {
    expect(memory!.peakMb).toBeGreaterThan(memory!.baseMb / 2);
    expect(idleCpuShare).toBeGreaterThanOrEqual(0);
    expect(cpuMsPerRun).toBeGreaterThan(0);
    expect(summary.n).toBe(disturbed.isLeftOut ? summaryAll.n - disturbed.samples : summaryAll.n);
  }
});

test('an interruption keeps what was measured, and says so', async () => {
  const controller = new AbortController();
  const said: string[] = [];
  const io = {
    ...silentIo(),
    signal: controller.signal,
    say: (message: string) => {
      said.push(message);
      if (message.includes('alone')) controller.abort();
    },
  };
  const models = [{ file: file('add') }, { file: file('conv-bn-relu') }];
  const report = await benchModels({ models, duration: 0.3, io, session: { threads: 1 } });
  expect(report.data.interrupted).toBe(true);
  expect(report.ok).toBe(false);
  expect(names(report as never)).toEqual(['add.onnx']);
  expect(report.data.pipeline).toBeNull();
  expect(report.findings.some(({ rule }) => rule === 'interrupted')).toBe(true);
  expect(said[0]).toMatch(/^measuring 2 models: about \d/);
});

describe.skipIf(process.platform === 'win32')('Ctrl-C', () => {
  test('prints what there is and exits 130', { timeout: 60_000 }, async () => {
    const args = ['bench', file('add'), file('conv-bn-relu'), '--duration', '50', '--json', '--threads', '1'];
    const child = spawn(process.execPath, [`${repository}dist/cli/main.js`, ...args]);
    let [stdout, stderr, isSent] = ['', '', false];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      if (isSent || !stderr.includes('add.onnx: p50')) return;
      isSent = true;
      child.kill('SIGINT');
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    expect(status).toBe(130);
    const report = JSON.parse(stdout);
    expect(report.schema).toBe('bench@1');
    expect(report.data.interrupted).toBe(true);
    expect(names(report)).toContain('add.onnx');
  });
});
