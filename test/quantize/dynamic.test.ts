import { describe, expect, test } from 'vitest';
import { tensorArray, toFloat32 } from '../../src/core/tensor.ts';
import type { Model } from '../../src/ir/model.ts';
import type { Node } from '../../src/ir/node.ts';
import { inferShapes } from '../../src/ops/infer/index.ts';
import { dynamicScheme } from '../../src/quantize/dynamic.ts';
import type { Excluded } from '../../src/quantize/scheme.ts';
import { modelFromText } from '../support/model-text.ts';

const quantized = (text: string, convolutions = false): { model: Model; excluded: Excluded[] } => {
  const model = modelFromText(text);
  inferShapes(model);
  if (dynamicScheme.needsCalibration) throw new Error('dynamic does not calibrate');
  return { model, excluded: dynamicScheme.apply(model, { isExcluded: () => false, convolutions }) };
};

const all = (model: Model, op: string): Node[] => model.graph.nodes.filter((node) => node.is(op));

describe('weights that several nodes share', () => {
  const NET = `
    g (float[2,2] x) => (float[2,2] y)
    <float[2,2] w = {1, 2, 3, 4}>
    { a = MatMul (x, w) b = MatMul (a, w) y = Gemm <transB = 1> (b, w) }`;

  test('are stored once a layout, with the scales of their own columns', () => {
    const { model, excluded } = quantized(NET);
    expect(excluded).toEqual([]);
    const weights = all(model, 'MatMulInteger').map(({ inputs }) => inputs[1]);
    expect(weights).toHaveLength(3);
    expect(weights[0]).toBe(weights[1]);
    expect(weights[2]).not.toBe(weights[0]);
    const values = [weights[0], weights[2]].map((weight) => Array.from(tensorArray(weight!.constant!)));
    expect(values).toEqual([
      [42, 64, 127, 127],
      [64, 95, 127, 127],
    ]);
    const scales = all(model, 'Mul').flatMap(({ inputs }) => {
      const constant = inputs[1]?.constant;
      return constant === undefined ? [] : [Array.from(toFloat32(constant))];
    });
    const of = (...maxima: number[]): number[] => maxima.map((maximum) => Math.fround(maximum / 127));
    expect(scales).toEqual([of(3, 4), of(3, 4), of(2, 4)]);
  });

  test('the kernel of two convolutions too', () => {
    const { model } = quantized(
      `g (float[1,1,4,4] x) => (float[1,1,4,4] y)
       <float[1,1,1,1] w = {0.5}>
       { a = Conv (x, w) y = Conv (a, w) }`,
      true,
    );
    const [first, second] = all(model, 'ConvInteger');
    expect(first?.inputs[1]).toBe(second?.inputs[1]);
  });
});

test('what stays float says why', () => {
  const { excluded } = quantized(`
    g (float[2,2] x, float[1,1,4,4] i) => (float[2,2] y, float[1,1,4,4] o)
    <float[2,2] w = {1, 2, 3, 4}, float[1,1,1,1] k = {0.5}>
    { [scaled] a = Gemm <alpha = 0.5> (x, w) [square] y = MatMul (a, a) [conv] o = Conv (i, k) }`);
  expect(excluded.map(({ node, reason }) => `${node}: ${reason}`)).toEqual([
    'scaled: it scales its operands or transposes its input, or its weight is not a constant float32 matrix',
    'square: its right operand is not a constant float32 matrix',
    'conv: a dynamically quantised convolution is slower than the float one',
  ]);
});
