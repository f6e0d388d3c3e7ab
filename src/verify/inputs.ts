/**
 * Random inputs for a model, the same for the same seed everywhere.
 *
 * Floats are standard normal; bool is a fair coin; uint8 is 0…255 (an image); other integers are small and not
 * negative (0…`integerBelow` − 1), because they are most often indices, lengths or switches; strings are `s0`, `s1`….
 * Each input has a generator of its own, seeded by the seed and its name, so another input changes nothing here.
 */
import { byteLengthOf, type DType, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { numberToBfloat16, numberToFloat16 } from '../core/half.ts';
import { createRng, type Rng } from '../core/rng.ts';
import { BytesSource } from '../core/source.ts';
import { elementCount, type Tensor, tensorOf, typedTensor } from '../core/tensor.ts';
import type { Shape } from '../ir/type.ts';
import type { SpecShape } from '../runtime/session.ts';

/** What is needed to make up an input. `shape` undefined: unknown rank. */
export interface InputSpec {
  readonly name: string;
  readonly dtype: DType | undefined;
  readonly shape: Shape | SpecShape | undefined;
}

/** How unknown dimensions are filled; see `fillShape`. */
export interface Fill {
  readonly batch: number;
  readonly other: number;
  /** The first unknown dimension of an input is a batch when its axis is at most this. */
  readonly batchAxis: number;
}

/** Batch 1, everything else 16: what is taken when nobody says otherwise. */
const DEFAULT_FILL: Fill = { batch: 1, other: 16, batchAxis: 0 };

/** Most elements of one made-up input: 2^28, 1 GiB of float32. */
const MOST_ELEMENTS = 2 ** 28;

/** True when some dimension (or the rank) is not fixed. */
export const isDynamic = ({ shape }: InputSpec): boolean =>
  shape === undefined || shape.some((dim) => typeof dim !== 'number');

const isBatchName = (name: string): boolean => /^(n|b|bs)$|batch/i.test(name);

/**
 * The dimensions of an input with every unknown one filled: those of a name that says so, and the first unknown one
 * at an axis of at most `batchAxis`, with `batch`; the others with `other`. A symbol has one size in all inputs:
 * `symbols` remembers it. An unknown rank becomes a scalar.
 */
export const fillShape = (spec: InputSpec, fill: Fill, symbols: Map<string, number>): number[] => {
  const { shape } = spec;
  if (shape === undefined) return [];
  const firstUnknown = shape.findIndex((dim) => typeof dim !== 'number');
  return shape.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    const isNamed = dim !== null && dim !== '';
    const known = isNamed ? symbols.get(dim) : undefined;
    if (known !== undefined) return known;
    const isBatch = (isNamed && isBatchName(dim)) || (axis === firstUnknown && axis <= fill.batchAxis);
    const size = isBatch ? fill.batch : fill.other;
    if (isNamed) symbols.set(dim, size);
    return size;
  });
};

const seedFor = (seed: number, name: string): number => {
  // FNV-1a over the name, started from the seed.
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
};

const integersOf = (dtype: DType, count: number, below: number, rng: Rng): number[] =>
  Array.from({ length: count }, () => rng.integer(dtype === 'uint8' ? 256 : dtype === 'bool' ? 2 : below));

/** A random tensor. @throws dtype/unsupported for types that no session takes as an input. */
const randomTensor = (
  dtype: DType,
  dims: readonly number[],
  rng: Rng,
  { integerBelow = 4 }: { readonly integerBelow?: number } = {},
): Tensor => {
  const count = elementCount(dims);
  if (count > MOST_ELEMENTS) {
    throw new OrthoError(
      'usage/input-shape',
      `an input of ${dtype} [${dims.join(', ')}] is too large to make up`,
      {
        hint: 'give smaller dimensions with --shape NAME=…',
      },
    );
  }
  const normals = (): number[] => Array.from({ length: count }, () => rng.normal());
  const integers = (): number[] => integersOf(dtype, count, integerBelow, rng);
  switch (dtype) {
    case 'float32':
      return typedTensor(dtype, dims, Float32Array.from(normals()));
    case 'float64':
      return typedTensor(dtype, dims, Float64Array.from(normals()));
    case 'float16':
      return typedTensor(dtype, dims, Uint16Array.from(normals(), numberToFloat16));
    case 'bfloat16':
      return typedTensor(dtype, dims, Uint16Array.from(normals(), numberToBfloat16));
    case 'int64':
      return typedTensor(dtype, dims, BigInt64Array.from(integers(), BigInt));
    case 'uint64':
      return typedTensor(dtype, dims, BigUint64Array.from(integers(), BigInt));
    case 'int32':
      return typedTensor(dtype, dims, Int32Array.from(integers()));
    case 'uint32':
      return typedTensor(dtype, dims, Uint32Array.from(integers()));
    case 'int16':
      return typedTensor(dtype, dims, Int16Array.from(integers()));
    case 'uint16':
      return typedTensor(dtype, dims, Uint16Array.from(integers()));
    case 'int8':
      return typedTensor(dtype, dims, Int8Array.from(integers()));
    case 'uint8':
    case 'bool':
      return typedTensor(dtype, dims, Uint8Array.from(integers()));
    case 'string':
      return stringTensor(dims, integers());
    default: {
      if (dtypeInfo(dtype).bits >= 8) throw unsupported(dtype);
      const bytes = new Uint8Array(byteLengthOf(dtype, count));
      return tensorOf(dtype, dims, bytes);
    }
  }
};

const unsupported = (dtype: DType): OrthoError =>
  new OrthoError('dtype/unsupported', `inputs of type ${dtype} cannot be made up`, {
    hint: 'give a case with stored inputs',
  });

const stringTensor = (dims: readonly number[], numbers: readonly number[]): Tensor => ({
  dtype: 'string',
  dims,
  data: new BytesSource(new Uint8Array(0)),
  strings: numbers.map((number) => new TextEncoder().encode(`s${number}`)),
});

export interface FeedOptions {
  readonly seed: number;
  /** Dimensions by input name; they win over everything else. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  readonly fill?: Fill;
  readonly integerBelow?: number;
  /** For integer inputs: the one value that fills them. */
  readonly values?: ReadonlyMap<string, bigint>;
}

/**
 * The dimensions that `randomFeeds` would give these inputs.
 * @throws usage/input-shape for a name that no input has or dimensions it cannot have
 */
export const feedDims = (
  specs: readonly InputSpec[],
  { shapes = new Map(), fill = DEFAULT_FILL }: Pick<FeedOptions, 'shapes' | 'fill'>,
): Map<string, readonly number[]> => {
  checkShapes(specs, shapes);
  const symbols = new Map<string, number>();
  for (const spec of specs) learnSymbols(spec, shapes.get(spec.name), symbols);
  return new Map(specs.map((spec) => [spec.name, shapes.get(spec.name) ?? fillShape(spec, fill, symbols)]));
};

/**
 * Random feeds for these inputs.
 * @throws usage/input-shape as `feedDims`, dtype/unsupported for inputs that are not tensors of a type a session takes
 */
export const randomFeeds = (specs: readonly InputSpec[], options: FeedOptions): Map<string, Tensor> => {
  const dims = feedDims(specs, options);
  return new Map(
    specs.map(({ name, dtype }) => {
      if (dtype === undefined) {
        throw new OrthoError('dtype/unsupported', `input "${name}" is not a tensor, it cannot be made up`, {
          at: { value: name },
        });
      }
      const value = options.values?.get(name);
      if (value !== undefined) return [name, filledTensor(dtype, dims.get(name)!, value)];
      const below = options.integerBelow === undefined ? {} : { integerBelow: options.integerBelow };
      return [name, randomTensor(dtype, dims.get(name)!, createRng(seedFor(options.seed, name)), below)];
    }),
  );
};

const filledTensor = (dtype: DType, dims: readonly number[], value: bigint): Tensor => {
  const count = elementCount(dims);
  if (dtype === 'int64') return typedTensor(dtype, dims, new BigInt64Array(count).fill(value));
  if (dtype === 'int32') return typedTensor(dtype, dims, new Int32Array(count).fill(Number(value)));
  throw unsupported(dtype);
};

const learnSymbols = (
  spec: InputSpec,
  dims: readonly number[] | undefined,
  symbols: Map<string, number>,
): void => {
  if (dims === undefined) return;
  spec.shape?.forEach((dim, axis) => {
    if (typeof dim === 'string' && dim !== '' && dims[axis] !== undefined) symbols.set(dim, dims[axis]);
  });
};

/** A shape as given by the user; without a name it is that of the only input. */
export interface GivenShape {
  readonly name?: string | undefined;
  readonly dims: readonly number[];
}

/**
 * Shapes by input name.
 * @throws usage/input-shape for a name that no input has, is given twice or is missing among several inputs, and for
 *   dimensions an input cannot have
 */
export const shapesByName = (
  specs: readonly InputSpec[],
  given: readonly GivenShape[],
): Map<string, readonly number[]> => {
  const shapes = new Map<string, readonly number[]>();
  for (const { name, dims } of given) {
    const resolved = name ?? (specs.length === 1 ? specs[0]!.name : undefined);
    if (resolved === undefined || shapes.has(resolved)) {
      const why =
        resolved === undefined ? `${specs.length} inputs need a name` : `"${resolved}" is given twice`;
      throw new OrthoError('usage/input-shape', `--shape ${dims.join(',')}: ${why}`, {
        hint: 'write NAME=1,3,224,224',
      });
    }
    shapes.set(resolved, dims);
  }
  checkShapes(specs, shapes);
  return shapes;
};

/** @throws usage/input-shape */
const checkShapes = (specs: readonly InputSpec[], shapes: ReadonlyMap<string, readonly number[]>): void => {
  for (const [name, dims] of shapes) {
    const spec = specs.find((one) => one.name === name);
    if (spec === undefined) {
      throw new OrthoError('usage/input-shape', `the model has no input "${name}"`, {
        at: { value: name },
        hint: `its inputs are ${specs.map((one) => `"${one.name}"`).join(', ') || '(none)'}`,
      });
    }
    const { shape } = spec;
    const fits =
      shape === undefined ||
      (shape.length === dims.length && shape.every((dim, i) => typeof dim !== 'number' || dim === dims[i]));
    if (!fits) {
      throw new OrthoError(
        'usage/input-shape',
        `input "${name}" has shape [${shape.map((dim) => dim ?? '?').join(', ')}], given [${dims.join(', ')}]`,
        { at: { value: name } },
      );
    }
  }
};
