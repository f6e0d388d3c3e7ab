import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { float32Tensor, type Tensor, toFloat32 } from '../../src/core/tensor.ts';
import { writeNpz } from '../../src/formats/npz.ts';
import { NO_NORMALIZATION, openSamples } from '../../src/quantize/samples.ts';
import type { TensorSpec } from '../../src/runtime/session.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-samples-test-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const spec = (name: string, shape: TensorSpec['shape']): TensorSpec => ({
  name,
  isTensor: true,
  dtype: 'float32',
  shape,
});

const tensor = (...dims: number[]): Tensor =>
  float32Tensor(
    dims,
    Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, i) => i),
  );

const open = (name: string, arrays: Record<string, Tensor>, inputs: readonly TensorSpec[]) => {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat(writeNpz(new Map(Object.entries(arrays)))));
  return openSamples(path, inputs, { seed: 0, normalization: NO_NORMALIZATION });
};

test('an array as long as the input is one sample: a recurrent state is not a batch', async () => {
  const samples = await open('state.NPZ', { x: tensor(1, 3), h: tensor(2, 1, 4) }, [
    spec('x', [1, 3]),
    spec('h', [2, 1, 4]),
  ]);
  expect(samples.count).toBe(1);
  const feeds = await samples.load(0);
  expect([...feeds].map(([name, { dims }]) => [name, dims])).toEqual([
    ['x', [1, 3]],
    ['h', [2, 1, 4]],
  ]);
});

test('a longer one is cut into samples of the size that the input has', async () => {
  const samples = await open('batches.npz', { x: tensor(6, 2) }, [spec('x', [2, 2])]);
  expect(samples.count).toBe(3);
  const x = (await samples.load(1)).get('x') as Tensor;
  expect([x.dims, Array.from(toFloat32(x))]).toEqual([
    [2, 2],
    [4, 5, 6, 7],
  ]);
});

test('an input of any length takes one at a time', async () => {
  expect((await open('open.npz', { x: tensor(5, 2) }, [spec('x', ['n', 2])])).count).toBe(5);
});
