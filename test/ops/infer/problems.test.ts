/** What inference refuses: one fault each, named by rule and message, the outputs left unknown. */
import { describe, expect, test } from 'vitest';
import { inferOne, inferText } from './support.ts';

type Row = readonly [inputs: string, call: string, rule: string, message: string, opset?: number];

const faults: readonly Row[] = [
  ['float[2,3] a, float[2,3] b', 'MatMul (a, b)', 'shape-mismatch', 'inner dimensions 3 and 2 differ'],
  ['float[2,3] a, float[4] b', 'Add (a, b)', 'shape-mismatch', 'cannot broadcast [2, 3] and [4]'],
  ['float[2] a, int64[2] b', 'Add (a, b)', 'type-mismatch', 'element types float32 and int64'],
  ['float[1,3,8,8] x, float[4,3,3,3] w', 'Conv <group = 0> (x, w)', 'attribute-range', 'group is 0'],
  ['float[1,3,8,8] x, float[4,2,3,3] w', 'Conv (x, w)', 'shape-mismatch', '3 and 2 differ'],
  [
    'float[1,3,8,8] x, float[4,3,3,3] w',
    'Conv <dilations = [-1, 1]> (x, w)',
    'attribute-range',
    'dilations out of range',
  ],
  [
    'float[1,3,8,8] x, float[4,3,3,3] w',
    'Conv <strides = [0, 1]> (x, w)',
    'attribute-range',
    'strides out of range',
  ],
  [
    'float[1,3,8,8] x, float[4,3,3,3] w',
    'Conv <pads = [1, 1]> (x, w)',
    'rank-mismatch',
    'pads has 2 entries',
  ],
  ['float[1,3,2,2] x, float[4,3,3,3] w', 'Conv (x, w)', 'negative-dimension', 'the kernel spans 3'],
  [
    'float[1,3,8,8] x',
    'MaxPool <kernel_shape = [2]> (x)',
    'rank-mismatch',
    'kernel_shape has 1 entries, expected 2',
  ],
  [
    'float[1,4,5,5] x, float[3,2,3,3] w',
    'ConvTranspose (x, w)',
    'shape-mismatch',
    'input channels and weight channels 4 and 3',
  ],
  ['float[2,3] x', 'Softmax <axis = 2> (x)', 'axis-range', 'axis 2 is out of range for rank 2'],
  ['float[2,3] x', 'Transpose <perm = [0, 0]> (x)', 'axis-range', 'repeats an axis'],
  ['float[2,3] x', 'Concat (x, x)', 'missing-attribute', 'axis is missing'],
  ['float[2,3] x', 'Concat <axis = 1.0> (x, x)', 'attribute-kind', 'axis must be of kind int, found float'],
  ['float[2,3] a, float[3,3] b', 'Concat <axis = 1> (a, b)', 'shape-mismatch', '2 and 3 differ'],
  ['float[2,3] x', 'Split <num_outputs = 0> (x)', 'attribute-range', 'num_outputs is 0', 18],
  ['float[2,3] x', 'Cast <to = 999> (x)', 'attribute-range', 'unknown data type 999'],
  ['float[2,3] x', 'Squeeze <axes = [0]> (x)', 'shape-mismatch', 'is 2, expected 1', 11],
  [
    'float[5,2,3] x, float[1,8,3] w, float[1,8,9] r',
    'LSTM <hidden_size = 2> (x, w, r)',
    'shape-mismatch',
    'hidden_size 2 does not match R',
  ],
  ['float[2,3] x', 'TopK <k = 4> (x)', 'shape-mismatch', 'k is 4', 9],
  ['float[2,3] x', 'SequenceAt (x, x)', 'type-mismatch', 'must be a sequence'],
  ['float[2,3] a', 'Einsum <equation = "ij,jk"> (a)', 'attribute-range', '2 terms'],
  ['float[2,3] x', 'Constant ()', 'missing-attribute', 'exactly one value attribute, found 0'],
];

test.each(faults)('%s | %s', (inputs, call, rule, message, opset) => {
  const { problems, outputs } = inferOne(inputs, call, opset);
  expect(problems.map((problem) => [problem.level, problem.rule])).toEqual([['error', rule]]);
  expect(problems[0]?.message).toContain(message);
  expect(outputs).toEqual(['?']);
});

describe('constants that have no result', () => {
  const constant = (body: string): [string, string][] =>
    inferText(`g () => (int64 y) ${body}`, 17).problems.map(({ rule, message }) => [rule, message]);

  test.each([
    ['<int64[2] a = {1, 2}, int64[2] b = {1, 0}> { y = Div (a, b) }', 'division-by-zero'],
    ['<int64[1] a = {-9223372036854775808}, int64[1] b = {-1}> { y = Mod (a, b) }', 'integer-overflow'],
    ['<int32[1] a = {-2147483648}, int32[1] b = {-1}> { y = Div (a, b) }', 'integer-overflow'],
    ['<int64[3] a = {1, 2, 3}, int64[1] i = {1099511627776}> { y = Gather (a, i) }', 'index-range'],
    ['<int64[3] a = {1, 2, 3}, int64[1] i = {-4}> { y = Gather (a, i) }', 'index-range'],
    [
      '<int64[3] a = {1, 2, 3}, int64[1,1] i = {3}, int64[1] u = {9}> { y = ScatterND (a, i, u) }',
      'index-range',
    ],
    ['<int64[1] i = {0}, int64 d = {-5}, int64[2] v = {0, 1}> { y = OneHot (i, d, v) }', 'attribute-range'],
    ['<int64[1] s = {-1}> { y = ConstantOfShape (s) }', 'attribute-range'],
    ['<int64 a = {0}, int64 b = {5}, int64 d = {0}> { y = Range (a, b, d) }', 'attribute-range'],
    ['<int64[4] a = {1, 2, 3, 4}, int64[2] t = {3, -1}> { y = Reshape (a, t) }', 'shape-mismatch'],
    ['<int64[4] a = {1, 2, 3, 4}, int64[1] t = {5}> { y = Reshape (a, t) }', 'shape-mismatch'],
    ['<int64[4] a = {1, 2, 3, 4}, int64[1] z = {0}> { y = Slice (a, z, z, z, z) }', 'attribute-range'],
  ])('%s', (body, rule) => {
    expect(constant(body).map(([found]) => found)).toEqual([rule]);
  });

  test('a divisor that holds a zero is wrong whatever is divided', () => {
    const { problems } = inferText('g (int64[N] x) => (int64 y) <int64[1] z = {0}> { y = Div (x, z) }');
    expect(problems.map(({ rule }) => rule)).toEqual(['division-by-zero']);
    expect(inferText('g (float[N] x) => (float y) <float[1] z = {0.0}> { y = Div (x, z) }').problems).toEqual(
      [],
    );
  });
});

describe('results too large to compute ahead of time', () => {
  test.each([
    ['<int64[2] s = {1000000, 1000000}> { y = ConstantOfShape (s) }', ''],
    ['<int64 a = {0}, int64 b = {1000000000000}, int64 d = {1}> { y = Range (a, b, d) }', ''],
    [
      '<float a = {0.0}, float b = {1.0}, float d = {1e-30}> { y = Range (a, b, d) }',
      'more than 2^53 elements',
    ],
    [
      '<float[2] a = {1.0, 2.0}, int64[1] r = {4611686018427387904}> { y = Tile (a, r) }',
      'more than 2^53 elements',
    ],
    ['<int64[1] i = {0}, int64 d = {100000000000}, int64[2] v = {0, 1}> { y = OneHot (i, d, v) }', ''],
  ])('%s', (body, detail) => {
    const { problems } = inferText(`g () => (float y) ${body}`);
    expect(problems.map(({ level, rule }) => [level, rule])).toEqual([['warning', 'constant-too-large']]);
    expect(problems[0]?.message).toContain(detail);
  });

  test('doubling forty times is told once, where it gets too large', () => {
    const steps = Array.from({ length: 40 }, (_, i) => `x${i + 1} = Concat <axis = 0> (x${i}, x${i})`);
    const { problems } = inferText(`g () => (float x40) <float[2] x0 = {1.0, 2.0}> { ${steps.join(' ')} }`);
    expect(problems.map(({ rule }) => rule)).toEqual(['constant-too-large']);
  });

  test('the same result from an input is nobody’s constant', () => {
    const { problems } = inferText(
      'g (float[1000000] x) => (float y) <int64[2] s = {1000000, 1000000}> { y = Expand (x, s) }',
    );
    expect(problems).toEqual([]);
  });
});

test('declared outputs that are wrong are named; inference goes on', () => {
  const model = inferText('g (float[2,3] x) => (float y) { z = Relu (x) y = Relu (z) }').model;
  expect(model.graph.nodes[0]?.output.shape).toEqual([2, 3]);
  const wrong = inferText('g (float[2,3] x) => (float y) <int64[9,9] z> { z = Relu (x) y = Relu (z) }');
  expect(wrong.problems.map(({ level, rule }) => [level, rule])).toEqual([
    ['error', 'declared-type'],
    ['warning', 'declared-shape'],
  ]);
  expect(wrong.outputs).toEqual(['float32[2,3]']);
});

test('an operator nobody knows keeps what the model declares of it', () => {
  const { outputs, problems } = inferText(
    'g (float[N,3] x) => (float y) <float[N,7] z> { z = org.example.Mystery (x) y = Relu (z) }',
    17,
    ', "org.example": 1',
  );
  expect(outputs).toEqual(['float32[N,7]']);
  expect(problems).toEqual([]);
});
