/** Values of small integer tensors are followed, symbols included, so that exported shape arithmetic resolves. */
import { expect, test } from 'vitest';
import { inferText } from './support.ts';

const outputOf = (text: string, opset?: number): string | undefined => {
  const { outputs, problems } = inferText(text, opset);
  expect(problems).toEqual([]);
  return outputs[0];
};

test('a flattening written as shape arithmetic keeps the batch symbol', () => {
  expect(
    outputOf(`g (float[N,8,4,4] x) => (float y)
      <int64 zero = {0}, int64[1] minus = {-1}, int64[1] axes = {0}> {
        s = Shape (x)
        n = Gather (s, zero)
        u = Unsqueeze (n, axes)
        t = Concat <axis = 0> (u, minus)
        y = Reshape (x, t)
      }`),
  ).toBe('float32[N,128]');
});

test('-1 is what is left when the symbols cancel', () => {
  const reshape = (shape: string, target: string): string | undefined =>
    outputOf(
      `g (float${shape} x) => (float y) <int64[${target.split(',').length}] t = {${target}}> { y = Reshape (x, t) }`,
    );
  expect(reshape('[N,8,16]', '-1,128')).toBe('float32[N,128]');
  expect(reshape('[N,M,16]', '0,0,-1')).toBe('float32[N,M,16]');
  expect(reshape('[N,M,16]', '-1,16')).toBe('float32[?,16]');
  expect(reshape('[A,4,6]', '0,-1')).toBe('float32[A,24]');
  expect(reshape('[2,3,4]', '4,-1')).toBe('float32[4,6]');
  expect(reshape('[N,6]', '-1,3')).toBe('float32[?,3]');
});

test('slices and products of a shape', () => {
  expect(
    outputOf(`g (float[N,6,H,8] x) => (float y)
      <int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3}, int64[1] four = {4}, int64[1] axis = {0}> {
        s = Shape (x)
        head = Slice (s, axis, one, axis)
        tail = Slice (s, two, four, axis)
        c = Slice (s, one, two, axis)
        half = Div (c, two)
        t = Concat <axis = 0> (head, two, half, tail)
        y = Reshape (x, t)
      }`),
  ).toBe('float32[N,2,3,H,8]');
});

test('the Where idiom of an exported expand resolves', () => {
  expect(
    outputOf(`g (float[1,1,4] x, float[N,7] like) => (float y)
      <int64[3] wanted = {-1, 3, -1}, int64[1] three = {3}, int64 minus = {-1}> {
        ones = ConstantOfShape <value: tensor = int64[1] {1}> (three)
        mask = Mul (ones, minus)
        open = Equal (wanted, mask)
        t = Where (open, ones, wanted)
        y = Expand (x, t)
      }`),
  ).toBe('float32[1,3,4]');
});

test('Resize: scales, sizes, and sizes that carry a symbol', () => {
  expect(
    outputOf(`g (float[1,3,H,5] x) => (float y) <float[4] s = {1.0, 1.0, 1.0, 2.5}> { y = Resize (x, , s) }`),
  ).toBe('float32[1,3,H,12]');
  expect(
    outputOf(
      `g (float[1,3,4,5] x) => (float y) <int64[2] z = {7, 9}> {
      y = Resize <axes = [2, 3], keep_aspect_ratio_policy = "not_larger"> (x, , , z)
    }`,
      18,
    ),
  ).toBe('float32[1,3,7,9]');
  expect(
    outputOf(
      `g (float[1,3,4,4] x, float[1,3,H,W] like) => (float y) { s = Shape (like) y = Resize (x, , , s) }`,
    ),
  ).toBe('float32[1,3,H,W]');
});

test('a range over a dimension is as long as the dimension', () => {
  expect(
    outputOf(`g (float[N,4] x) => (int64 y) <int64 zero = {0}, int64 one = {1}> {
      s = Shape (x) n = Gather (s, zero) y = Range (zero, n, one)
    }`),
  ).toBe('int64[N]');
});

test('known values are handed out: partly symbolic, and constant ones marked so', () => {
  const { model, inference } = inferText(`g (float[N,3,8] x) => (int64 s, int64 c)
    <int64 one = {1}> { s = Shape (x) c = Gather (s, one) }`);
  const [shape, channel] = model.graph.outputs;
  expect(inference.knownOf(shape!)?.elements).toEqual(['N', 3n, 8n]);
  expect(inference.constancyOf(shape!)).toBeUndefined();
  expect(inference.knownOf(channel!)?.elements).toEqual([3n]);
  expect(inference.constancyOf(channel!)).toBeDefined();
});

test('an initializer that is an input as well is no constant', () => {
  expect(outputOf(`g (float[2,3] x, int64[1] t = {6}) => (float y) { y = Reshape (x, t) }`)).toBe(
    'float32[6]',
  );
  const { model, inference } = inferText(
    'g (float[2,3] x, int64[2] t) => (float y) <int64[2] u = {3, 2}> { v = Identity (t) y = Reshape (x, v) }',
  );
  expect(inference.knownOf(model.graph.nodes[0]!.output)).toBeUndefined();
});

test('declared shapes inside the model are not trusted', () => {
  const { outputs, problems } = inferText(`g (float[N,320] x) => (float y)
    <int64[3] t = {-1, 16, 20}, float[1,16,20] r> { r = Reshape (x, t) y = Relu (r) }`);
  expect(outputs).toEqual(['float32[N,16,20]']);
  expect(problems).toEqual([]);
});
