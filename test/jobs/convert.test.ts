import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32Tensor, type Tensor, tensorBytes, tensorOf, toFloat32 } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { readNpz, writeNpz } from '../../src/formats/npz.ts';
import { safetensorsChunks } from '../../src/formats/safetensors.ts';
import { loadModel } from '../../src/ir/load.ts';
import { type ConvertOptions, convertCheckpoint } from '../../src/jobs/convert.ts';
import { repository } from '../support/golden.ts';

const folder = mkdtempSync(join(tmpdir(), 'ortho-convert-'));
afterAll(() => rmSync(folder, { recursive: true }));

const raw = (name: string): string => join(repository, 'models/raw', name);
const fixture = (name: string): string => join(repository, 'test/fixtures/convert', name);
const PNET = raw('mtcnn-pnet.pth.tar');
const PNET_CASES = raw('references/mtcnn-pnet');

let runs = 0;
/** A folder of its own for each conversion, so that what is left behind shows. */
const convert = async (options: Omit<ConvertOptions, 'output'>) => {
  const home = join(folder, String(runs++));
  mkdirSync(home);
  const output = join(home, 'model.onnx');
  const report = await convertCheckpoint({ ...options, output });
  return { report, output, files: readdirSync(home), home };
};

/** P-Net's own tensors without the prefix, in memory. */
const pnetTensors = (): Map<string, Tensor> => {
  const file = openWeights(PNET);
  const tensors = [...file.stateDicts[0]!.tensors].map(
    ([key, { dtype, dims, ...tensor }]) =>
      [
        key.replace('module.', ''),
        tensorOf(dtype, dims, tensorBytes({ dtype, dims, ...tensor }).slice()),
      ] as const,
  );
  file.close();
  return new Map(tensors);
};

const saved = (tensors: ReadonlyMap<string, Tensor>): string => {
  const path = join(folder, `weights-${runs}.safetensors`);
  writeFileSync(path, '');
  for (const chunk of safetensorsChunks(tensors)) appendFileSync(path, chunk);
  return path;
};

const rules = ({ report }: Awaited<ReturnType<typeof convert>>): string[] =>
  report.findings.map(({ level, rule }) => `${level} ${rule}`);

test('weights that are NaN are converted, and named', async () => {
  const tensors = pnetTensors();
  tensors.set('conv4_2.bias', float32Tensor([4], [0, Number.NaN, 0, 0]));
  const result = await convert({ source: saved(tensors) });
  expect(result.report.ok).toBe(true);
  expect(rules(result)).toContain('warning non-finite-weights');
  expect(result.report.findings.find(({ rule }) => rule === 'non-finite-weights')?.message).toContain(
    'conv4_2.bias',
  );
});

describe('reference cases', () => {
  test.each([
    ['landmarks-gdconv.pth.tar', 'gdconv', 638, 1],
    ['frown-mobilenetv3.pth', 'mobilenetv3-xl19-small', 333, 1],
    ['mobilenetv2-embedder.pth.tar', 'mobilenetv2-bottleneck', 312, 3],
    ['mtcnn-pnet.pth.tar', 'pnet', 13, 6],
    ['mtcnn-rnet.pth.tar', 'rnet', 16, 4],
    ['mtcnn-onet.pth.tar', 'onet', 21, 3],
  ])(
    '%s is %s: all %d keys match, and torch agrees in %d cases',
    async (file, architecture, matched, cases) => {
      const reference = raw(`references/${file.replace(/\.pth(\.tar)?$/, '')}`);
      const { report, files } = await convert({ source: raw(file), reference });
      expect(report).toMatchObject({
        schema: 'convert@1',
        ok: true,
        data: { architecture, matched, opset: 17 },
      });
      expect(report.data).toMatchObject({
        missing: [],
        unexpected: [],
        mismatched: [],
        importer: 'architecture',
      });
      expect(files).toEqual(['model.onnx']);
      const levels = report.data.parity!.cases.map(({ level }) => level);
      expect(levels.filter((level) => level === 'all')).toHaveLength(cases);
      for (const { name, outputs } of report.data.parity!.cases) {
        const expected = readNpz(join(reference, `${name}.npz`));
        for (const output of outputs) {
          const largest = toFloat32(expected.get(output.name)!).reduce(
            (max, x) => Math.max(max, Math.abs(x)),
            0,
          );
          expect(output.metrics.maxAbs).toBeLessThanOrEqual(1e-5 * largest);
        }
      }
    },
  );

  test.each([13, 17, 18, 23])('one of every layer, opset %d', async (opset) => {
    const { report, output } = await convert({
      source: fixture('nn-zoo.pth'),
      architecture: fixture('nn-zoo.mjs'),
      reference: fixture('nn-zoo.npz'),
      opset,
    });
    expect(report).toMatchObject({ ok: true, data: { matched: 36, opset, architecture: 'nn-zoo' } });
    expect(loadModel(output).opset).toBe(opset);
  });

  test('in float16 the model takes and gives halves, and agrees as far as halves can', async () => {
    const { report, output } = await convert({
      source: fixture('nn-zoo.pth'),
      architecture: fixture('nn-zoo.mjs'),
      reference: fixture('nn-zoo.npz'),
      dtype: 'float16',
    });
    expect(report.ok).toBe(true);
    const { graph } = loadModel(output);
    expect([...graph.inputs, ...graph.initializers.filter(({ name }) => !name.includes('int64'))]).toSatisfy(
      (values: { dtype: string }[]) => values.every(({ dtype }) => dtype === 'float16'),
    );
    expect(report.data.parity?.cases[0]?.outputs[0]?.dtype).toBe('float16');
  });
});

describe('keys', () => {
  test('with the prefix left on, nothing matches, nothing is written, and the option is named', async () => {
    const run = await convert({ source: PNET, stripPrefix: false });
    expect(run.report).toMatchObject({ ok: false, data: { matched: 0, architecture: 'pnet', nodes: 0 } });
    expect(run.report.data.missing).toHaveLength(13);
    expect(run.report.findings).toEqual([
      expect.objectContaining({
        level: 'error',
        rule: 'weights/missing-key',
        message: expect.stringContaining('"module." 13 of 13 keys match pnet'),
        hint: 'leave out --no-strip-prefix, or give --strip-prefix module.',
      }),
    ]);
    expect(run.files).toEqual([]);
  });

  test('another prefix is named too, behind the one that was stripped', async () => {
    const hidden = new Map([...pnetTensors()].map(([key, tensor]) => [`module.net.${key}`, tensor]));
    const source = saved(hidden);
    const { report } = await convert({ source });
    expect(report.findings.at(-1)?.hint).toBe('--strip-prefix module.net.');
    expect((await convert({ source, stripPrefix: 'module.net.' })).report.ok).toBe(true);
  });

  test('two levels of DataParallel are stripped', async () => {
    const wrapped = new Map([...pnetTensors()].map(([key, tensor]) => [`module.module.${key}`, tensor]));
    const { report } = await convert({ source: saved(wrapped) });
    expect(report).toMatchObject({ ok: true, data: { matched: 13 } });
    expect(report.findings[0]?.message).toBe('"module.module." stripped from 13 of 13 keys');
  });

  test('missing, unexpected and mismatched keys are all named at once, with the nearest ones', async () => {
    const tensors = pnetTensors();
    tensors.set('conv2.wieght', tensors.get('conv2.weight')!);
    tensors.delete('conv2.weight');
    tensors.set('prelu3.weight', float32Tensor([31], new Float32Array(31)));
    const run = await convert({ source: saved(tensors), reference: PNET_CASES });
    expect(run.report.data).toMatchObject({
      matched: 11,
      missing: ['conv2.weight'],
      unexpected: ['conv2.wieght'],
      mismatched: [{ key: 'prelu3.weight', expected: '[32]', found: 'float32 [31]' }],
      parity: null,
    });
    expect(rules(run)).toEqual([
      'error weights/missing-key',
      'error weights/unexpected-key',
      'error weights/shape-mismatch',
    ]);
    expect(run.report.findings[0]?.message).toContain('"conv2.weight" (nearest: "conv2.wieght")');
    expect(run.files).toEqual([]);
  });

  test('--rename puts a key right', async () => {
    const tensors = new Map(
      [...pnetTensors()].map(([key, tensor]) => [key.replace('conv2.', 'konv2.'), tensor]),
    );
    const run = await convert({
      source: saved(tensors),
      rename: [{ from: 'konv2.', to: 'conv2.' }],
      reference: PNET_CASES,
    });
    expect(run.report.ok).toBe(true);
  });

  test('what may be missing or stay takes initial values and is left out, said aloud', async () => {
    const tensors = pnetTensors();
    tensors.delete('prelu1.weight');
    tensors.delete('conv4_1.bias');
    tensors.set('optimizer.step', float32Tensor([], [3]));
    const source = saved(tensors);
    expect((await convert({ source })).report.ok).toBe(false);
    const run = await convert({
      source,
      allowMissing: ['prelu1.*', 'conv4_1.bias'],
      allowUnexpected: ['optimizer.*'],
    });
    expect(run.report).toMatchObject({ ok: true, data: { matched: 11 } });
    expect(run.report.findings.map(({ message }) => message)).toEqual([
      '"prelu1.weight" is missing: filled with torch\'s initial 0.25',
      '"conv4_1.bias" is missing: filled with zeros (torch would start from random values)',
      '1 keys are left out, e.g. "optimizer.step"',
      'the model loads and runs; without reference outputs nothing says that it computes what PyTorch does',
    ]);
    const slopes = loadModel(run.output).graph.initializers.find(({ name }) => name === 'prelu1.weight');
    expect([...toFloat32(slopes!.constant!)]).toEqual(new Array(10).fill(0.25));
  });

  test('no leniency lets zero matched keys pass', async () => {
    const source = saved(new Map([['something.else', float32Tensor([1], [1])]]));
    const run = await convert({ source, architecture: 'pnet', allowMissing: ['*'], allowUnexpected: ['*'] });
    expect(run.report).toMatchObject({ ok: false, data: { matched: 0 } });
    expect(run.files).toEqual([]);
  });

  test('another architecture than the keys show is refused key by key', async () => {
    const run = await convert({ source: PNET, architecture: 'onet' });
    expect(run.report.ok).toBe(false);
    expect(run.report.data.mismatched.map(({ key }) => key)).toContain('conv1.weight');
  });

  test('rules that fit no key are pointed out', async () => {
    const run = await convert({ source: PNET, rename: [{ from: 'nothing.', to: 'x.' }] });
    expect(rules(run)).toContain('warning unused-rule');
  });
});

describe('parity', () => {
  test('outputs that differ leave no file', async () => {
    const wrong = join(folder, 'wrong.npz');
    const right = readNpz(join(PNET_CASES, 'rand.npz'));
    const boxes = right.get('conv4_2')!;
    const shifted = float32Tensor(
      boxes.dims,
      toFloat32(boxes).map((value) => value + 0.01),
    );
    writeFileSync(wrong, Buffer.concat(writeNpz(new Map([...right, ['conv4_2', shifted]]))));
    const run = await convert({ source: PNET, reference: wrong });
    expect(run.report.ok).toBe(false);
    expect(rules(run)).toEqual(['note stripped-prefix', 'error parity']);
    expect(run.report.data.parity?.candidate).toBe(run.output);
    expect(run.files).toEqual([]);
  });

  test('an existing output survives a refusal and a failed proof', async () => {
    const output = join(folder, 'kept.onnx');
    writeFileSync(output, 'old');
    await expect(convertCheckpoint({ source: PNET, output })).rejects.toMatchObject({ exitCode: 2 });
    await convertCheckpoint({ source: PNET, output, force: true, stripPrefix: false });
    expect(readFileSync(output, 'utf8')).toBe('old');
  });

  test.each([
    [{ reference: PNET_CASES, inputs: [{ path: 'x.npy' }], expected: [{ path: 'y.npy' }] }, 'usage/conflict'],
    [{ inputs: [{ path: 'x.npy' }] }, 'usage/option'],
    [{ expected: [{ path: 'y.npy' }] }, 'usage/option'],
    [{ opset: 12 }, 'op/unsupported'],
    [{ opset: 99 }, 'op/unsupported'],
    [{ inputShapes: [{ dims: [1, 3, 8, 8] }] }, 'usage/input-shape'],
    [{ architecture: 'pnett' }, 'usage/unknown-name'],
    [{ stateDict: 'nowhere' }, 'checkpoint/no-state-dict'],
  ])('%o is %s', async (options, code) => {
    const output = join(folder, 'never.onnx');
    await expect(convertCheckpoint({ source: PNET, output, ...options })).rejects.toMatchObject({ code });
    expect(existsSync(output)).toBe(false);
  });
});

describe('what is written', () => {
  let first: Awaited<ReturnType<typeof convert>>;
  beforeAll(async () => {
    first = await convert({ source: PNET });
  });

  test('the same bytes each time', async () => {
    const second = await convert({ source: PNET });
    expect(readFileSync(second.output).equals(readFileSync(first.output))).toBe(true);
  });

  test('says who made it, of what', () => {
    const model = loadModel(first.output);
    expect(model).toMatchObject({ irVersion: 8, opset: 17, producerName: 'ortho' });
    expect([...model.metadata.keys()]).toEqual([
      'ortho.architecture',
      'ortho.weights_sha256',
      'ortho.flushed_subnormals',
    ]);
    expect(model.metadata.get('ortho.weights_sha256')).toMatch(/^[0-9a-f]{64}$/);
  });

  test('the weights digest tells values, not containers', async () => {
    const other = await convert({ source: saved(pnetTensors()) });
    const digest = (path: string) => loadModel(path).metadata.get('ortho.weights_sha256');
    expect(digest(other.output)).toBe(digest(first.output));
    const tensors = pnetTensors();
    tensors.set('conv4_2.bias', float32Tensor([4], [0, 0, 0, 1]));
    expect(digest((await convert({ source: saved(tensors) })).output)).not.toBe(digest(first.output));
  });

  test('shapes as asked for', async () => {
    const { output } = await convert({
      source: PNET,
      inputShapes: [{ name: 'input', dims: [1, 3, 60, 47] }],
      dynamic: [{ input: 'input', axis: 0, name: 'n' }],
    });
    const { graph } = loadModel(output);
    expect(graph.inputs[0]?.shape).toEqual(['n', 3, 60, 47]);
    expect(graph.slots.map(({ type }) => type)).toMatchObject([
      { shape: ['n', 4, 25, 19] },
      { shape: ['n', 2, 25, 19] },
    ]);
  });

  test('large weights go into a data file named after its content; a second run keeps it', async () => {
    const { report, files, home, output } = await convert({
      source: PNET,
      reference: join(PNET_CASES, 'rand.npz'),
      externalData: true,
    });
    expect(report.ok).toBe(true);
    expect(files).toEqual([expect.stringMatching(/^model-[0-9a-f]{16}\.data$/), 'model.onnx']);
    await convertCheckpoint({ source: PNET, output: join(home, 'again.onnx'), externalData: true });
    rmSync(output);
    await convertCheckpoint({ source: PNET, output, externalData: true });
    const weights = (path: string) =>
      loadModel(path).graph.initializers.map(({ name, constant }) => [name, [...tensorBytes(constant!)]]);
    expect(weights(output)).toEqual(weights(first.output));
  });

  test('subnormal weights are zeros, unless they are to be kept', async () => {
    const tensors = pnetTensors();
    tensors.set('conv4_2.bias', float32Tensor([4], [1e-40, -1e-42, 0, 1]));
    const source = saved(tensors);
    const flushed = await convert({ source });
    expect(flushed.report.data.flushedSubnormals).toBe(2);
    const kept = await convert({ source, keepSubnormals: true });
    expect(kept.report.data.flushedSubnormals).toBe(0);
    const bias = (path: string) =>
      toFloat32(loadModel(path).graph.initializers.find(({ name }) => name === 'conv4_2.bias')!.constant!);
    expect([...bias(flushed.output)]).toEqual([0, -0, 0, 1]);
    expect(bias(kept.output)[0]).toBeGreaterThan(0);
  });
});
