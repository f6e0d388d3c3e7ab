import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import type { OrthoError } from '../../src/core/errors.ts';
import { BytesSource } from '../../src/core/source.ts';
import {
  float32Tensor,
  int64Tensor,
  type Tensor,
  tensorArray,
  tensorBytes,
  tensorOf,
  toFloat32,
  typedTensor,
} from '../../src/core/tensor.ts';
import { runtimes } from '../../src/runtime/index.ts';
import { openIsolatedSession, SessionHost, saveOptimizedModel } from '../../src/runtime/isolated.ts';
import type { ProcessLimits, SessionOptions } from '../../src/runtime/session.ts';

const model = (name: string): string => new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url).pathname;

const failure = async (work: Promise<unknown>): Promise<OrthoError> => {
  try {
    await work;
  } catch (error) {
    return error as OrthoError;
  }
  throw new Error('it did not fail');
};

const runOnce = async (
  name: string,
  feeds: Record<string, Tensor>,
  options: SessionOptions & ProcessLimits = {},
  wanted?: string[],
): Promise<Map<string, Tensor>> => {
  const session = await openIsolatedSession(model(name), options);
  try {
    return await session.run(new Map(Object.entries(feeds)), wanted);
  } finally {
    await session.close();
  }
};

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ortho-runtime-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a model in its own process', () => {
  test('runs, tells its inputs and outputs, and fetches what is wanted', async () => {
    const session = await openIsolatedSession(model('add'));
    expect(session.inputs).toEqual([{ name: 'x', isTensor: true, dtype: 'float32', shape: ['batch', 3] }]);
    expect(session.outputs.map(({ shape }) => shape)).toEqual([
      ['batch', 3],
      ['batch', 3],
    ]);
    const x = float32Tensor([2, 3], [1, 2, 3, 4, 5, 6]);
    const all = await session.run(new Map([['x', x]]));
    expect([...all.keys()]).toEqual(['y', 'z']);
    expect(all.get('y')?.dims).toEqual([2, 3]);
    expect([...toFloat32(all.get('z')!)]).toEqual([-2, -3, -4, -5, -6, -7]);
    const one = await session.run(new Map([['x', x]]), ['z']);
    expect([...one.keys()]).toEqual(['z']);
    await session.close();
    await session.close();
    expect((await failure(session.run(new Map([['x', x]])))).code).toBe('internal/bug');
  });

  test('a dimension without a name is null', async () => {
    const session = await openIsolatedSession(model('int-min-divided'));
    expect(session.inputs.map(({ shape }) => shape)).toEqual([[null], [1]]);
    await session.close();
  });

  test('passes every element type through unchanged', async () => {
    const numeric: [string, DType, number][] = [
      ['f32', 'float32', 4],
      ['f64', 'float64', 8],
      ['f16', 'float16', 2],
      ['i8', 'int8', 1],
      ['i16', 'int16', 2],
      ['i32', 'int32', 4],
      ['i64', 'int64', 8],
      ['u8', 'uint8', 1],
      ['u16', 'uint16', 2],
      ['u32', 'uint32', 4],
      ['u64', 'uint64', 8],
    ];
    const feeds: Record<string, Tensor> = {};
    for (const [name, dtype, size] of numeric) {
      const bytes = Uint8Array.from({ length: 3 * size }, (_, i) => (i * 37 + size) & 0x7e);
      feeds[name] = tensorOf(dtype, [3], bytes);
    }
    feeds.bool = typedTensor('bool', [3], Uint8Array.of(1, 0, 1));
    const strings = ['', 'naïve', '日本'].map((text) => new TextEncoder().encode(text));
    feeds.str = { dtype: 'string', dims: [3], data: new BytesSource(new Uint8Array(0)), strings };
    const outputs = await runOnce('types', feeds);
    for (const [name, tensor] of Object.entries(feeds)) {
      const got = outputs.get(`${name}_out`)!;
      expect([name, got.dtype, got.dims]).toEqual([name, tensor.dtype, [3]]);
      expect(tensorBytes(got)).toEqual(tensorBytes(tensor));
    }
    expect(outputs.get('str_out')?.strings?.map((bytes) => Buffer.from(bytes).toString())).toEqual([
      '',
      'naïve',
      '日本',
    ]);
    expect(tensorArray(outputs.get('f16_out') as Tensor & { dtype: 'float16' })).toBeInstanceOf(Uint16Array);
  });

  test('carries big and empty tensors over the border', async () => {
    const big = new Float32Array(3 << 20).map((_, i) => i % 1000);
    const outputs = await runOnce('add', { x: float32Tensor([1 << 20, 3], big) }, {}, ['y']);
    const y = toFloat32(outputs.get('y')!);
    expect(y.length).toBe(3 << 20);
    expect(y.every((value, i) => value === big[i]! + 1)).toBe(true);
    const none = await runOnce('add', { x: float32Tensor([0, 3], []) });
    expect(none.get('y')?.dims).toEqual([0, 3]);
  });

  test('names special in JavaScript work; sequences are left out and cannot be fetched', async () => {
    const feeds = { constructor: float32Tensor([2], [1, -2]) };
    const outputs = await runOnce('odd-names', feeds);
    expect([...outputs].map(([name, tensor]) => [name, ...toFloat32(tensor)])).toEqual([['y y', -1, 2]]);
    expect((await failure(runOnce('odd-names', feeds, {}, ['s']))).code).toBe('dtype/unsupported');
  });
});

describe('wrong calls', () => {
  const x = float32Tensor([1, 3], [1, 2, 3]);
  const cases: [string, () => Promise<unknown>, string, RegExp][] = [
    ['unknown input', () => runOnce('add', { X: x }), 'usage/option', /no input "X"/],
    ['missing input', () => runOnce('add', {}), 'usage/option', /input "x" .* not fed/],
    ['unknown output', () => runOnce('add', { x }, {}, ['q']), 'usage/option', /no output "q"/],
    [
      'wrong size',
      () => runOnce('add', { x: float32Tensor([1, 2], [1, 2]) }),
      'usage/input-shape',
      /add\.onnx.*index: 1 Got: 2 Expected: 3/,
    ],
    [
      'wrong rank',
      () => runOnce('add', { x: float32Tensor([3], [1, 2, 3]) }),
      'usage/input-shape',
      /Invalid rank/,
    ],
    ['wrong type', () => runOnce('add', { x: int64Tensor([1, 3], [1, 2, 3]) }), 'usage/option', /data type/],
    [
      'type that cannot be fed',
      () => runOnce('add', { x: tensorOf('bfloat16', [1, 3], new Uint8Array(6)) }),
      'dtype/unsupported',
      /bfloat16/,
    ],
    ['no such file', () => runOnce('nowhere', {}), 'file/not-found', /nowhere\.onnx/],
    ['unknown operator', () => runOnce('unknown-op', { x }), 'op/unsupported', /Frobnicate/],
    [
      'not a model',
      () => openIsolatedSession(new URL(import.meta.url).pathname),
      'model/invalid',
      /isolated\.test\.ts: ONNX Runtime could not load it/,
    ],
    [
      'misspelt entry',
      () => runOnce('add', { x }, { extra: { 'session.disable_quant_qdk': '1' } }),
      'usage/option',
      /disable_quant_qdk/,
    ],
  ];
  test.each(cases)('%s', async (_, call, code, message) => {
    const error = await failure(call());
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });
});

describe('models that kill a runtime are errors with exit code 5', () => {
  const int32 = (value: number): Tensor => typedTensor('int32', [1], Int32Array.of(value));
  const cases: [string, () => Promise<unknown>, string, RegExp][] = [
    ['int4-output', () => runOnce('int4-output', {}), 'runtime/crashed', /SIGABRT/],
    [
      'int-min-divided',
      () => runOnce('int-min-divided', { x: int32(-(2 ** 31)), d: int32(-1) }),
      'runtime/crashed',
      /running it killed its process \(SIGFPE\)/,
    ],
    [
      'convtranspose-group0',
      () => runOnce('convtranspose-group0', {}),
      'runtime/crashed',
      /loading it killed its process \(SIGFPE\)/,
    ],
    [
      'endless-loop',
      () =>
        runOnce(
          'endless-loop',
          { trips: int64Tensor([], [10n ** 12n]), x: float32Tensor([1], [1]) },
          { timeoutMs: 1500 },
        ),
      'runtime/timeout',
      /running it took longer than 1\.5 s/,
    ],
    [
      'function-bomb',
      () => runOnce('function-bomb', {}, { timeoutMs: 1500 }),
      'runtime/timeout',
      /loading it took longer/,
    ],
    [
      'fill',
      () => runOnce('fill', { n: int64Tensor([1], [2_000_000_000]) }, { memoryMb: 400 }),
      'runtime/memory',
      /running it took \d+ MB and was stopped, the limit is 400 MB/,
    ],
    [
      'fill',
      () => runOnce('fill', { n: int64Tensor([1], [10n ** 13n]) }),
      'runtime/memory',
      /requested buffer of size/,
    ],
  ];
  test.each(cases)('%s', async (name, call, code, message) => {
    const error = await failure(call());
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${name}.onnx: `)).toBe(true);
    expect([error.code, error.exitCode]).toEqual([code, 5]);
    expect(error.at.file).toBe(model(name));
    expect(error.hint).toBeTruthy();
  });

  test('after a crash the other sessions of that process fail with the same error', async () => {
    const host = new SessionHost();
    const healthy = await host.open(model('add'));
    const deadly = await host.open(model('int4-output'));
    const crash = await failure(deadly.run(new Map()));
    expect(await failure(healthy.run(new Map([['x', float32Tensor([1, 3], [1, 2, 3])]])))).toBe(crash);
    await host.close();
  });
});

test('aborting ends a hung model', async () => {
  const controller = new AbortController();
  const session = await openIsolatedSession(model('endless-loop'), { signal: controller.signal });
  const run = session.run(
    new Map<string, Tensor>([
      ['trips', int64Tensor([], [10n ** 12n])],
      ['x', float32Tensor([1], [1])],
    ]),
  );
  controller.abort();
  expect((await failure(run)).code).toBe('internal/interrupted');
  await session.close();
});

describe('saving what the runtime made of a model', () => {
  test('writes the model at the level asked for', async () => {
    const output = join(folder, 'basic.onnx');
    const { ms } = await saveOptimizedModel(model('conv-bn-relu'), output);
    expect(ms).toBeGreaterThan(0);
    expect(readFileSync(output).includes('BatchNormalization')).toBe(false);
    const disabled = join(folder, 'disabled.onnx');
    await saveOptimizedModel(model('conv-bn-relu'), disabled, { level: 'disabled' });
    expect(readFileSync(disabled).includes('BatchNormalization')).toBe(true);
    const fused = join(folder, 'extended.onnx');
    await saveOptimizedModel(model('conv-bn-relu'), fused, { level: 'extended' });
    expect(readFileSync(fused).includes('FusedConv')).toBe(true);
    await saveOptimizedModel(model('conv-bn-relu'), fused, {
      level: 'extended',
      disabledOptimizers: ['ConvActivationFusion'],
    });
    expect(readFileSync(fused).includes('FusedConv')).toBe(false);
  });

  test('a failure leaves nothing', async () => {
    const before = await readdir(folder);
    const output = join(folder, 'no.onnx');
    expect((await failure(saveOptimizedModel(model('unknown-op'), output))).code).toBe('op/unsupported');
    const nowhere = join(folder, 'missing', 'no.onnx');
    expect((await failure(saveOptimizedModel(model('add'), nowhere))).code).toBe('output/unwritable');
    expect(await readdir(folder)).toEqual(before);
  });
});

test('timed loops give one time for each round and session', async () => {
  const host = new SessionHost();
  const a = await host.open(model('add'), { spinning: 'stop' });
  const b = await host.open(model('conv-bn-relu'), { spinning: 'stop' });
  await a.prepare(new Map([['x', float32Tensor([1, 3], [1, 2, 3])]]));
  await b.prepare(new Map([['x', float32Tensor([1, 3, 8, 8], new Float32Array(192))]]));
  const times = await host.time([a, b], {
    leastRounds: 1,
    mostRounds: 7,
    maxMs: 60_000,
    order: 'shuffled',
    seed: 1,
  });
  expect(times.map(({ length }) => length)).toEqual([7, 7]);
  expect(times.every((series) => series.every((ms) => ms > 0))).toBe(true);
  const least = await host.time([b], { leastRounds: 3, mostRounds: 1000, maxMs: 0, order: 'fixed', seed: 1 });
  expect(least.map(({ length }) => length)).toEqual([3]);
  expect(a.loadMs).toBeGreaterThan(0);
  await host.close();
});

test('the registry says what is available', async () => {
  expect(await runtimes['onnxruntime-node'].available()).toBe(true);
});
