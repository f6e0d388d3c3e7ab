import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/ir/load.ts';
import { convertCheckpoint } from '../../src/jobs/convert.ts';
import { quantizeModel } from '../../src/jobs/quantize.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { joinSegments } from '../../src/proto/segments.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { normalizationOf } from '../../src/quantize/image.ts';
import { repository } from '../support/golden.ts';

const images = join(repository, 'models/raw/images');
const normalization = normalizationOf([0.5], [0.50196]);
let folder: string;
let float: string;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-quantize-test-'));
  float = at('float.onnx');
  const { ok } = await convertCheckpoint({
    source: join(repository, 'models/raw/mtcnn-rnet.pth.tar'),
    output: float,
  });
  expect(ok).toBe(true);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const common = { calibrate: images, crops: 12, normalization } as const;

describe('a trained net on photographs', () => {
  test('static: int8, smaller, above the bar on crops it was not calibrated on', async () => {
    const output = at('static.onnx');
    const report = await quantizeModel({ input: float, output, scheme: 'static', ...common });
    expect(report.ok).toBe(true);
    expect(report.data.calibration).toEqual({ samples: 8, method: 'minmax' });
    expect(report.data.evaluation.samples).toBe(4);
    for (const { centredSqnrDb } of report.data.outputs) expect(centredSqnrDb).toBeGreaterThan(10);
    expect(report.data.after.bytes).toBeLessThan(report.data.before.bytes / 2);
    expect(report.data.after.ops.QuantizeLinear).toBeGreaterThan(5);
    expect(loadModel(output).opset).toBeGreaterThanOrEqual(13);
  });

  test('dynamic: the dense layers, no samples needed', async () => {
    const output = at('dynamic.onnx');
    const report = await quantizeModel({ input: float, output, scheme: 'dynamic' });
    expect(report.ok).toBe(true);
    expect(report.data.calibration).toBeNull();
    expect(report.data.after.ops.MatMulInteger).toBe(3);
    expect(report.data.excluded.map(({ node }) => node)).toHaveLength(3);
  });

  test('below the bar nothing is written; -100 writes it anyway', async () => {
    const output = at('refused.onnx');
    const options = { input: float, output, scheme: 'static', ...common } as const;
    const refused = await quantizeModel({ ...options, minSqnr: 200 });
    expect(refused.ok).toBe(false);
    expect(refused.findings.map(({ rule }) => rule)).toContain('quantize-below-bar');
    expect(existsSync(output)).toBe(false);
    expect((await quantizeModel({ ...options, minSqnr: -100 })).ok).toBe(true);
    expect(existsSync(output)).toBe(true);
  });

  test('the same seed gives the same samples and the same report of quality', async () => {
    const run = async (name: string) =>
      (await quantizeModel({ input: float, output: at(name), scheme: 'static', seed: 7, ...common })).data
        .outputs;
    expect(await run('once.onnx')).toEqual(await run('twice.onnx'));
  });

  test('calibration needs samples, and enough of them', async () => {
    const options = { input: float, output: at('never.onnx'), scheme: 'static' } as const;
    await expect(quantizeModel(options)).rejects.toMatchObject({ code: 'usage/option' });
    await expect(quantizeModel({ ...options, calibrate: images })).rejects.toMatchObject({
      code: 'usage/option',
    });
    await expect(quantizeModel({ ...options, calibrate: at('nowhere') })).rejects.toMatchObject({
      code: 'file/not-found',
    });
    expect(existsSync(at('never.onnx'))).toBe(false);
  });
});

test('an output that hardly varies cannot be judged', async () => {
  const model = `<ir_version: 8, opset_import: ["" : 17]>
    g (float[1,3,4,4] x) => (float[1,1] y)
    <float[48,1] w = {${Array.from({ length: 48 }, () => '0.0000001').join(',')}}, float[1] b = {1.0}>
    { f = Flatten (x) p = MatMul (f, w) y = Add (p, b) }`;
  const input = at('constant.onnx');
  writeFileSync(input, joinSegments(encodeModel(parseModelText(model))));
  const output = at('constant-int8.onnx');
  const report = await quantizeModel({ input, output, scheme: 'static', ...common });
  expect(report.ok).toBe(false);
  expect(report.findings.map(({ rule }) => rule)).toContain('quantize-not-judgeable');
  expect(report.data.outputs[0]?.judgeable).toBe(false);
  expect(existsSync(output)).toBe(false);
});

/** Writes a model given as text. */
const written = (name: string, text: string): string => {
  writeFileSync(at(name), joinSegments(encodeModel(parseModelText(text))));
  return at(name);
};

const eye = Array.from({ length: 64 }, (_, i) => String((i % 9 === 0 ? 1 : 0.25) * (i % 2 === 0 ? 1 : -1)));

describe('what a scheme cannot quantise', () => {
  test('static: no layer with constant weights is a refusal, not a failure of the runtime', async () => {
    const input = written(
      'no-weights.onnx',
      '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,4,4] x) => (float[1,3,4,4] y) { [s] y = Sigmoid (x) }',
    );
    const output = at('no-weights-int8.onnx');
    const report = await quantizeModel({ input, output, scheme: 'static', ...common });
    expect(report.ok).toBe(false);
    expect(report.findings.map(({ rule }) => rule)).toContain('quantize-nothing');
    expect(existsSync(output)).toBe(false);
  });

  test('a model that is quantised already is not counted as work done', async () => {
    const input = written(
      'already.onnx',
      `<ir_version: 8, opset_import: ["" : 17]> g (float[1,8] x) => (float[1,8] y)
       <int8[8,8] q = {${eye.map((value) => Math.round(Number(value) * 100)).join(',')}}, float s = {0.01}, int8 z = {0}>
       { w = DequantizeLinear (q, s, z) [product] y = MatMul (x, w) }`,
    );
    const report = await quantizeModel({ input, output: at('already-int8.onnx'), scheme: 'dynamic' });
    expect(report.ok).toBe(false);
    expect(report.findings.map(({ rule }) => rule)).toContain('quantize-nothing');
  });

  test('layers of a branch are listed as left in float', async () => {
    const input = written(
      'branches.onnx',
      `<ir_version: 8, opset_import: ["" : 17]> g (float[1,8] x, bool c) => (float[1,8] y)
       <float[8,8] w = {${eye.join(',')}}>
       { [top] a = MatMul (x, w)
         b = If (c) <then_branch = gNeg () => (float[1,8] no) { n = Neg (a) [inner] no = MatMul (n, w) },
                     else_branch = gAbs () => (float[1,8] ao) { m = Abs (a) [other] ao = MatMul (m, w) }>
         y = Tanh (b) }`,
    );
    const report = await quantizeModel({ input, output: at('branches-int8.onnx'), scheme: 'dynamic' });
    expect(report.data.excluded.toSorted((a, b) => (a.node < b.node ? -1 : 1))).toEqual([
      { node: 'inner', reason: 'it is in a subgraph' },
      { node: 'other', reason: 'it is in a subgraph' },
    ]);
    expect(report.ok).toBe(true);
  });
});

describe('made-up samples', () => {
  // Only lengths that are a multiple of 8 can be reshaped.
  const text = `<ir_version: 8, opset_import: ["" : 17]> g (float[n] x) => (float[m,8] y)
    <int64[2] dims = {-1, 8}, float[8,8] w = {${eye.join(',')}}>
    { r = Reshape (x, dims) y = MatMul (r, w) }`;

  test('have a shape that the model accepts', async () => {
    const input = written('length.onnx', text);
    const report = await quantizeModel({ input, output: at('length-int8.onnx'), scheme: 'dynamic' });
    expect(report.ok).toBe(true);
    expect(report.data.evaluation.origin).toBe('8 random inputs');
  });

  test('or the shape that is given', async () => {
    const input = at('length.onnx');
    const run = (length: number) =>
      quantizeModel({
        input,
        output: at('length-given.onnx'),
        scheme: 'dynamic',
        shapes: [{ name: 'x', dims: [length] }],
      });
    expect((await run(24)).ok).toBe(true);
    await expect(run(7)).rejects.toMatchObject({ code: expect.stringMatching(/^(usage|runtime|verify)\//) });
  });
});
