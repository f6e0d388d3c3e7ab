/** Bodies: branches are joined, loops hold still, functions are followed call by call. */
import { describe, expect, test } from 'vitest';
import { modelFromText } from '../../support/model-text.ts';
import { infer, inferText } from './support.ts';

const branches = (
  yes: string,
  no: string,
  condition = 'bool c',
  constants = '',
): ReturnType<typeof inferText> =>
  inferText(`g (${condition}${condition && ', '}float[2,N] x) => (float y) ${constants} {
    y = If (c) <then_branch = t () => (float[] a) { ${yes} }, else_branch = e () => (float[] a) { ${no} }>
  }`);

describe('If', () => {
  test('keeps what both branches agree on', () => {
    expect(branches('a = Relu (x)', 'a = Neg (x)').outputs).toEqual(['float32[2,N]']);
    expect(branches('a = Relu (x)', 'a = Transpose <perm = [1, 0]> (x)').outputs).toEqual(['float32[?,?]']);
    expect(branches('a = Relu (x)', 'a = ReduceSum <keepdims = 0> (x)').outputs).toEqual(['float32']);
  });

  test('a known condition picks its branch', () => {
    const yes = branches('a = Relu (x)', 'a = ReduceSum <keepdims = 0> (x)', '', '<bool c = {1}>');
    expect(yes.outputs).toEqual(['float32[2,N]']);
    const no = branches('a = Relu (x)', 'a = ReduceSum <keepdims = 0> (x)', '', '<bool c = {0}>');
    expect(no.outputs).toEqual(['float32[]']);
  });

  test('branches of other types are refused', () => {
    const { problems } = branches('a = Relu (x)', 'a = Shape (x)');
    expect(problems.map(({ rule, message }) => [rule, message])).toContainEqual([
      'branch-type',
      'If: output 0 is float32 in then_branch, int64 in else_branch',
    ]);
  });
});

const loop = (
  body: string,
  inputs = 'int64 m, bool c, float[1,N] x',
  constants = '',
): ReturnType<typeof inferText> =>
  inferText(`g (${inputs}) => (float y, float s) ${constants} {
    y, s = Loop (m, c, x) <body = b (int64 i, bool go, float[] v) => (bool go2, float[] w, float[] scan) { ${body} }>
  }`);

describe('Loop', () => {
  test('a carried value that keeps its shape keeps it, scans are stacked', () => {
    const { outputs, problems } = loop(
      'go2 = Identity (go) w = Relu (v) scan = ReduceSum <keepdims = 0> (v)',
    );
    expect(problems).toEqual([]);
    expect(outputs).toEqual(['float32[1,N]', 'float32[?]']);
  });

  test('a carried value that grows loses only the axis that grows', () => {
    const { outputs, problems } = loop(
      'go2 = Identity (go) w = Concat <axis = 0> (v, v) scan = Identity (v)',
    );
    expect(problems).toEqual([]);
    expect(outputs).toEqual(['float32[?,N]', 'float32[?,?,N]']);
  });

  test('a carried value whose rank changes has none', () => {
    const { outputs } = loop(
      'go2 = Identity (go) w = Unsqueeze (v, zero) scan = Relu (v)',
      undefined,
      '<int64[1] zero = {0}>',
    );
    expect(outputs).toEqual(['float32', 'float32']);
  });

  test('a fixed number of iterations is the length of the scans', () => {
    const { outputs } = loop(
      'go2 = Identity (go) w = Relu (v) scan = Relu (v)',
      'float[1,N] x',
      '<int64 m = {7}, bool c = {1}>',
    );
    expect(outputs[1]).toBe('float32[?,1,N]');
    const still = inferText(`g (float[1,N] x) => (float y, float s) <int64 m = {7}> {
      y, s = Loop (m, , x) <body = b (int64 i, bool go, float[] v) => (bool go, float[] w, float[] scan) { w = Relu (v) scan = Relu (v) }>
    }`);
    expect(still.outputs[1]).toBe('float32[7,1,N]');
  });

  test('the body must have the inputs and outputs that the node asks for', () => {
    const { problems } = inferText(`g (int64 m, bool c, float[2] x) => (float y) {
      y = Loop (m, c, x) <body = b (int64 i, bool go, float[] v) => (bool go2) { go2 = Identity (go) }>
    }`);
    expect(problems.map(({ rule, message }) => [rule, message])).toEqual([
      ['subgraph-arity', 'Loop: body must have 2 outputs, found 1'],
    ]);
  });

  test('problems inside a body are told once', () => {
    const { problems } = loop(
      'go2 = Identity (go) w = Concat <axis = 0> (v, v) scan = MatMul (five, five)',
      undefined,
      '<float[1,5] five = {1,2,3,4,5}>',
    );
    expect(problems.map(({ rule }) => rule)).toEqual(['shape-mismatch']);
  });

  test('a long loop over constants is not for folding', () => {
    const { problems } =
      inferText(`g () => (float y) <int64 m = {1000000000000}, bool c = {1}, float[1] x = {1.0}> {
      y = Loop (m, c, x) <body = b (int64 i, bool go, float[] v) => (bool go2, float[] w) { go2 = Identity (go) w = Relu (v) }>
    }`);
    expect(problems.map(({ level, rule }) => [level, rule])).toEqual([['warning', 'constant-too-large']]);
  });
});

describe('Scan', () => {
  const scan = (count: number): ReturnType<typeof inferText> =>
    inferText(`g (float[4] state, float[T,4] xs) => (float last, float ys) {
      last, ys = Scan <num_scan_inputs = ${count}, body = b (float[] h, float[] x) => (float[] k, float[] y) { k = Add (h, x) y = Relu (k) }> (state, xs)
    }`);

  test('cuts its inputs and stacks its outputs along the scanned axis', () => {
    const { outputs, problems } = scan(1);
    expect(problems).toEqual([]);
    expect(outputs).toEqual(['float32[4]', 'float32[T,4]']);
  });

  test('more scan inputs than inputs are refused', () => {
    expect(scan(5).problems.map(({ message }) => message)).toEqual([
      'Scan: num_scan_inputs is 5, the node has 2 inputs',
    ]);
  });
});

const withFunctions = (graph: string, functions: string): ReturnType<typeof infer> =>
  infer(modelFromText(`<ir_version: 9, opset_import: ["": 17, "local": 1]> ${graph} ${functions}`));

describe('local functions', () => {
  test('two calls with other shapes do not disturb each other', () => {
    const { model, problems } = withFunctions(
      'g (float[N,3] a, float[5,3,2] b) => (float[] y, float[] z) { y = local.f (a) z = local.f (b) }',
      '<domain: "local", opset_import: ["": 17]> f (x) => (r) { t = Relu (x) r = Transpose (t) }',
    );
    expect(problems).toEqual([]);
    expect(model.graph.nodes.map(({ output }) => output.shape)).toEqual([
      [3, 'N'],
      [2, 3, 5],
    ]);
  });

  test('attributes of the call reach the body', () => {
    const { model } = withFunctions(
      'g (float[N,3] a) => (float y, float z) { y = local.f <axis = 0> (a) z = local.f <axis = 1> (a) }',
      '<domain: "local", opset_import: ["": 17]> f <axis> (x) => (r) { r = ArgMax <axis: int = @axis, keepdims = 0> (x) }',
    );
    expect(model.graph.nodes.map(({ output }) => output.shape)).toEqual([[3], ['N']]);
  });

  test('values pass through calls, so that shape arithmetic inside functions resolves', () => {
    const { model } = withFunctions(
      'g (float[N,3,4] a) => (float y) <int64[2] t = {0, 12}> { y = local.f (a, t) }',
      '<domain: "local", opset_import: ["": 17]> f (x, t) => (r) { r = Reshape (x, t) }',
    );
    expect(model.graph.nodes[0]?.output.shape).toEqual(['N', 12]);
  });

  test('functions that call each other twice, forty levels deep, take no time', () => {
    const levels = Array.from(
      { length: 40 },
      (_, i) =>
        `<domain: "local", opset_import: ["": 17, "local": 1]> f${i} (x) => (r) { ${
          i === 0 ? 'r = Relu (x)' : `t = local.f${i - 1} (x) r = local.f${i - 1} (t)`
        } }`,
    );
    const { model, problems } = withFunctions(
      'g (float[N,3] a) => (float[] y) { y = local.f39 (a) }',
      levels.join(' '),
    );
    expect(problems).toEqual([]);
    expect(model.graph.nodes[0]?.output.shape).toEqual(['N', 3]);
  });

  test('a function that calls itself is named, once', () => {
    const { problems } = withFunctions(
      'g (float[N,3] a) => (float y) { y = local.f (a) }',
      '<domain: "local", opset_import: ["": 17, "local": 1]> f (x) => (r) { r = local.f (x) }',
    );
    expect(problems.map(({ rule }) => rule)).toEqual(['function-cycle']);
  });
});
