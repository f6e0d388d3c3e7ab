import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tensorArray } from '../../src/core/tensor.ts';
import { readNpz } from '../../src/formats/npz.ts';
import { flushSubnormals, foldBatchNorm } from '../../src/ops/weights.ts';

const golden = readNpz(fileURLToPath(new URL('../fixtures/convert/fold-batch-norm.npz', import.meta.url)));
const array = (name: string): Float32Array => tensorArray(golden.get(name)!) as Float32Array;
const bits = (values: Float32Array): number[] => [...new Int32Array(values.slice().buffer)];

const parameters = {
  gamma: array('gamma'),
  beta: array('beta'),
  mean: array('mean'),
  variance: array('variance'),
  epsilon: 1e-5,
};

test('a batch norm folds bit for bit as float32 arithmetic has it', () => {
  const folded = foldBatchNorm(array('weight'), array('bias'), parameters);
  expect(bits(folded.weight)).toEqual(bits(array('folded_weight')));
  expect(bits(folded.bias)).toEqual(bits(array('folded_bias')));
});

test('a layer without bias gets one', () => {
  const folded = foldBatchNorm(array('weight'), undefined, parameters);
  expect(bits(folded.bias)).toEqual(bits(array('folded_bias_without')));
});

test('folding leaves its inputs alone', () => {
  const weight = array('weight').slice();
  foldBatchNorm(weight, undefined, parameters);
  expect(bits(weight)).toEqual(bits(array('weight')));
});

test('subnormals become zeros of their sign, everything else stays', () => {
  const smallestNormal = 2 ** -126;
  const values = Float32Array.of(1e-40, -1e-45, 0, -0, smallestNormal, -smallestNormal, 1, NaN, -Infinity);
  const flushed = flushSubnormals(values);
  expect(bits(flushed)).toEqual(
    bits(Float32Array.of(0, -0, 0, -0, smallestNormal, -smallestNormal, 1, NaN, -Infinity)),
  );
  expect(values[0]).toBeGreaterThan(0);
});
