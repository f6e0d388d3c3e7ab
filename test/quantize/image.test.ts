import { describe, expect, test } from 'vitest';
import { imageToTensor, normalizationOf } from '../../src/quantize/image.ts';
import { NO_NORMALIZATION } from '../../src/quantize/samples.ts';

/** 4×2 pixels, each channel another ramp. */
const image = {
  width: 4,
  height: 2,
  rgb: Uint8Array.from({ length: 24 }, (_, i) => (Math.floor(i / 3) + 1) * 10 + (i % 3)),
};
const whole = { left: 0, top: 0, width: 4, height: 2 };

describe('imageToTensor', () => {
  test('at its own size an image is itself, channels first', () => {
    const pixels = imageToTensor(image, whole, { width: 4, height: 2 }, NO_NORMALIZATION);
    expect([...pixels.slice(0, 8)]).toEqual(
      [10, 20, 30, 40, 50, 60, 70, 80].map((v) => Math.fround(v / 255)),
    );
    expect(pixels[8]).toBe(Math.fround(11 / 255));
  });

  test('a crop starts where it should', () => {
    const crop = { left: 2, top: 1, width: 2, height: 1 };
    const pixels = imageToTensor(image, crop, { width: 2, height: 1 }, NO_NORMALIZATION);
    expect([...pixels.slice(0, 2)]).toEqual([70, 80].map((v) => Math.fround(v / 255)));
  });

  test('shrinking averages: constant stays constant, the mean of a ramp stays', () => {
    const flat = { ...image, rgb: new Uint8Array(24).fill(100) };
    for (const value of imageToTensor(flat, whole, { width: 3, height: 1 }, NO_NORMALIZATION)) {
      expect(value).toBeCloseTo(100 / 255, 6);
    }
    const halves = imageToTensor(image, whole, { width: 2, height: 1 }, NO_NORMALIZATION);
    expect(((halves[0] as number) + (halves[1] as number)) / 2).toBeCloseTo(45 / 255, 6);
  });

  test("normalisation is torchvision's", () => {
    const pixels = imageToTensor(image, whole, { width: 4, height: 2 }, normalizationOf([0.5], [0.25]));
    expect(pixels[0]).toBeCloseTo((10 / 255 - 0.5) / 0.25, 6);
  });
});

test('two means are a usage error', () => {
  expect(() => normalizationOf([1, 2], [])).toThrowError(expect.objectContaining({ code: 'usage/option' }));
  expect(() => normalizationOf([], [0])).toThrowError(expect.objectContaining({ code: 'usage/option' }));
});
