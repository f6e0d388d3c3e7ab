/** The verify job and its command: what is compared, what the report says, and how it ends. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32Tensor, type Tensor } from '../../src/core/tensor.ts';
import { writeNpy } from '../../src/formats/npy.ts';
import { writeNpz } from '../../src/formats/npz.ts';
import { writeModel } from '../../src/jobs/model-file.ts';
import { verifyModel } from '../../src/jobs/verify.ts';
import { verify as verifySchema } from '../../src/report/schemas/verify.ts';
import { ortho } from '../support/cli.ts';
import { modelFromText } from '../support/model-text.ts';

let folder: string;
const models = new Map<string, string>();
const place = (name: string): string => join(folder, name);
const saved = (name: string, chunks: readonly Uint8Array[]): string => {
  writeFileSync(place(name), Buffer.concat(chunks));
  return place(name);
};
const npz = (name: string, tensors: Record<string, Tensor>) =>
  saved(name, writeNpz(new Map(Object.entries(tensors))));
const model = (name: string): string => models.get(name)!;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-verify-'));
  const texts = {
    twice: 'agraph (float[n, 3] x) => (float[n, 3] y) <float two = {2}> { y = Mul (x, two) }',
    sum: 'agraph (float[n, 3] x) => (float[n, 3] y) { y = Add (x, x) }',
    other: 'agraph (float[n, 3] x) => (float[n, 3] y) <float two = {2.01}> { y = Mul (x, two) }',
    renamed: 'agraph (float[n, 3] a) => (float[n, 3] b) { b = Add (a, a) }',
    root: 'agraph (float[n, 3] x) => (float[n, 3] y) { y = Sqrt (x) }',
    pair: 'agraph (float[n, 3] x) => (float[n, 3] y, int64[2] shape) { y = Add (x, x) shape = Shape (x) }',
    listed:
      'agraph (float[n, 3] x) => (seq(float[n, 3]) s, float[n, 3] y) { s = SequenceConstruct (x) y = Add (x, x) }',
    only_list: 'agraph (float[n, 3] x) => (seq(float[n, 3]) y) { y = SequenceConstruct (x) }',
    noise: 'agraph (float[n, 3] x) => (float[n, 3] y) { y = RandomNormalLike (x) }',
  };
  for (const [name, text] of Object.entries(texts)) {
    models.set(name, place(`${name}.onnx`));
    await writeModel(place(`${name}.onnx`), modelFromText(text));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const x = float32Tensor([1, 3], [1, -2, 3]);
const y = float32Tensor([1, 3], [2, -4, 6]);

test('an output that the reference says nothing about is named', async () => {
  const report = await verifyModel({ candidate: model('pair'), reference: npz('half.npz', { x, y }) });
  expect(report.ok).toBe(true);
  expect(report.findings).toEqual([
    expect.objectContaining({ level: 'warning', rule: 'output-not-compared', at: { value: 'shape' } }),
  ]);
});

describe('against a model', () => {
  test('two shapes where dimensions are unknown', async () => {
    const report = await verifyModel({ candidate: model('sum'), reference: model('twice') });
    expect(report).toMatchObject({ schema: 'verify@1', ok: true, findings: [] });
    verifySchema.parse(report.data);
    expect(report.data.cases.map(({ name, level }) => [name, level])).toEqual([
      ['x[1,3]', 'all'],
      ['x[2,3]', 'all'],
    ]);
    expect(report.data.outputs).toEqual([
      expect.objectContaining({ name: 'y', level: 'all', cases: 2, ok: true }),
    ]);
  });

  test('a difference is an error that names the worst element, and the tolerance decides', async () => {
    const pair = { candidate: model('other'), reference: model('twice') };
    const report = await verifyModel({ ...pair, shapes: [{ dims: [4, 3] }] });
    expect(report.ok).toBe(false);
    expect(report.findings[0]).toMatchObject({ level: 'error', rule: 'parity', at: { value: 'y' } });
    const output = report.data.cases[0]!.outputs[0]!;
    expect(output.dims).toEqual([4, 3]);
    expect(output.metrics.maxRel).toBeCloseTo(0.005, 4);
    expect((await verifyModel({ ...pair, tolerance: ['y=rtol:0.006'] })).ok).toBe(true);
    expect((await verifyModel({ ...pair, tolerance: ['rtol:0.004'] })).ok).toBe(false);
  });

  test('names that have nothing in common are matched by position, and that is said', async () => {
    const report = await verifyModel({ candidate: model('renamed'), reference: model('twice') });
    expect(report.ok).toBe(true);
    expect(report.findings).toEqual([
      expect.objectContaining({ level: 'note', rule: 'matched-by-position' }),
    ]);
  });

  test('an output that the candidate lacks is a failure, one more is none', async () => {
    const lacking = await verifyModel({ candidate: model('sum'), reference: model('pair') });
    expect(lacking.ok).toBe(false);
    expect(lacking.findings[0]?.message).toMatch(/no such output/);
    expect((await verifyModel({ candidate: model('pair'), reference: model('sum') })).ok).toBe(true);
  });

  test('NaN where NaN is expected', async () => {
    const report = await verifyModel({ candidate: model('root'), reference: model('root') });
    expect(report.ok).toBe(true);
    const counts = report.data.cases.map(({ outputs }) => outputs[0]!.nonFinite);
    expect(counts.some(({ expected }) => expected > 0)).toBe(true);
    for (const { expected, actual } of counts) expect(actual).toBe(expected);
  });

  test('a random output is compared by dtype and rank', async () => {
    const report = await verifyModel({ candidate: model('noise'), reference: model('noise') });
    expect(report.ok).toBe(true);
    expect(report.findings.map(({ rule }) => rule)).toEqual(['random-output']);
  });

  test('both levels on request', async () => {
    const levels = ['disabled', 'all'] as const;
    const { data } = await verifyModel({ candidate: model('sum'), reference: model('twice'), levels });
    expect(data.cases.map(({ level }) => level)).toEqual(['disabled', 'disabled', 'all', 'all']);
  });
});

describe('against stored cases', () => {
  test('an npz, and a folder of them: the centred SQNR is over all', async () => {
    const one = await verifyModel({ candidate: model('sum'), reference: npz('case.npz', { x, y }) });
    expect(one.ok).toBe(true);
    expect(one.data.outputs[0]?.metrics.centredSqnrDb).toBeNull();
    mkdirSync(place('cases'));
    npz('cases/a.npz', { x, y });
    npz('cases/b.npz', { x: float32Tensor([1, 3], [0, 0, 1]), y: float32Tensor([1, 3], [0, 0.1, 2]) });
    const all = await verifyModel({ candidate: model('sum'), reference: place('cases') });
    expect(all.ok).toBe(false);
    // Two samples: each element varies by half the square of its difference; the one error is 0.1.
    const varying = (2 ** 2 + 4.1 ** 2 + 4 ** 2) / 2;
    expect(all.data.outputs[0]?.metrics.centredSqnrDb).toBeCloseTo(10 * Math.log10(varying / 0.01), 4);
  });

  test('npy files by position', async () => {
    const report = await verifyModel({
      candidate: model('sum'),
      inputs: [{ path: saved('x.npy', writeNpy(x)) }],
      expected: [{ path: saved('y.npy', writeNpy(y)) }],
    });
    expect(report.ok).toBe(true);
    expect(report.data.cases[0]?.name).toBe('x');
  });
});

describe('nothing compared', () => {
  test('is an error: no expected output, outputs that cannot be fetched, no acceptable input', async () => {
    const nothing = { code: 'verify/nothing-compared', exitCode: 1 };
    const reference = npz('no-output.npz', { x });
    await expect(verifyModel({ candidate: model('sum'), reference })).rejects.toMatchObject(nothing);
    const lists = { candidate: model('only_list'), reference: model('only_list') };
    await expect(verifyModel(lists)).rejects.toMatchObject(nothing);
  });

  test('an output that cannot be fetched is said beside those that can', async () => {
    const reference = npz('listed.npz', { x, y });
    const report = await verifyModel({ candidate: model('listed'), reference });
    expect(report.ok).toBe(true);
  });
});

describe('usage', () => {
  test.each<[string, Partial<Parameters<typeof verifyModel>[0]>, string]>([
    ['nothing to compare with', {}, 'usage/option'],
    ['two kinds of reference', { reference: 'a.npz', inputs: [{ path: 'x.npy' }] }, 'usage/conflict'],
    ['a tolerance for no output', { reference: 'a.npz', tolerance: ['q=atol:1'] }, 'usage/option'],
    ['a missing reference', { reference: '/nowhere/a.npz' }, 'file/not-found'],
  ])('refuses %s', async (_, options, code) => {
    await expect(verifyModel({ candidate: model('sum'), ...options })).rejects.toMatchObject({ code });
  });

  test('a shape the reference cannot have', async () => {
    const pair = { candidate: model('sum'), reference: model('twice') };
    await expect(verifyModel({ ...pair, shapes: [{ name: 'x', dims: [1, 4] }] })).rejects.toMatchObject({
      code: 'usage/input-shape',
    });
  });
});

describe('the command', () => {
  test('exits 0 when all agree and 1 when not', () => {
    const same = ortho(['verify', model('sum'), '--reference', model('twice'), '--json']);
    expect(same.status).toBe(0);
    expect(JSON.parse(same.stdout)).toMatchObject({ schema: 'verify@1', ok: true });
    const other = ortho(['verify', model('other'), '--reference', model('twice')]);
    expect(other.status).toBe(1);
    expect(other.stdout).toMatch(/output "y" differs/);
    expect(other.stderr).toBe('');
  });
});
