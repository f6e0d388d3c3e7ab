import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { OrthoError } from '../../src/core/errors.ts';
import { silentIo } from '../../src/core/job-io.ts';
import { float32Tensor } from '../../src/core/tensor.ts';
import { writeNpy } from '../../src/formats/npy.ts';
import { benchModels } from '../../src/jobs/bench.ts';
import type { BenchOptions } from '../../src/jobs/bench-options.ts';
import { writeAtomically } from '../../src/jobs/output.ts';
import { bench as benchSchema } from '../../src/report/schemas/bench.ts';
import { ortho } from '../support/cli.ts';

const file = (name: string): string => new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url).pathname;
const model = (name: string): { file: string } => ({ file: file(name) });

const folder = mkdtempSync(join(tmpdir(), 'ortho-bench-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failure = async (options: BenchOptions): Promise<OrthoError> => {
  try {
    await benchModels(options);
  } catch (error) {
    return error as OrthoError;
  }
  throw new Error('it did not fail');
};

test('several models: alone, together, and with spinning stopped', async () => {
  const report = await benchModels({ models: [model('add'), model('conv-bn-relu')], duration: 0.3 });
  expect(report.schema).toBe('bench@1');
  expect(report.ok).toBe(true);
  expect(benchSchema.parse(report.data)).toEqual(report.data);
  const { models, pipeline, comparisons, environment } = report.data;
  expect(models.map(({ name }) => name)).toEqual(['add.onnx', 'conv-bn-relu.onnx']);
  expect(models[0]?.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [1, 3] }]);
  expect(models[1]?.session).toEqual({
    runtime: 'onnxruntime-node',
    level: 'all',
    threads: null,
    spinning: 'default',
  });
  for (const { loadMs, firstMs, summary } of models) {
    expect(loadMs).toBeGreaterThan(0);
    expect(firstMs).toBeGreaterThan(0);
    expect(summary.n).toBeGreaterThanOrEqual(5);
    expect(summary.min).toBeLessThanOrEqual(summary.p50);
  }
  expect(pipeline?.stages.map(({ name }) => name)).toEqual(['add.onnx', 'conv-bn-relu.onnx']);
  expect(pipeline?.stages.every(({ togetherSpinStopP50 }) => togetherSpinStopP50 !== null)).toBe(true);
  expect(comparisons).toEqual([]);
  expect(environment.onnxruntime).toMatch(/^\d+\.\d+/);
  expect(report.findings.filter(({ rule }) => rule === 'assumed-shape').length).toBe(1);
});

test('against a baseline; the same file twice gets two names', async () => {
  const report = await benchModels({
    models: [model('conv-bn-relu')],
    baseline: model('conv-bn-relu'),
    duration: 0.2,
    margin: 1,
    session: { threads: 1 },
  });
  const [comparison] = report.data.comparisons;
  expect(comparison?.baseline).toBe('conv-bn-relu.onnx');
  expect(comparison?.candidate).toBe('conv-bn-relu.onnx#2');
  expect(comparison?.sessions).toBeGreaterThanOrEqual(3);
  expect(comparison?.pairs).toBeGreaterThanOrEqual(30);
  const [low, high] = comparison!.ci95;
  expect(low).toBeLessThanOrEqual(comparison!.ratio);
  expect(high).toBeGreaterThanOrEqual(comparison!.ratio);
  expect(report.data.pipeline).toBeNull();
  expect(report.data.models.length).toBe(2);
});

test('inputs come from a file, dimensions from the caller', async () => {
  const npy = join(folder, 'x.npy');
  const bytes = writeNpy(float32Tensor([5, 3], new Float32Array(15)));
  await writeAtomically(npy, (sink) => {
    for (const part of bytes) sink.write(part);
  });
  const shapeOf = async (options: Partial<BenchOptions>): Promise<unknown> => {
    const report = await benchModels({ models: [model('add')], duration: 0.05, ...options });
    expect(report.findings.some(({ rule }) => rule === 'assumed-shape')).toBe(false);
    return report.data.models[0]?.inputs[0]?.shape;
  };
  expect(await shapeOf({ given: { files: [{ name: 'x', path: npy }], shapes: [] } })).toEqual([5, 3]);
  expect(await shapeOf({ given: { files: [{ name: undefined, path: npy }], shapes: [] } })).toEqual([5, 3]);
  expect(await shapeOf({ given: { files: [], shapes: [{ name: 'x', dims: [7, 3] }] } })).toEqual([7, 3]);
  expect(
    await shapeOf({ models: [{ ...model('add'), name: 'n', shapes: new Map([['x', [4, 3]]]) }] }),
  ).toEqual([4, 3]);
});

test('what cannot be measured', async () => {
  const missing = { file: join(folder, 'nope.onnx') };
  expect((await failure({ models: [missing] })).code).toBe('file/not-found');
  expect((await failure({ models: [model('convtranspose-group0')], duration: 0.1 })).code).toBe(
    'runtime/crashed',
  );
  const wrongShape = { files: [], shapes: [{ name: 'x', dims: [1, 4] }] };
  expect((await failure({ models: [model('add')], given: wrongShape, duration: 0.1 })).code).toBe(
    'usage/input-shape',
  );
  const wrongName = { files: [], shapes: [{ name: 'z', dims: [1, 4] }] };
  const unnamed = await failure({ models: [model('add')], given: wrongName, duration: 0.1 });
  expect([unnamed.code, unnamed.message]).toEqual(['usage/option', 'no model has an input "z"']);
});

test('interrupting ends it', async () => {
  const controller = new AbortController();
  const io = { ...silentIo(), signal: controller.signal, progress: () => controller.abort() };
  const error = await failure({ models: [model('add')], duration: 60, io });
  expect(error.code).toBe('internal/interrupted');
});

test('one bad model among several is a finding, and the exit code is that of its error', () => {
  const { status, stdout } = ortho([
    'bench',
    file('add'),
    file('int4-output'),
    '--duration',
    '0.1',
    '--alone',
    '--json',
  ]);
  expect(status).toBe(5);
  const report = JSON.parse(stdout);
  expect(report.ok).toBe(false);
  expect(report.data.models.length).toBe(1);
  const finding = report.findings.find(({ level }: { level: string }) => level === 'error');
  expect(finding.rule).toBe('runtime/crashed');
  expect(finding.at.file).toBe(file('int4-output'));
  expect(finding.hint).toContain('4-bit');
});
