import { describe, expect, test } from 'vitest';
import {
  activationParameters,
  biasScaleFloor,
  quantizeBias,
  quantizeWeight,
  roundHalfEven,
} from '../../src/quantize/affine.ts';

test('halves go to the even neighbour', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, -2.6].map(roundHalfEven)).toEqual([0, 2, 2, 0, -2, 2, -3]);
});

describe('activations', () => {
  test('the range is widened to hold zero, and zero is exact', () => {
    expect(activationParameters({ min: 1, max: 5 })).toEqual({ scale: Math.fround(5 / 255), zeroPoint: 0 });
    expect(activationParameters({ min: -5, max: -1 })).toEqual({
      scale: Math.fround(5 / 255),
      zeroPoint: 255,
    });
    // −1…1: the float32 scale is a little above 2/255, so zero lies just below 127.5 steps.
    expect(activationParameters({ min: -1, max: 1 })).toEqual({
      scale: Math.fround(2 / 255),
      zeroPoint: 127,
    });
  });

  test('a constant zero, or a range below the smallest normal float, has scale 1', () => {
    expect(activationParameters({ min: 0, max: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
    expect(activationParameters({ min: 0, max: 1e-40 })).toEqual({ scale: 1, zeroPoint: 0 });
  });
});

describe('weights', () => {
  test('one symmetric scale a channel of any axis', () => {
    const weight = Float32Array.from([1, -127, 0.5, 254, 0, 0]);
    expect(quantizeWeight(weight, [2, 3], 0)).toEqual({
      values: Int8Array.from([1, -127, 0, 127, 0, 0]),
      scales: Float32Array.from([1, 2]),
    });
    const columns = quantizeWeight(weight, [2, 3], 1);
    expect([...columns.scales]).toEqual([2, 1, Math.fround(0.5 / 127)]);
    expect([...columns.values]).toEqual([0, -127, 127, 127, 0, 0]);
  });

  test('a channel of zeros has scale 1', () => {
    expect(quantizeWeight(new Float32Array(4), [2, 2], 0).scales).toEqual(Float32Array.from([1, 1]));
  });

  test('a large bias raises the scale until it fits int32', () => {
    const inputScale = 1e-6;
    const floor = biasScaleFloor(1e6, inputScale);
    const { scales } = quantizeWeight(Float32Array.of(0.001), [1], 0, Float32Array.of(floor));
    expect(scales[0]).toBe(Math.fround(floor));
    const [steps] = quantizeBias(Float32Array.of(1e6), inputScale, scales);
    expect(steps).toBeGreaterThan(2 ** 29);
    expect(steps).toBeLessThan(2 ** 31 - 1);
  });
});
