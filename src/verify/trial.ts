/**
 * Finds feeds that a model accepts, by trying: a model with unknown dimensions often takes only certain sizes
 * (multiples of 32, a fixed number of channels that the file does not declare), and only running it tells.
 */
import type { DType } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import { type Fill, feedDims, type InputSpec, isDynamic, randomFeeds } from './inputs.ts';

/** Feeds, and what the reference answered to them. */
export interface Trial {
  /** E.g. `x[1,3,64,64]`. */
  readonly name: string;
  readonly feeds: ReadonlyMap<string, Tensor>;
  readonly expected: ReadonlyMap<string, Tensor>;
}

export interface TrialOptions {
  readonly seed: number;
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  /** Integers worth trying, by input: see model-inputs.ts. */
  readonly integers?: ReadonlyMap<string, readonly bigint[]>;
  /** Sizes worth trying for unknown dimensions: see model-inputs.ts. */
  readonly sizes?: readonly number[];
}

/** Sizes to try for batch and for other unknown dimensions, the likeliest first. */
const SIZES: readonly (readonly [batch: number, other: number])[] = [
  [1, 64],
  [2, 96],
  [1, 32],
  [2, 16],
  [1, 48],
  [3, 24],
  [1, 512],
  [2, 256],
  [1, 256],
  [1, 224],
  [2, 128],
  [1, 160],
  [1, 320],
  [1, 100],
  [1, 5],
  [2, 3],
  [1, 2],
  [2, 2],
  [1, 1],
  [4, 4],
];

/** Lengths that are tried last: nothing but their being small speaks for them. */
const SMALL_SIZES = Array.from({ length: 40 }, (_, i) => i + 1);

/** The usual layout first, with the likely sizes and then those of the model; then other layouts; then small sizes. */
const fillsFor = (sizes: readonly number[]): Fill[] => {
  const own = sizes.flatMap((size) => [1, 2].map((batch): [number, number] => [batch, size]));
  const layout = (pairs: readonly (readonly [number, number])[], batchAxis: number): Fill[] =>
    pairs.map(([batch, other]) => ({ batch, other, batchAxis }));
  return [
    ...layout([...SIZES, ...own], 1),
    ...layout([...SIZES, ...own], 0),
    ...[...SIZES.map(([, other]) => other), ...sizes].map((other) => ({ batch: other, other, batchAxis: 0 })),
    ...layout(
      SMALL_SIZES.map((size) => [1, size]),
      1,
    ),
  ];
};

/** Most elements of all inputs together in a made-up shape: 2^22, 16 MiB of float32. */
const MOST_ELEMENTS = 2 ** 22;

/** Integers of made-up inputs stay below these, one after the other. */
const INTEGER_BOUNDS = [4, 2, 1] as const;

/** Two shapes for a model with unknown dimensions; two seeds for one without. */
const WANTED = 2;

type Dims = ReadonlyMap<string, readonly number[]>;

const nameOf = (dims: Dims, values: ReadonlyMap<string, bigint>): string => {
  const shapes = [...dims].map(([name, sizes]) => `${name}[${sizes.join(',')}]`);
  const switches = [...values].map(([name, value]) => `${name}=${value}`);
  return [...shapes, ...switches].join(' ') || 'no inputs';
};

const isTooLarge = (dims: Dims): boolean => {
  let elements = 0;
  for (const sizes of dims.values()) elements += elementCount(sizes);
  return elements > MOST_ELEMENTS;
};

/** Each integer worth trying as the value of its input, with the others at their first; one empty choice without. */
const switchesOf = (integers: ReadonlyMap<string, readonly bigint[]>): ReadonlyMap<string, bigint>[] => {
  const first = new Map(
    [...integers].flatMap(([name, [value]]) => (value === undefined ? [] : [[name, value]])),
  );
  const switches: ReadonlyMap<string, bigint>[] = [first];
  for (const [name, values] of integers) {
    // The last one is none of the listed: it takes the other branch.
    const other = [0n, ...values].toSorted((a, b) => Number(a - b)).at(-1)! + 1n;
    for (const value of [...values.slice(1), other]) switches.push(new Map([...first, [name, value]]));
  }
  return switches;
};

/** Integers that may be indices, where too large a value is refused. */
const isIndex = (dtype: DType | undefined): boolean =>
  dtype !== undefined && dtype !== 'uint8' && /int/.test(dtype);

/** Errors after which another input may still work; all others end the search. */
const isRefusal = (error: unknown): boolean =>
  error instanceof OrthoError && (error.code === 'runtime/failed' || error.code === 'usage/input-shape');

/**
 * Feeds that `run` accepts: for each switch value two different shapes where dimensions are unknown, else two seeds.
 * With a shape given for every dynamic input there is nothing to search.
 * @returns fewer, or none, where the model accepts nothing that was tried; `refusal` is the last reason.
 * @throws what `run` throws except refusals of an input (runtime/failed).
 */
export const findFeeds = async (
  specs: readonly InputSpec[],
  run: (feeds: ReadonlyMap<string, Tensor>) => Promise<ReadonlyMap<string, Tensor>>,
  options: TrialOptions,
): Promise<{ readonly trials: Trial[]; readonly refusal: OrthoError | undefined }> => {
  const { shapes = new Map<string, readonly number[]>() } = options;
  const isOpen = specs.some((spec) => isDynamic(spec) && !shapes.has(spec.name));
  const allFills = fillsFor(options.sizes ?? []);
  const fills = isOpen ? allFills : allFills.slice(0, 1);
  const trials: Trial[] = [];
  let refusal: OrthoError | undefined;

  const attempt = async (
    dims: Dims,
    name: string,
    integerBelow: number,
    values: ReadonlyMap<string, bigint>,
  ): Promise<boolean> => {
    try {
      const seed = options.seed + trials.length;
      const feeds = randomFeeds(specs, { seed, shapes: dims, integerBelow, values });
      trials.push({ name, feeds, expected: await run(feeds) });
      return true;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refusal = error as OrthoError;
      return false;
    }
  };

  const bounds = specs.some(({ dtype }) => isIndex(dtype)) ? INTEGER_BOUNDS : INTEGER_BOUNDS.slice(0, 1);
  for (const values of switchesOf(options.integers ?? new Map())) {
    let found = 0;
    for (const below of bounds) {
      if (found > 0) break;
      const tried = new Set<string>();
      for (const fill of fills) {
        if (found === WANTED) break;
        const dims = feedDims(specs, { shapes, fill });
        const name = nameOf(dims, values);
        if (tried.has(name) || (isOpen && isTooLarge(dims))) continue;
        tried.add(name);
        if (!(await attempt(dims, isOpen ? name : `${name} #1`, below, values))) continue;
        found++;
        if (!isOpen && (await attempt(dims, `${name} #2`, below, values))) found++;
      }
    }
  }
  return { trials, refusal };
};
