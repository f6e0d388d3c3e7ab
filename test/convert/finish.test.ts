import { describe, expect, test } from 'vitest';
import {
  castToFloat16,
  countParameters,
  flushSubnormalWeights,
  foldBatchNorms,
} from '../../src/convert/finish.ts';
import { GraphWriter } from '../../src/convert/graph-writer.ts';
import { Nn } from '../../src/convert/nn.ts';
import { Parameters } from '../../src/convert/parameters.ts';
import { float32Tensor, type Tensor, tensorArray, toFloat32 } from '../../src/core/tensor.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { tensorType } from '../../src/ir/type.ts';
import type { Value } from '../../src/ir/value.ts';

const tensors: [string, Tensor][] = [
  ['conv.weight', float32Tensor([2, 1, 1, 1], [3, 5])],
  ['bn.weight', float32Tensor([2], [2, 4])],
  ['bn.bias', float32Tensor([2], [10, 20])],
  ['bn.running_mean', float32Tensor([2], [1, -1])],
  ['bn.running_var', float32Tensor([2], [4, 16])],
];

const build = (network: (nn: Nn, x: Value) => Value, more: readonly [string, Tensor][] = []): Graph => {
  const writer = new GraphWriter('test', new Parameters(new Map([...tensors, ...more])), 17);
  const x = writer.graph.addInput('input', tensorType('float32', [1, 1, 2, 2]));
  writer.graph.addOutput('output', network(new Nn(writer), x));
  return writer.graph;
};

const conv = (nn: Nn, x: Value): Value => nn.conv2d(x, 'conv', { out: 2, kernel: 1, bias: false });
const ops = (graph: Graph): string[] => graph.nodes.map(({ op }) => op);
const weights = (graph: Graph): Record<string, number[]> =>
  Object.fromEntries(graph.initializers.map(({ name, constant }) => [name, [...toFloat32(constant!)]]));

describe('folding', () => {
  test('W·γ/√(σ²+ε) keeps the key of the convolution and gives it a bias', () => {
    const graph = build((nn, x) => nn.relu(nn.batchNorm2d(conv(nn, x), 'bn', { eps: 0 })));
    foldBatchNorms(graph);
    expect(ops(graph)).toEqual(['Conv', 'Relu']);
    expect(weights(graph)).toEqual({ 'conv.weight': [3, 5], 'conv.bias': [10 - 1, 20 + 1] });
  });

  test('a batch norm that ends the graph folds too; the output keeps its name', () => {
    const graph = build((nn, x) => nn.batchNorm2d(conv(nn, x), 'bn', { eps: 5 }));
    foldBatchNorms(graph);
    expect(ops(graph)).toEqual(['Conv']);
    expect(graph.outputNames).toEqual(['output']);
    expect(weights(graph)['conv.weight']).toEqual([
      2,
      Math.fround(5 * Math.fround(4 / Math.fround(Math.sqrt(21)))),
    ]);
  });

  test('a convolution whose output is used elsewhere keeps its batch norm', () => {
    const graph = build((nn, x) => {
      const y = conv(nn, x);
      return nn.add(nn.batchNorm2d(y, 'bn'), y);
    });
    foldBatchNorms(graph);
    expect(ops(graph)).toEqual(['Conv', 'BatchNormalization', 'Add']);
    expect(weights(graph)['conv.weight']).toEqual([3, 5]);
  });

  test('a convolution that is called twice keeps its batch norms', () => {
    const graph = build((nn, x) =>
      nn.add(nn.batchNorm2d(conv(nn, x), 'bn'), nn.batchNorm2d(conv(nn, nn.relu(x)), 'bn')),
    );
    foldBatchNorms(graph);
    expect(ops(graph).filter((op) => op === 'BatchNormalization')).toHaveLength(2);
  });

  test('a batch norm on an input stays', () => {
    const graph = build((nn, x) => conv(nn, nn.batchNorm2d(x, 'first')));
    foldBatchNorms(graph);
    expect(ops(graph)).toEqual(['BatchNormalization', 'Conv']);
  });
});

test('subnormal weights become zeros and are counted; other tensors stay as they are', () => {
  const graph = build(conv, [['conv.weight', float32Tensor([2, 1, 1, 1], [1e-40, -3])]]);
  expect(flushSubnormalWeights(graph)).toEqual({ tensors: 1, elements: 1 });
  expect(weights(graph)).toEqual({ 'conv.weight': [0, -3] });
  const before = graph.initializers[0]?.constant;
  expect(flushSubnormalWeights(graph)).toEqual({ tensors: 0, elements: 0 });
  expect(graph.initializers[0]?.constant).toBe(before);
});

describe('float16', () => {
  test('reaches weights, constants, values, inputs and outputs', () => {
    const graph = build((nn, x) => nn.relu6(conv(nn, x)));
    castToFloat16(graph);
    const values = [...graph.inputs, ...graph.initializers, ...graph.nodes.map(({ output }) => output)];
    expect(values.map(({ dtype }) => dtype)).toEqual(values.map(() => 'float16'));
    expect(graph.slots[0]?.type).toEqual(tensorType('float16', [1, 2, 2, 2]));
    const halves = tensorArray(graph.initializers[0]?.constant as Tensor & { dtype: 'float16' });
    expect([...halves]).toEqual([0x4200, 0x4500]);
    expect(countParameters(graph)).toBe(4);
  });

  test('refuses weights that would become infinite, and keeps those that are', () => {
    const huge = build(conv, [['conv.weight', float32Tensor([2, 1, 1, 1], [65519, 65520])]]);
    expect(() => castToFloat16(huge)).toThrow(
      expect.objectContaining({
        code: 'dtype/unsupported',
        message: expect.stringContaining('1 of 2 weights'),
      }),
    );
    const infinite = build(conv, [['conv.weight', float32Tensor([2, 1, 1, 1], [Infinity, 1])]]);
    castToFloat16(infinite);
    expect(weights(infinite)).toEqual({ 'conv.weight': [Infinity, 1] });
  });
});
