import { expect, test } from 'vitest';
import { architectures } from '../../src/convert/architectures/index.ts';
import { buildNetwork } from '../../src/convert/build.ts';
import { parseDynamicDim, resolveShapes } from '../../src/convert/input-shapes.ts';
import { keysOf } from './key-lists.ts';

const { pnet, 'mobilenetv3-xl19-small': frown } = architectures;
const usage = (code: string, text: string) =>
  expect.objectContaining({ code, exitCode: 2, message: expect.stringContaining(text) });

test('fixed sizes first, dynamic dimensions on top', () => {
  expect(resolveShapes(frown, [], [])).toEqual(new Map());
  const dynamic = [parseDynamicDim('input:0', 'batch')];
  expect(resolveShapes(frown, [], dynamic).get('input')).toEqual(['batch', 3, 224, 224]);
  expect(resolveShapes(pnet, [{ dims: [2, 3, 40, 50] }], dynamic).get('input')).toEqual(['batch', 3, 40, 50]);
});

test.each([
  [{ name: 'image', dims: [1, 3, 224, 224] }, 'no input "image"'],
  [{ name: 'input', dims: [3, 224, 224] }, '4 dimensions'],
  [{ name: 'input', dims: [0, 3, 224, 224] }, 'at least 1'],
])('%o is refused', (shape, text) => {
  expect(() => resolveShapes(frown, [shape], [])).toThrow(usage('usage/input-shape', text));
});

test('a dynamic dimension must be there', () => {
  expect(() => resolveShapes(frown, [], [{ input: 'input', axis: 4, name: 'n' }])).toThrow(
    usage('usage/input-shape', 'no dimension 4'),
  );
  expect(() => resolveShapes(frown, [], [{ input: 'x', axis: 0, name: 'n' }])).toThrow(
    usage('usage/input-shape', 'no input "x"'),
  );
});

test.each([
  ['input', 'n'],
  ['input:-1', 'n'],
  [':0', 'n'],
  ['input:0', ''],
])('"%s=%s" is not a dynamic dimension', (place, name) => {
  expect(() => parseDynamicDim(place, name)).toThrow(usage('usage/option', 'INPUT:AXIS=NAME'));
});

test('a name may hold colons', () => {
  expect(parseDynamicDim('a:b:2', 'h')).toEqual({ input: 'a:b', axis: 2, name: 'h' });
});

test('sizes that change what the weights would have to be are refused, not called a mismatch of the checkpoint', () => {
  const tensors = keysOf('xl19_small');
  const build = (height: number | string) =>
    buildNetwork(frown, tensors, { opset: 17, shapes: new Map([['input', [1, 3, height, 224]]]) });
  expect(build(224).match.mismatched).toEqual([]);
  expect(() => build(448)).toThrow(
    usage('usage/input-shape', '"linear3.weight" would have to be [1280, 1152]'),
  );
  expect(() => build(64)).toThrow(usage('usage/input-shape', 'window of 7×7'));
  expect(() => build('h')).toThrow(
    usage('usage/input-shape', 'linear3: the number of features must be known'),
  );
});
