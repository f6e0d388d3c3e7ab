/** The optimize job: what it writes, what it proves, what it leaves out, and when it writes nothing. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tensorArray } from '../../src/core/tensor.ts';
import { loadModel } from '../../src/ir/load.ts';
import { writeModel } from '../../src/jobs/model-file.ts';
import { type OptimizeOptions, optimizeModel } from '../../src/jobs/optimize.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { optimize as optimizeSchema } from '../../src/report/schemas/optimize.ts';
import { repository } from '../support/golden.ts';
import { modelFromText, textOfModel } from '../support/model-text.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-optimize-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let serial = 0;
const write = async (text: string): Promise<string> => {
  const path = join(folder, `in-${++serial}.onnx`);
  await writeModel(path, modelFromText(text));
  return path;
};
const run = (input: string, more: Partial<OptimizeOptions> = {}) =>
  optimizeModel({ input, output: join(folder, `out-${++serial}.onnx`), ...more });
const lastOutput = (): string => join(folder, `out-${serial}.onnx`);
const leftovers = (): string[] => readdirSync(folder).filter((name) => name.startsWith('.'));

const CONV_BN = `agraph (float[n, 1, 4, 4] x) => (float[n, 2, 4, 4] y)
  <float[2, 1, 1, 1] w = {2.7, -1.3}, float[2] gamma = {1.1, 0.7}, float[2] beta = {0.25, -1},
   float[2] mean = {0.5, 1}, float[2] var = {3, 0.3}>
  {
    c = Conv (x, w)
    b = BatchNormalization (c, gamma, beta, mean, var)
    r = Identity (b)
    y = Relu (r)
  }`;

describe('target onnx', () => {
  test('fuses, proves at both levels on two shapes, and adds no import', async () => {
    const input = await write(CONV_BN);
    const report = await run(input);
    expect(report.ok).toBe(true);
    optimizeSchema.parse(report.data);
    const { before, after, passes, rolledBack, parity } = report.data;
    expect(before.ops).toEqual({ Conv: 1, BatchNormalization: 1, Identity: 1, Relu: 1 });
    expect(after.ops).toEqual({ Conv: 1, Relu: 1 });
    expect(rolledBack).toEqual([]);
    expect(passes.find(({ name }) => name === 'fuse-bn-into-conv')?.changes).toBe(1);
    expect(passes.at(-1)?.name).toBe('runtime-basic');
    expect(parity?.cases.map(({ level, name }) => [level, name])).toEqual([
      ['disabled', 'x[1,1,4,4]'],
      ['disabled', 'x[2,1,4,4]'],
      ['all', 'x[1,1,4,4]'],
      ['all', 'x[2,1,4,4]'],
    ]);
    expect(parity).toMatchObject({ reference: input, candidate: lastOutput() });
    expect([...loadModel(lastOutput()).opsets]).toEqual([['', 17]]);
    expect(leftovers()).toEqual([]);
  });

  test('keeps names, declared types, metadata and texts; runs twice to the same bytes', async () => {
    const input =
      await write(`<ir_version: 8, opset_import: ["": 17], producer_name: "p", metadata_props: ["a": "1"],
      doc_string: "about"> "the net" (float[N, 2] x) => (float[N, M] y) { a = Identity (x) y = Relu (a) }`);
    await run(input);
    const first = lastOutput();
    const text = textOfModel(loadModel(first));
    for (const part of ['"p"', '["a": "1"]', '"about"', '"the net"', 'float[N,2] x', 'float[N,M] y']) {
      expect(text).toContain(part);
    }
    await run(first);
    expect(readFileSync(lastOutput()).equals(readFileSync(first))).toBe(true);
  });

  test('branches that fold to the same weight do not store it twice', async () => {
    const values = Array.from({ length: 400 }, (_, i) => i / 7).join(', ');
    const rnn = (name: string) => `${name} () => (float[1, 400] ${name}_out) {
      ${name}_w = Unsqueeze (w, zero)
      ${name}_out = Add (x, ${name}_w)
    }`;
    const input = await write(`agraph (bool c, float[1, 400] x) => (float[1, 400] y)
      <float[400] w = {${values}}, int64[1] zero = {0}> {
      y = If (c) <then_branch = ${rnn('yes')}, else_branch = ${rnn('no')}>
    }`);
    const report = await run(input);
    expect(report.data.after.bytes).toBeLessThan(report.data.before.bytes);
  });

  test('a constant larger than what computes it is not folded', async () => {
    const input = await write(`agraph (float[1] x) => (float[1000, 600] y)
      <int64[2] shape = {1000, 600}> {
        k = ConstantOfShape <value = float[1] {2.5}> (shape)
        y = Add (x, k)
      }`);
    const report = await run(input);
    expect(report.ok).toBe(true);
    expect(report.data.after.bytes).toBeLessThan(1000);
    expect(report.data.after.ops).toHaveProperty('ConstantOfShape');
  });

  test('the exporters agree: functions inlined, constants lifted', async () => {
    const report = await run(`${repository}test/fixtures/onnx/tiny.modulefunctions.onnx`);
    expect(report.ok).toBe(true);
    const model = loadModel(lastOutput());
    expect(model.functions).toEqual([]);
    expect([...model.opsets.keys()]).toEqual(['']);
    expect(model.graph.nodes.some(({ op }) => op === 'Constant')).toBe(false);
  });

  test('subnormals are flushed and counted', async () => {
    const input = await write(
      `agraph (float[2] x) => (float[2] y) <float[2] w = {1e-40, 1}> { y = Add (x, w) }`,
    );
    const { findings } = await run(input);
    expect(findings.find(({ rule }) => rule === 'flushed-subnormals')?.message).toMatch(
      /^1 subnormal element/,
    );
    const [w] = loadModel(lastOutput()).graph.initializers;
    expect([...(tensorArray(w!.initializer!) as Float32Array)]).toEqual([0, 1]);
  });
});

describe('other targets', () => {
  test('ort may use operators of com.microsoft and says so', async () => {
    const input = await write(`agraph (float[1, 1, 4, 4] x) => (float[1, 1, 4, 4] y)
      <float[1, 1, 1, 1] w = {2}> { c = Conv (x, w) y = Relu (c) }`);
    const report = await run(input, { target: 'ort' });
    expect(report.data.after.ops).toEqual({ 'com.microsoft.FusedConv': 1 });
    const model = loadModel(lastOutput());
    expect([...model.opsets.keys()].toSorted()).toEqual(['', 'com.microsoft']);
    expect(model.metadata.get('ortho.target')).toBe('ort');
    expect(report.findings.map(({ rule }) => rule)).toContain('runtime-bound');
  });

  test('this-cpu is marked in metadata and report', async () => {
    const input = await write(CONV_BN);
    const report = await run(input, { target: 'this-cpu' });
    expect(report.ok).toBe(true);
    const { metadata } = loadModel(lastOutput());
    expect(metadata.get('ortho.target')).toBe('this-cpu');
    expect(metadata.get('ortho.cpu')).toBeTruthy();
    expect(report.findings).toContainEqual(
      expect.objectContaining({ level: 'warning', rule: 'hardware-bound' }),
    );
  });
});

describe('parity', () => {
  test('what breaks it is left out: folding changes the last bits, which an exact tolerance refuses', async () => {
    const input = await write(CONV_BN);
    const report = await run(input, { tolerance: ['atol:0'] });
    expect(report.ok).toBe(true);
    expect(report.data.rolledBack.map(({ name }) => name)).toEqual(['fuse-bn-into-conv', 'runtime-basic']);
    expect(report.data.rolledBack[0]?.reason).toMatch(/elements differ beyond the tolerance/);
    expect(report.data.after.ops).toEqual({ Conv: 1, BatchNormalization: 1, Relu: 1 });
  });

  test('random outputs are compared by dtype and rank, and never folded or merged', async () => {
    const input = await write(`agraph (float[2] x) => (float[3] a, float[3] b, float[2] y) {
      a = RandomNormal <shape = [3]> ()
      b = RandomNormal <shape = [3]> ()
      y = Relu (x)
    }`);
    const report = await run(input);
    expect(report.ok).toBe(true);
    expect(report.data.after.ops).toEqual({ RandomNormal: 2, Relu: 1 });
    expect(report.findings.filter(({ rule }) => rule === 'random-output')).toHaveLength(2);
  });

  test('a model that kills the runtime is refused, or goes unproved if that is allowed', async () => {
    const input = await write(`agraph (int32[1] x) => (int32[1] y)
      <int32[1] least = {-2147483648}, int32[1] minus = {-1}> { d = Div (least, minus) i = Identity (d) y = Add (x, i) }`);
    await expect(run(input)).rejects.toMatchObject({
      code: 'runtime/crashed',
      hint: expect.stringMatching(/unproved/),
    });
    expect(existsSync(lastOutput())).toBe(false);
    const report = await run(input, { allowUnproved: true });
    expect(report.data.parity).toBeNull();
    expect(report.data.after.ops).toEqual({ Div: 1, Add: 1 });
    expect(report.findings).toContainEqual(expect.objectContaining({ level: 'warning', rule: 'not-proved' }));
    expect(leftovers()).toEqual([]);
  });

  test('a model that takes none of the made-up inputs needs a shape', async () => {
    const input = await write(`agraph (float[n, m] x) => (float[a, b] y)
      <float[1777, 1] w = {${Array(1777).fill(1).join(', ')}}> { y = MatMul (x, w) }`);
    await expect(run(input)).rejects.toMatchObject({ code: 'verify/nothing-compared', exitCode: 1 });
    const report = await run(input, { shapes: [{ name: 'x', dims: [2, 1777] }] });
    expect(report.ok).toBe(true);
  });
});

describe('usage', () => {
  test.each<[string, Partial<OptimizeOptions>, string]>([
    ['a level that contradicts the target', { level: 'all' }, 'usage/conflict'],
    ['too low a level for ort', { target: 'ort', level: 'basic' }, 'usage/conflict'],
    ['an unknown pass', { passes: ['fuse-bn'] }, 'usage/unknown-name'],
    ['an unknown pass to skip', { skip: ['x'] }, 'usage/unknown-name'],
    ['a malformed tolerance', { tolerance: ['x'] }, 'usage/option'],
    ['an impossible shape', { shapes: [{ name: 'x', dims: [1] }] }, 'usage/input-shape'],
  ])('refuses %s', async (_, options, code) => {
    const input = await write(CONV_BN);
    await expect(run(input, options)).rejects.toMatchObject({ code });
    expect(existsSync(lastOutput())).toBe(false);
  });

  test('an output that exists stays unless forced', async () => {
    const input = await write(CONV_BN);
    const output = join(folder, 'taken.onnx');
    writeFileSync(output, 'mine');
    await expect(run(input, { output })).rejects.toMatchObject({ code: 'usage/output-exists' });
    expect(readFileSync(output, 'utf8')).toBe('mine');
    expect((await run(input, { output, force: true })).ok).toBe(true);
    expect(loadModel(output).graph.nodeCount).toBe(2);
  });

  test('only and skip', async () => {
    const input = await write(CONV_BN);
    const only = await run(input, { passes: ['eliminate-identity'], level: 'disabled' });
    expect(only.data.after.ops).toEqual({ Conv: 1, BatchNormalization: 1, Relu: 1 });
    const skip = await run(input, { skip: ['eliminate-identity'], level: 'disabled' });
    expect(skip.data.after.ops).toEqual({ Conv: 1, Identity: 1, Relu: 1 });
    expect(skip.data.passes.map(({ name }) => name)).not.toContain('eliminate-identity');
  });
});

test('external data of the input ends up inside the result', async () => {
  const proto = parseModelText(`<ir_version: 8, opset_import: ["": 17]> agraph (float[4] x) => (float[4] y)
    <float[4] w = ["location": "w.bin", "offset": "0", "length": "16"]> { y = Add (x, w) }`);
  const input = join(folder, 'external.onnx');
  writeFileSync(input, Buffer.concat(encodeModel(proto).map((one) => one as Uint8Array)));
  writeFileSync(join(folder, 'w.bin'), new Uint8Array(Float32Array.of(5, 6, 7, 8).buffer));
  const report = await run(input);
  expect(report.ok).toBe(true);
  expect(report.findings.map(({ rule }) => rule)).toContain('external-data-inlined');
  rmSync(join(folder, 'w.bin'));
  const [w] = loadModel(lastOutput()).graph.initializers;
  expect([...(tensorArray(w!.initializer!) as Float32Array)]).toEqual([5, 6, 7, 8]);
});
