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
