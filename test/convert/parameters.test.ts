import { expect, test } from 'vitest';
import { matchKeys, scoreOf } from '../../src/convert/match.ts';
import { Parameters } from '../../src/convert/parameters.ts';
import { float32Tensor, int64Tensor, toFloat32, typedTensor } from '../../src/core/tensor.ts';

const ones = (...dims: number[]) =>
  float32Tensor(dims, new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(1));

test('every fault is known at the end, not only the first', () => {
  const parameters = new Parameters(
    new Map([
      ['a.weight', ones(2, 3)],
      ['b.weight', ones(4)],
      ['c.weight', int64Tensor([1], [1])],
      ['stranger', ones(1)],
      ['dead.weight', ones(9)],
      ['a.num_batches_tracked', int64Tensor([], [7])],
    ]),
  );
  expect([...toFloat32(parameters.take('a.weight', [2, 3]))]).toEqual([1, 1, 1, 1, 1, 1]);
  expect([...toFloat32(parameters.take('b.weight', [5], 0.25))]).toEqual(new Array(5).fill(0.25));
  expect([...toFloat32(parameters.take('c.weight', [1]))]).toEqual([0]);
  expect(parameters.take('d.weight', [2, 2]).data.size).toBe(16);
  parameters.skip('a.num_batches_tracked', []);
  const match = matchKeys(parameters, ['dead.*']);
  expect(match).toEqual({
    matched: ['a.weight', 'dead.weight', 'a.num_batches_tracked'],
    used: ['a.weight'],
    unused: ['dead.weight', 'a.num_batches_tracked'],
    missing: ['d.weight'],
    unexpected: ['stranger'],
    mismatched: [
      { key: 'b.weight', expected: '[5]', found: 'float32 [4]' },
      { key: 'c.weight', expected: '[1]', found: 'int64 [1]' },
    ],
    aliases: [],
  });
  expect(scoreOf(match)).toBe(1 / 5);
});

test('halves are read as float32', () => {
  const half = typedTensor('float16', [3], Uint16Array.of(0x3c00, 0xc000, 0x0001));
  const tensor = new Parameters(new Map([['w', half]])).take('w', [3]);
  expect(tensor.dtype).toBe('float32');
  expect([...toFloat32(tensor)]).toEqual([1, -2, 2 ** -24]);
});

test('an alias stands for its tensor, and wins where the values differ, as the module torch loads last', () => {
  const tensors = new Map([
    ['twin.w', ones(2)],
    ['main.w', float32Tensor([2], [5, 6])],
    ['main.b', ones(1)],
    ['twin.b', ones(1)],
  ]);
  const parameters = new Parameters(tensors, [{ from: 'twin.', to: 'main.' }]);
  expect([...toFloat32(parameters.take('main.w', [2]))]).toEqual([1, 1]);
  parameters.take('main.b', [1]);
  expect(parameters.conflictingAliases()).toEqual(['main.w']);
  const match = matchKeys(parameters);
  expect(match.matched).toHaveLength(4);
  expect(match.aliases).toEqual([
    { key: 'twin.w', of: 'main.w' },
    { key: 'twin.b', of: 'main.b' },
  ]);
});

test('an alias alone is enough', () => {
  const parameters = new Parameters(new Map([['twin.w', ones(2)]]), [{ from: 'twin.', to: 'main.' }]);
  parameters.take('main.w', [2]);
  expect(matchKeys(parameters)).toMatchObject({ matched: ['twin.w'], missing: [], unexpected: [] });
});
