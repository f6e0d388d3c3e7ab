import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runJobs } from '../../src/jobs/run.ts';
import { readRunConfig } from '../../src/jobs/run-config.ts';
import { repository } from '../support/golden.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-run-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

const raw = (name: string): string => relative(folder, join(repository, 'models/raw', name));
const job = { name: 'r', source: 'r.pth', output: 'r.onnx' };

describe('the job file', () => {
  test.each([
    ['not JSON', '{ "jobs": [', /not JSON/],
    ['no jobs', {}, /jobs/],
    ['a misspelt key', { jobs: [{ ...job, qantize: {} }] }, /jobs\[0\].*qantize/],
    [
      'a wrong type deep inside',
      {
        jobs: [
          { ...job, quantize: { scheme: 'static', output: 'q', calibrate: { path: 'p', crops: 'many' } } },
        ],
      },
      /jobs\[0\]\.quantize\.calibrate\.crops/,
    ],
    ['two jobs of one name', { jobs: [job, job] }, /two jobs are called "r"/],
    [
      'two outputs of one name',
      { jobs: [job, { ...job, name: 's', output: './r.onnx' }] },
      /two outputs are called "r.onnx"/,
    ],
    ['a bench of nobody', { jobs: [job], bench: { pipeline: ['s'] } }, /"s", which is no job/],
  ])('%s', (name, content, says) => {
    const path = write(`${name.replaceAll(' ', '-')}.json`, content);
    expect(() => readRunConfig(path)).toThrowError(
      expect.objectContaining({ code: 'config/invalid', message: expect.stringMatching(says) }),
    );
  });

  test('the committed demo is valid', () => {
    expect(readRunConfig(join(repository, 'models/demo.json')).jobs.length).toBeGreaterThan(2);
  });
});

describe('outputs', () => {
  const place = (name: string): string => write(name, 'mine');

  test.each([
    ['its source', { source: 'own.pth', output: 'own.pth' }],
    ['the source of an earlier job', { source: 'x.pth', output: './sub/../own.pth' }],
    ['the job file', { source: 'x.pth', output: 'inputs.json' }],
    ['its samples', { source: 'x.pth', output: 'o.onnx', references: 'case.npz', quantized: 'case.npz' }],
  ])('must not be an input, force or not: %s', async (_, { quantized, ...paths }) => {
    const files = ['own.pth', 'case.npz'].map(place);
    mkdirSync(join(folder, 'sub'), { recursive: true });
    const quantize = quantized === undefined ? {} : { quantize: { scheme: 'dynamic', output: quantized } };
    const jobs = [
      { name: 'two', source: 'own.pth', output: 'two.onnx' },
      { name: 'one', ...paths, ...quantize },
    ];
    const config = write('inputs.json', { jobs });
    await expect(runJobs({ config, force: true })).rejects.toMatchObject({ code: 'usage/conflict' });
    for (const file of files) expect(readFileSync(file, 'utf8')).toBe('mine');
    expect(readFileSync(config, 'utf8')).toContain('two.onnx');
  });

  test('that exist are refused before the work', async () => {
    place('there.onnx');
    const config = write('there.json', { jobs: [{ name: 'one', source: 'nope.pth', output: 'there.onnx' }] });
    await expect(runJobs({ config })).rejects.toMatchObject({ code: 'usage/output-exists' });
  });
});

describe('a whole job', () => {
  const config = () => ({
    jobs: [
      {
        name: 'proposals',
        source: raw('mtcnn-pnet.pth.tar'),
        references: raw('references/mtcnn-pnet'),
        output: 'built/pnet/onnx/model.onnx',
        quantize: {
          scheme: 'dynamic',
          output: 'built/pnet/onnx/model_quantized.onnx',
          onRefusal: 'report',
        },
      },
    ],
    manifest: 'manifest.json',
    force: true,
  });

  test('builds, proves, records, and gives the same bytes again', async () => {
    const path = write('job.json', config());
    const first = await runJobs({ config: path, updateManifest: true });
    expect(first.ok).toBe(true);
    expect(first.data.stages[0]).toMatchObject({ architecture: 'pnet', keysMatched: 13, keysNeeded: 13 });
    expect(first.data.stages[0]?.maxAbs).toBeLessThan(1e-5);
    // P-Net has nothing but convolutions: the dynamic scheme finds nothing, and that is reported, not hidden.
    expect(first.data.stages[0]?.quantization).toBe('refused');
    expect(first.findings.map(({ level, rule }) => `${level} ${rule}`)).toContain('warning quantize-nothing');
    const again = await runJobs({ config: path });
    expect(again.ok).toBe(true);
    expect(again.findings.map(({ rule }) => rule)).not.toContain('not-reproduced');

    const manifest = join(folder, 'manifest.json');
    writeFileSync(
      manifest,
      readFileSync(manifest, 'utf8').replace(/"sha256": "[0-9a-f]{4}/, '"sha256": "0000'),
    );
    const differs = await runJobs({ config: path });
    expect(differs.ok).toBe(false);
    expect(differs.findings.map(({ rule }) => rule)).toContain('not-reproduced');
  });

  test('a refusal that should fail the job does', async () => {
    const strict = config();
    (strict.jobs[0] as { quantize: { onRefusal: string } }).quantize.onRefusal = 'fail';
    const report = await runJobs({ config: write('strict.json', strict) });
    expect(report.ok).toBe(false);
    expect(report.data.jobs[0]?.ok).toBe(false);
  });

  test('a checkpoint that lacks keys fails the job and writes nothing', async () => {
    const broken = config();
    Object.assign(broken.jobs[0] as object, { output: 'nothing/model.onnx', remap: { stripPrefix: false } });
    const report = await runJobs({ config: write('broken.json', broken) });
    expect(report.ok).toBe(false);
    expect(report.data.stages[0]).toMatchObject({ keysMatched: 0, bytes: null });
  });
});
