import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32Tensor, type Tensor } from '../../src/core/tensor.ts';
import { safetensorsChunks } from '../../src/formats/safetensors.ts';
import { type DiffOptions, diffFiles } from '../../src/jobs/diff.ts';
import { remapFile } from '../../src/jobs/remap.ts';
import { diff as schema } from '../../src/report/schemas/diff.ts';
import { ortho } from '../support/cli.ts';
import { tempFolder } from '../support/torch-files.ts';

const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname;
const stored = (name: string): string => fixture(`checkpoints/${name}`);
const floats = (...values: number[]): Tensor => float32Tensor([values.length], values);

const safetensors = (
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Record<string, string> = {},
): string => {
  const path = join(tempFolder(), 'weights.safetensors');
  const chunks = safetensorsChunks(new Map(Object.entries(tensors)), new Map(Object.entries(metadata)));
  writeFileSync(path, Buffer.concat([...chunks].map((chunk) => Buffer.from(chunk))));
  return path;
};

const FAIL_ON = ['shape', 'value', 'any'] as const;

const exit = (...words: string[]): number | null => ortho(['diff', ...words]).status;

describe('diffFiles', () => {
  it.each([
    ['t2.sd.zip.pth', 't2.sd.legacy.pth'],
    ['t2.sd.zip.pth', 't2.sd.zip.proto5.pth'],
    ['dtypes_new.zip.pth', 'dtypes_new.legacy.pth'],
    ['conj_neg.zip.pth', 'conj_neg.legacy.pth'],
    ['tied.zip.pth', 'tied.legacy.pth'],
  ])('%s and %s hold the same', async (one, other) => {
    const report = await diffFiles({ a: stored(one), b: stored(other), failOn: 'any' });
    expect(schema.parse(report.data)).toEqual(report.data);
    expect([report.ok, report.data.verdict]).toEqual([true, 'identical']);
    expect(report.data.totals.equal).toBe(report.data.a.tensors);
  });
  it('chooses state dicts, and says which others there are', async () => {
    const path = stored('t2.ema_timm.pth');
    const best = await diffFiles({ a: path, b: path });
    expect(best.data.verdict).toBe('identical');
    expect(best.findings.map(({ rule }) => rule)).toEqual(['other-state-dicts', 'other-state-dicts']);
    const ema = await diffFiles({ a: path, b: path, stateDict: 'state_dict', stateDictB: 'state_dict_ema' });
    expect([ema.data.a.stateDict, ema.data.b.stateDict]).toEqual(['state_dict', 'state_dict_ema']);
    expect(ema.data.totals).toMatchObject({ equal: 1, changed: 8 });
    expect(ema.findings).toEqual([]);
    await expect(diffFiles({ a: path, b: path, stateDictA: 'state_dic' })).rejects.toMatchObject({
      code: 'checkpoint/no-state-dict',
    });
  });
  it('a prefix is said once', async () => {
    const a = stored('t2.train_namespace.zip.pth.tar');
    const b = join(tempFolder(), 'prefixed.npz');
    await remapFile({ source: a, output: b, addPrefix: 'module.' });
    const { data, findings } = await diffFiles({ a, b });
    expect([data.verdict, data.totals.renamed]).toEqual(['renamed', 9]);
    expect(data.prefix).toEqual({ prefix: 'module.', of: 'b', keys: 9, equal: 9 });
    expect(findings.map(({ rule }) => rule)).toEqual(['metadata']);
    expect(data.metadata).toContainEqual({ key: 'epoch', a: 12 });
    const other = await diffFiles({ a: stored('t2.sd.zip.pth'), b: stored('t2.dp_compiled.pth') });
    expect(other.findings.find(({ rule }) => rule === 'prefix')).toMatchObject({
      hint: '--strip-prefix module._orig_mod. compares them',
    });
  });
  it('tied weights that a format stores twice', async () => {
    const b = join(tempFolder(), 'apart.npz');
    await remapFile({ source: stored('tied.zip.pth'), output: b });
    const { data, findings } = await diffFiles({ a: stored('tied.zip.pth'), b, failOn: 'value' });
    expect([data.verdict, data.sharing]).toEqual([
      'equal-values',
      [{ keys: ['emb.weight', 'head.weight'], sharedIn: 'a' }],
    ]);
    expect(findings.map(({ rule }) => rule)).toEqual(['sharing']);
  });
  it('tensors without values, and NaN, are warnings', async () => {
    const sparse = fixture('onnx-odd/odd-sparse-init-2d.onnx');
    const { data, findings } = await diffFiles({ a: sparse, b: sparse, failOn: 'shape' });
    expect(findings.map(({ rule }) => rule)).toEqual(['not-compared']);
    expect(data).toMatchObject({ verdict: 'different', totals: { notCompared: 1 } });
    expect((await diffFiles({ a: sparse, b: sparse, failOn: 'value' })).ok).toBe(false);
    const nan = await diffFiles({
      a: safetensors({ x: floats(1) }),
      b: safetensors({ x: floats(Number.NaN) }),
    });
    expect(nan.findings).toMatchObject([{ level: 'warning', rule: 'non-finite' }]);
  });
  it('takes a model for its initializers', async () => {
    const onnx = fixture('runtime/conv-bn-relu.onnx');
    const report = await diffFiles({ a: onnx, b: onnx });
    expect(report.data).toMatchObject({
      verdict: 'identical',
      a: { format: 'onnx' },
      added: [],
      removed: [],
    });
    expect(report.data.a.tensors).toBeGreaterThan(0);
    const mixed = await diffFiles({ a: stored('t2.sd.zip.pth'), b: onnx });
    expect(mixed.data.verdict).toBe('different');
    await expect(diffFiles({ a: onnx, b: onnx, stateDict: 'x' })).rejects.toMatchObject({
      code: 'usage/conflict',
    });
  });
  it('weights are found in the model that convert made of them', async () => {
    const { data } = await diffFiles({
      a: 'models/raw/mtcnn-onet.pth.tar',
      b: 'models/optimized/mtcnn-onet/onnx/model.onnx',
      stripPrefix: ['module.'],
    });
    expect(data.totals).toMatchObject({ equal: 17, changed: 4, added: 0, removed: 0 });
    const slopes = data.changed.map(({ what, values }) => [what, values?.differing]);
    expect(slopes).toEqual(new Array(4).fill(['shape', 0]));
  });
  it('stops when nobody waits any more', async () => {
    const big = safetensors({ x: float32Tensor([1 << 22], new Float32Array(1 << 22)) });
    const other = safetensors({ x: float32Tensor([1 << 22], new Float32Array(1 << 22).fill(1)) });
    const controller = new AbortController();
    controller.abort(new Error('stopped'));
    const io = { progress: () => {}, log: () => {}, warn: () => {}, signal: controller.signal };
    await expect(diffFiles({ a: big, b: other, io })).rejects.toThrow('stopped');
  });
});

describe('--fail-on', () => {
  const base = { 'fc.weight': floats(1, 2), 'fc.bias': floats(0) };
  const failing = async (b: Readonly<Record<string, Tensor>>, options: Partial<DiffOptions> = {}) => {
    const files = { a: safetensors(base), b: safetensors(b) };
    const reports = FAIL_ON.map((failOn) => diffFiles({ ...files, ...options, failOn }));
    return (await Promise.all(reports)).flatMap(({ ok }, i) => (ok ? [] : [FAIL_ON[i]!]));
  };
  it('any: bits', async () => {
    expect(await failing(base)).toEqual([]);
    expect(await failing({ ...base, 'fc.bias': floats(-0) })).toEqual(['any']);
  });
  it('value: values beyond the tolerance', async () => {
    const b = { ...base, 'fc.bias': floats(0.1) };
    expect(await failing(b)).toEqual(['value', 'any']);
    expect(await failing(b, { tolerance: ['atol:0.2'] })).toEqual([]);
    expect(await failing(b, { tolerance: ['fc.bias=atol:0.2'] })).toEqual([]);
    expect(await failing(b, { tolerance: ['fc.weight=atol:0.2'] })).toEqual(['value', 'any']);
    expect(await failing(b, { keys: ['*.weight'] })).toEqual([]);
  });
  it('shape: shapes and keys, renamed ones too', async () => {
    expect(await failing({ ...base, 'fc.bias': floats(0, 0) })).toEqual(['shape', 'value', 'any']);
    expect(await failing({ 'fc.weight': floats(1, 2) })).toEqual(['shape', 'value', 'any']);
    expect(await failing({ 'fc.weight': floats(1, 2), 'fc.b': floats(0) })).toEqual([
      'shape',
      'value',
      'any',
    ]);
  });
});

describe('the command', () => {
  const base = { 'fc.weight': floats(1, 2), 'fc.bias': floats(0) };
  it('exits 0 for any difference, without --fail-on', () => {
    const { status, stdout, stderr } = ortho(['diff', safetensors(base), safetensors({ x: floats(9) })]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('different');
    expect(stdout).toContain('only in A (2)');
  });
  it('reports in JSON what differs', () => {
    const { status, stdout } = ortho([
      'diff',
      safetensors(base, { epoch: '1' }),
      safetensors({ ...base, 'fc.weight': floats(1, 3) }, { epoch: '2' }),
      '--fail-on',
      'value',
      '--json',
    ]);
    const report = JSON.parse(stdout);
    expect([status, report.schema, report.ok]).toEqual([1, 'diff@1', false]);
    expect(report.data.changed).toMatchObject([{ name: 'fc.weight', what: 'values', values: { maxAbs: 1 } }]);
    expect(report.data.metadata).toEqual([{ key: 'epoch', a: '1', b: '2' }]);
    expect(report.findings.at(-1)).toMatchObject({ level: 'error', rule: 'differs-in-value' });
  });
  it('exits 2 and 3 for what cannot be asked or read', () => {
    const path = safetensors(base);
    expect(exit(path)).toBe(2);
    expect(exit(path, path, '--fail-on', 'much')).toBe(2);
    expect(exit(path, path, '--tolerance', 'atol:x')).toBe(2);
    expect(exit(path, path, '--keys', 'nothing')).toBe(3);
    expect(exit(path, fixture('hostile/reduce_os_system.pth'))).toBe(3);
    expect(exit(path, fixture('manifest.json'))).toBe(3);
    expect(exit(path, join(tempFolder(), 'none.pth'))).toBe(3);
  });
});
