/**
 * Calibration and evaluation samples, read one at a time: a folder of images (or one image), of `.npz` files (keys =
 * input names) or of `.npy` files (for nets with one input). A leading dimension larger than the net's own is cut into
 * samples.
 *
 * From images, samples are the whole pictures, or `crops` seeded square crops: the picture is drawn uniformly, the side
 * uniformly between a quarter of the shorter side and all of it, then the corner. The same seed gives the same crops.
 */
import { readdirSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { byteLengthOf } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { createRng } from '../core/rng.ts';
import { FileSource, SliceSource } from '../core/source.ts';
import { elementCount, float32Tensor, type Tensor } from '../core/tensor.ts';
import { readNpy } from '../formats/npy.ts';
import { readNpz } from '../formats/npz.ts';
import type { TensorSpec } from '../runtime/session.ts';
import {
  type Crop,
  IMAGE_EXTENSIONS,
  type Image,
  imageToTensor,
  type Normalization,
  readImage,
} from './image.ts';

export type Feeds = ReadonlyMap<string, Tensor>;

/** Samples in a fixed order, each read when asked for. */
export interface SampleSet {
  readonly count: number;
  readonly origin: string;
  load(index: number): Promise<Feeds>;
}

export interface SampleOptions {
  /** Take this many seeded crops instead of the whole images. */
  readonly crops?: number | undefined;
  readonly seed: number;
  readonly normalization: Normalization;
}

/** An equal share of normalised pixels: x / 255. */
export const NO_NORMALIZATION: Normalization = { mean: [0, 0, 0], std: [1, 1, 1] };

const listFiles = (path: string): string[] => {
  if (!statSync(path, { throwIfNoEntry: false })) {
    throw new OrthoError('file/not-found', `${path}: no such file or folder`, { at: { file: path } });
  }
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .map((name) => join(path, name))
    .filter((file) => ['.npy', '.npz', ...IMAGE_EXTENSIONS].includes(extname(file).toLowerCase()));
};

const singleInput = (inputs: readonly TensorSpec[], why: string): TensorSpec => {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1) {
    throw new OrthoError('usage/conflict', `${why} feed nets with one input; this one has ${inputs.length}`, {
      hint: 'give a folder of .npz files whose keys are the names of the inputs',
    });
  }
  return input;
};

/**
 * Samples along the first axis, as views: as many elements each as the input has there, one where it does not say.
 * What does not divide so is left whole.
 */
const splitBatch = (tensor: Tensor, { shape }: TensorSpec): Tensor[] => {
  const [length = 1, ...rest] = tensor.dims;
  const batch = typeof shape?.[0] === 'number' ? shape[0] : 1;
  if (length <= batch || length % batch !== 0) return [tensor];
  const size = byteLengthOf(tensor.dtype, batch * elementCount(rest));
  return Array.from({ length: length / batch }, (_, i) => ({
    dtype: tensor.dtype,
    dims: [batch, ...rest],
    data: new SliceSource(tensor.data, i * size, size),
  }));
};

const arraySamples = (files: readonly string[], inputs: readonly TensorSpec[]): (() => Feeds)[] =>
  files.flatMap((file) => {
    const source = new FileSource(file);
    if (extname(file).toLowerCase() === '.npz') {
      const arrays = readNpz(source);
      const lacking = inputs.find(({ name }) => !arrays.has(name));
      if (lacking) {
        throw new OrthoError(
          'numpy/invalid',
          `${file}: no array "${lacking.name}"; it holds ${[...arrays.keys()].join(', ')}`,
        );
      }
      const parts = inputs.map((input) => {
        return [input.name, splitBatch(arrays.get(input.name) as Tensor, input)] as const;
      });
      const count = Math.max(...parts.map(([, tensors]) => tensors.length));
      return Array.from(
        { length: count },
        (_, i) => () =>
          new Map(parts.map(([name, tensors]) => [name, tensors[tensors.length === 1 ? 0 : i] as Tensor])),
      );
    }
    const input = singleInput(inputs, '.npy files');
    return splitBatch(readNpy(source), input).map((tensor) => () => new Map([[input.name, tensor]]));
  });

const seededCrops = (
  images: readonly Image[],
  count: number,
  seed: number,
): { image: Image; crop: Crop }[] => {
  const rng = createRng(seed);
  return Array.from({ length: count }, () => {
    const image = images[rng.integer(images.length)] as Image;
    const shorter = Math.min(image.width, image.height);
    const side = Math.max(1, Math.round(shorter * (0.25 + 0.75 * rng.next())));
    const left = rng.integer(image.width - side + 1);
    const top = rng.integer(image.height - side + 1);
    return { image, crop: { left, top, width: side, height: side } };
  });
};

const imageSamples = async (
  files: readonly string[],
  inputs: readonly TensorSpec[],
  options: SampleOptions,
): Promise<(() => Feeds)[]> => {
  const { name, shape } = singleInput(inputs, 'images');
  const [, channels, height, width] = shape ?? [];
  if (channels !== 3 || typeof height !== 'number' || typeof width !== 'number') {
    throw new OrthoError(
      'usage/conflict',
      `images need an input of shape [N, 3, height, width]; "${name}" has [${(shape ?? []).map((dim) => dim ?? '?').join(', ')}]`,
      { hint: 'give .npy or .npz samples, or fix the height and width of the model' },
    );
  }
  const images: Image[] = [];
  for (const file of files) images.push(await readImage(file));
  const whole = (image: Image): Crop => ({ left: 0, top: 0, width: image.width, height: image.height });
  const pieces =
    options.crops === undefined
      ? images.map((image) => ({ image, crop: whole(image) }))
      : seededCrops(images, options.crops, options.seed);
  return pieces.map(({ image, crop }) => () => {
    const pixels = imageToTensor(image, crop, { width, height }, options.normalization);
    return new Map([[name, float32Tensor([1, 3, height, width], pixels)]]);
  });
};

/** @throws OrthoError when the path holds nothing usable for these inputs. */
export const openSamples = async (
  path: string,
  inputs: readonly TensorSpec[],
  options: SampleOptions,
): Promise<SampleSet> => {
  const files = listFiles(path);
  const isArray = (file: string): boolean => /\.np[yz]$/i.test(file);
  const arrays = files.filter(isArray);
  const images = files.filter((file) => !isArray(file));
  if (arrays.length > 0 && images.length > 0) {
    throw new OrthoError('usage/conflict', `${path} mixes images and arrays`, {
      hint: 'keep one kind of sample in a folder',
    });
  }
  const loaders =
    arrays.length > 0
      ? arraySamples(arrays, inputs)
      : images.length > 0
        ? await imageSamples(images, inputs, options)
        : [];
  if (loaders.length === 0) {
    throw new OrthoError('file/unknown-format', `${path}: no samples (.png, .jpg, .npy, .npz) in it`, {
      at: { file: path },
    });
  }
  return { count: loaders.length, origin: path, load: async (index) => (loaders[index] as () => Feeds)() };
};

/** The samples at these positions, in that order. */
export const subset = (samples: SampleSet, indices: readonly number[]): SampleSet => ({
  count: indices.length,
  origin: samples.origin,
  load: (index) => samples.load(indices[index] as number),
});

/** Every third sample apart for judging, the rest for calibration. */
export const holdOut = (samples: SampleSet): { calibration: SampleSet; evaluation: SampleSet } => {
  const indices = Array.from({ length: samples.count }, (_, i) => i);
  return {
    calibration: subset(
      samples,
      indices.filter((i) => i % 3 !== 2),
    ),
    evaluation: subset(
      samples,
      indices.filter((i) => i % 3 === 2),
    ),
  };
};
