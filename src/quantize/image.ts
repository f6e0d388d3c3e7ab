/**
 * Photographs as network inputs: decode (PNG, JPEG), crop, resize with antialiasing, normalise, NCHW float32.
 *
 * Resizing is the area-weighted triangle filter of PIL's BILINEAR (support = max(1, scale)), separable, in float64.
 * Normalisation is torchvision's: (pixel / 255 − mean) / std per channel.
 */
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { OrthoError } from '../core/errors.ts';

/** Interleaved RGB, 8 bits a channel. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

export interface Crop {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface Normalization {
  /** Per channel, in units of 0…1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Pixels beyond which an image is refused before it is decoded. */
export const MAX_IMAGE_PIXELS = 100_000_000;

const dropAlpha = (rgba: Uint8Array): Uint8Array => {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from] as number;
    rgb[to++] = rgba[from + 1] as number;
    rgb[to++] = rgba[from + 2] as number;
  }
  return rgb;
};

export const IMAGE_EXTENSIONS: readonly string[] = ['.png', '.jpg', '.jpeg'];

/** @throws OrthoError file/unknown-format when the content is not a readable PNG or JPEG. */
export const readImage = async (path: string): Promise<Image> => {
  const bytes = readFileSync(path);
  try {
    if (extname(path).toLowerCase() === '.png') {
      const { PNG } = await import('pngjs');
      if (bytes.length >= 24 && bytes.readUInt32BE(16) * bytes.readUInt32BE(20) > MAX_IMAGE_PIXELS) {
        throw new Error(`more than ${MAX_IMAGE_PIXELS} pixels`);
      }
      const { width, height, data } = PNG.sync.read(bytes);
      return { width, height, rgb: dropAlpha(data) };
    }
    const { default: jpeg } = await import('jpeg-js');
    const { width, height, data } = jpeg.decode(bytes, {
      useTArray: true,
      maxResolutionInMP: MAX_IMAGE_PIXELS / 1e6,
      maxMemoryUsageInMB: 2048,
    });
    return { width, height, rgb: dropAlpha(data) };
  } catch (cause) {
    throw new OrthoError(
      'file/unknown-format',
      `${path}: not a readable image (${(cause as Error).message})`,
      {
        at: { file: path },
        cause,
      },
    );
  }
};

/** For each output position: the first input position and the weights (summing to 1) from there on. */
const triangleWeights = (
  from: number,
  length: number,
  to: number,
): { first: number; weights: Float64Array }[] => {
  const scale = length / to;
  const support = Math.max(1, scale);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - support + 0.5));
    const last = Math.min(length, Math.floor(centre + support + 0.5));
    const weights = Float64Array.from({ length: Math.max(1, last - first) }, (_, k) =>
      Math.max(0, 1 - Math.abs((first + k + 0.5 - centre) / support)),
    );
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return {
      first: from + first,
      weights: sum > 0 ? weights.map((weight) => weight / sum) : weights.fill(1),
    };
  });
};

/** A crop of an image, resized to width × height and normalised: CHW float32, 3 · height · width values. */
export const imageToTensor = (
  image: Image,
  crop: Crop,
  size: { readonly width: number; readonly height: number },
  normalization: Normalization,
): Float32Array => {
  const { width, height } = size;
  const columns = triangleWeights(crop.left, crop.width, width);
  const rows = triangleWeights(crop.top, crop.height, height);
  const narrow = new Float64Array(crop.height * width * 3);
  for (let y = 0; y < crop.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = columns[x] as { first: number; weights: Float64Array };
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          const pixel = ((crop.top + y) * image.width + first + k) * 3 + channel;
          sum += (weights[k] as number) * (image.rgb[pixel] as number);
        }
        narrow[(y * width + x) * 3 + channel] = sum;
      }
    }
  }
  const result = new Float32Array(3 * height * width);
  for (let channel = 0; channel < 3; channel++) {
    const mean = normalization.mean[channel] as number;
    const std = normalization.std[channel] as number;
    for (let y = 0; y < height; y++) {
      const { first, weights } = rows[y] as { first: number; weights: Float64Array };
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < weights.length; k++) {
          sum +=
            (weights[k] as number) * (narrow[((first - crop.top + k) * width + x) * 3 + channel] as number);
        }
        result[(channel * height + y) * width + x] = (sum / 255 - mean) / std;
      }
    }
  }
  return result;
};

/**
 * Three means and deviations from what a user gave: nothing (pixel / 255), one number for all channels, or three.
 * @throws OrthoError usage/option for another count or a deviation that is not positive
 */
export const normalizationOf = (mean: readonly number[], std: readonly number[]): Normalization => {
  const spread = (values: readonly number[], fallback: number, name: string): number[] => {
    if (values.length === 0) return [fallback, fallback, fallback];
    if (values.length === 1) return [values[0], values[0], values[0]] as number[];
    if (values.length === 3) return [...values];
    throw new OrthoError('usage/option', `${name} takes one number or three, not ${values.length}`);
  };
  const deviations = spread(std, 1, '--std');
  if (deviations.some((value) => !(value > 0))) throw new OrthoError('usage/option', '--std must be above 0');
  return { mean: spread(mean, 0, '--mean'), std: deviations };
};
