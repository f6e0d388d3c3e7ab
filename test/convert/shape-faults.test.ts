import { expect, it } from 'vitest';
import { shapeHint } from '../../src/convert/shape-faults.ts';

const hint = (...shapes: (readonly [readonly number[], readonly number[]])[]): string =>
  shapeHint(shapes.map(([actual, expected], i) => ({ key: `k${i}`, actual, expected })));

it.each([
  [
    'kernels of TensorFlow',
    hint([
      [3, 5, 16, 32],
      [32, 16, 3, 5],
    ]),
    '"op": "permute", "order": [3, 2, 0, 1]',
  ],
  [
    'a matrix',
    hint([
      [4, 10],
      [10, 4],
    ]),
    'transposes',
  ],
  [
    'equal axes leave the order open',
    hint([
      [3, 3, 16, 32],
      [32, 16, 3, 3],
    ]),
    'transposes',
  ],
  ['a flat vector', hint([[64, 1, 1], [64]]), 'reshapes'],
  [
    'the head of other classes',
    hint(
      [
        [10, 512],
        [1000, 512],
      ],
      [[10], [1000]],
    ),
    'made for 10 outputs where 1000',
  ],
  [
    'other widths',
    hint(
      [
        [64, 3, 3, 3],
        [32, 3, 3, 3],
      ],
      [[64], [33]],
    ),
    'another architecture',
  ],
])('%s', (_, text, expected) => {
  expect(text).toContain(expected);
});
