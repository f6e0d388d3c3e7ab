import { describe, expect, test } from 'vitest';
import { broadcastShapes, formatShape, productOf, windowedSize } from '../../src/convert/shapes.ts';

const window = { kernel: 3, stride: 2, padding: 1, dilation: 1, ceilMode: false };

describe('windowed sizes', () => {
  test.each([
    [224, window, 112],
    [7, { ...window, stride: 1 }, 7],
    [7, { ...window, padding: 0, dilation: 3, stride: 1 }, 1],
    [6, { ...window, padding: 0, dilation: 3, stride: 1 }, undefined],
    [5, { ...window, kernel: 2, padding: 0 }, 2],
    [5, { ...window, kernel: 2, padding: 0, ceilMode: true }, 3],
    // torch drops the window that would start in the right padding
    [4, { ...window, kernel: 1, padding: 0, stride: 4, ceilMode: true }, 1],
    [3, { ...window, kernel: 1, stride: 4, padding: 0, ceilMode: true }, 1],
  ])('%d with %o', (size, options, expected) => {
    expect(windowedSize(size, options)).toBe(expected);
  });

  test('a symbol survives a window that keeps the size, and no other', () => {
    expect(windowedSize('h', { ...window, stride: 1 })).toBe('h');
    expect(windowedSize('h', window)).toBeNull();
    expect(windowedSize(null, { ...window, stride: 1 })).toBeNull();
  });
});

test('broadcasting', () => {
  expect(broadcastShapes([2, 3, 4], [3, 1])).toEqual([2, 3, 4]);
  expect(broadcastShapes([1, 3], ['n', 1])).toEqual(['n', 3]);
  expect(broadcastShapes(['n', 3], [null, 3])).toEqual([null, 3]);
  expect(broadcastShapes(['n', 3], [5, 3])).toEqual([5, 3]);
  expect(broadcastShapes([2, 3], [4, 3])).toBeUndefined();
});

test('products and texts', () => {
  expect(productOf([])).toBe(1);
  expect(productOf([2, 3])).toBe(6);
  expect(productOf(['n', 1, 1])).toBe('n');
  expect(productOf(['n', 2])).toBeNull();
  expect(formatShape(['n', 3, null])).toBe('[n, 3, ?]');
});
