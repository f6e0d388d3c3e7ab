import { describe, expect, test } from 'vitest';
import { toFloat32 } from '../../src/core/tensor.ts';
import type { Model } from '../../src/ir/model.ts';
import type { Node } from '../../src/ir/node.ts';
import { inferShapes } from '../../src/ops/infer/index.ts';
import type { Range } from '../../src/quantize/affine.ts';
import { staticScheme } from '../../src/quantize/static.ts';
import { modelFromText } from '../support/model-text.ts';

const NET = `
  g (float[1,1,4,4] x) => (float[1,2] y)
  <float[1,1,1,1] w1 = {0.5}, float[1] b1 = {1.0}, float low = {0.0}, float high = {6.0},
   float[1,1,3,3] w2 = {1,2,3,4,5,6,7,8,9}, float[4,2] w3 = {1,2,3,4,5,6,7,8}, int64[2] flat = {1, 4}>
  {
    [first] a = Conv (x, w1, b1)
    c = Clip (a, low, high)
    [second] d = Conv (c, w2)
    s = Sigmoid (d)
    p = MaxPool <kernel_shape = [1, 1]> (d)
    f = Reshape (p, flat)
    [last] y = MatMul (f, w3)
  }`;

const quantized = (exclude: readonly string[] = []): { model: Model; asked: string[] } => {
  const model = modelFromText(NET);
  inferShapes(model);
  const context = { isExcluded: ({ name }: Node) => exclude.includes(name), convolutions: false };
  if (!staticScheme.needsCalibration) throw new Error('static calibrates');
  const asked = staticScheme.tensors(model, context).map(({ name }) => name);
  const ranges = new Map<string, Range>(asked.map((name) => [name, { min: 0, max: 255 }]));
  staticScheme.apply(model, context, ranges);
  return { model, asked };
};

const named = (model: Model, name: string): Node => {
  const node = model.graph.nodes.find((one) => one.name === name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
};

describe('placement', () => {
  test('inputs and results, behind the Clip, once for what only moves', () => {
    expect(quantized().asked).toEqual(['x', 'c', 'd']);
  });

  test('a moved tensor has the very parameters of its source', () => {
    const { model } = quantized();
    const scaleOf = (name: string): number | undefined => {
      const tensor = named(model, `${name}/quantize`).inputs[1]?.constant;
      return tensor && toFloat32(tensor)[0];
    };
    expect(['d', 'p', 'f'].map(scaleOf)).toEqual([1, 1, 1]);
  });

  test('scales of activations are scalars, those of weights one a channel', () => {
    const { model } = quantized();
    expect(
      named(model, 'x/quantize')
        .inputs.slice(1)
        .map((value) => value?.constant?.dims),
    ).toEqual([[], []]);
    const weight = named(model, 'last').inputs[1]?.producer as Node;
    expect(weight.op).toBe('DequantizeLinear');
    expect(weight.int('axis')).toBe(1);
    expect(weight.inputs[1]?.constant?.dims).toEqual([2]);
  });

  test('the bias has the scale of input times weight', () => {
    const { model } = quantized();
    const bias = named(model, 'first').inputs[2]?.producer as Node;
    const [scale] = toFloat32(
      bias.inputs[1]?.constant as NonNullable<(typeof bias.inputs)[0]>['constant'] & object,
    );
    expect(scale).toBe(Math.fround(Math.fround(0.5 / 127) * 1));
    expect(bias.inputs[0]?.constant?.dtype).toBe('int32');
  });

  test('the Clip stays in the graph', () => {
    expect(quantized().model.graph.nodes.some((node) => node.is('Clip'))).toBe(true);
  });
});

describe('what stays float', () => {
  test('an excluded convolution reads the float tensor, not the dequantised one', () => {
    const { model } = quantized(['second']);
    expect(named(model, 'second').inputs[0]?.producer?.op).toBe('Clip');
    expect(named(model, 'second').inputs[1]?.constant).toBeDefined();
  });

  test('other float readers of an int8 result read it dequantised, so that the kernel can be fused', () => {
    const sigmoid = quantized().model.graph.nodes.find((node) => node.is('Sigmoid'));
    expect(sigmoid?.inputs[0]?.producer?.op).toBe('DequantizeLinear');
  });
});

test('a Gemm whose bias is not one value a column stays float, even where the counts agree', () => {
  const model = modelFromText(`
    g (float[4,2] x) => (float[4,4] y)
    <float[2,4] w = {1,2,3,4,5,6,7,8}, float[4,1] rows = {1,2,3,4}>
    { [rows] y = Gemm (x, w, rows) }`);
  inferShapes(model);
  const context = { isExcluded: () => false, convolutions: false };
  expect(staticScheme.apply(model, context, new Map())).toEqual([
    { node: 'rows', reason: 'its bias is not one constant value a column' },
  ]);
});
