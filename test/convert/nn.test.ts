import { describe, expect, test } from 'vitest';
import { GraphWriter } from '../../src/convert/graph-writer.ts';
import { Nn } from '../../src/convert/nn.ts';
import { Parameters } from '../../src/convert/parameters.ts';
import { type Shape, tensorType } from '../../src/ir/type.ts';
import type { Value } from '../../src/ir/value.ts';

const start = (shape: Shape, opset = 17): { nn: Nn; x: Value; writer: GraphWriter } => {
  const writer = new GraphWriter('test', new Parameters(new Map()), opset);
  return { nn: new Nn(writer), x: writer.graph.addInput('input', tensorType('float32', shape)), writer };
};

const inputShape = (text: string) =>
  expect.objectContaining({ code: 'usage/input-shape', message: expect.stringContaining(text) });

test('nodes are named by module path, weights by key, calls of one module in turn', () => {
  const { nn, x, writer } = start([1, 3, 8, 8]);
  const features = nn.scope('features');
  let y = features.conv2d(x, '0', { out: 4, kernel: 3, padding: 1 });
  y = features.relu(y, '1');
  y = nn.add(features.relu(y, '1'), y);
  expect(writer.graph.nodes.map(({ name }) => name)).toEqual([
    '/features.0/Conv',
    '/features.1/Relu',
    '/features.1/Relu_1',
    '/Add',
  ]);
  expect(y.name).toBe('/Add_output_0');
  expect(writer.graph.initializers.map(({ name }) => name)).toEqual(['features.0.weight', 'features.0.bias']);
});

test('a module that is called twice has its weights once', () => {
  const { nn, x, writer } = start([1, 4, 8, 8]);
  const call = (value: Value) => nn.conv2d(value, 'conv', { out: 4, kernel: 1 });
  call(call(x));
  expect(writer.graph.initializers).toHaveLength(2);
  expect(writer.graph.nodes).toHaveLength(2);
});

test('limits of clamps are shared', () => {
  const { nn, x, writer } = start([1, 4]);
  nn.clamp(nn.relu6(nn.relu6(x)), 0, 1);
  expect(writer.graph.initializers.map(({ name }) => name)).toEqual([
    'constant.0',
    'constant.6',
    'constant.1',
  ]);
});

test('hardswish is written with older operators below opset 14', () => {
  const ops = (opset: number): string[] => {
    const { nn, x, writer } = start([1, 4], opset);
    nn.hardswish(x, 'act');
    return writer.graph.nodes.map(({ op }) => op);
  };
  expect(ops(13)).toEqual(['HardSigmoid', 'Mul']);
  expect(ops(14)).toEqual(['HardSwish']);
});

test('axes of a mean are an attribute up to opset 17 and an input from 18 on', () => {
  const meanOf = (opset: number) => {
    const { nn, x, writer } = start([2, 3, 4, 5], opset);
    expect(nn.mean(x, [-1, 2]).shape).toEqual([2, 3]);
    return writer.graph.nodes[0]!;
  };
  expect(meanOf(17).ints('axes')).toEqual([3, 2]);
  expect(meanOf(18).attributes.has('axes')).toBe(false);
  expect(meanOf(18).inputs).toHaveLength(2);
});

describe('what an input cannot be', () => {
  test('a window larger than the image', () => {
    const { nn, x } = start([1, 3, 4, 4]);
    expect(() => nn.conv2d(x, 'c', { out: 1, kernel: 7 })).toThrow(inputShape('c: a window of 7×7'));
  });

  test('an image without the channel dimension', () => {
    const { nn, x } = start([3, 4, 4]);
    expect(() => nn.maxPool2d(x, { kernel: 2 }, 'pool')).toThrow(inputShape('pool: [N, C, H, W] expected'));
  });

  test('a number of channels that is not known', () => {
    const { nn, x } = start([1, 'c', 4, 4]);
    expect(() => nn.conv2d(x, 'c', { out: 1, kernel: 1 })).toThrow(inputShape('channels must be known'));
  });

  test('summands that do not fit', () => {
    const { nn, x } = start([1, 3, 4, 4]);
    const y = nn.maxPool2d(x, { kernel: 2 });
    expect(() => nn.add(x, y)).toThrow(inputShape('Add of [1, 3, 4, 4] and [1, 3, 2, 2]'));
  });
});

describe('what ONNX says differently is refused', () => {
  const unsupported = expect.objectContaining({ code: 'op/unsupported', exitCode: 4 });

  test('adaptive pooling with windows of several sizes', () => {
    const { nn, x } = start([1, 3, 7, 7]);
    expect(() => nn.adaptiveAvgPool2d(x, 3)).toThrow(unsupported);
    expect(nn.adaptiveAvgPool2d(x, [7, 1]).shape).toEqual([1, 3, 7, 1]);
  });

  test('ceil_mode with padding', () => {
    const { nn, x } = start([1, 3, 7, 7]);
    expect(() => nn.maxPool2d(x, { kernel: 3, stride: 2, padding: 1, ceilMode: true })).toThrow(unsupported);
  });
});

test('dynamic dimensions survive what keeps them', () => {
  const { nn, x } = start(['n', 3, 'h', 'w']);
  const y = nn.conv2d(x, 'c', { out: 5, kernel: 3, padding: 1 });
  expect(y.shape).toEqual(['n', 5, 'h', 'w']);
  expect(nn.maxPool2d(y, { kernel: 2 }).shape).toEqual(['n', 5, null, null]);
  expect(nn.flatten(nn.adaptiveAvgPool2d(y, 1)).shape).toEqual(['n', 5]);
  expect(nn.permute(y, [0, 2, 3, 1]).shape).toEqual(['n', 'h', 'w', 5]);
  expect(nn.cat([y, x], 1).shape).toEqual(['n', 8, 'h', 'w']);
});
