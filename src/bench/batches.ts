/**
 * Latency by batch size, for a model that leaves its batch open: the whole batch, and each item of it.
 *
 * The items are those the model is fed anyway, repeated. The batch is the unknown first dimension of an input; a symbol
 * that stands there is the batch wherever else it stands, and an unnamed unknown dimension is when it is the first
 * unknown one of its input, on the first or second axis (states of recurrent models).
 */
import { byteLengthOf } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { elementCount, type Tensor, tensorBytes, tensorOf } from '../core/tensor.ts';
import type { HostedSession } from '../runtime/isolated.ts';
import type { SessionOptions, SpecShape, TensorSpec } from '../runtime/session.ts';
import { isInterrupted, readBlocks, sampleBlocks } from './blocks.ts';
import { type MeasureHooks, type MeasuringHost, type Target, warmUp } from './measure.ts';
import type { Summary } from './statistics.ts';

export interface BatchPoint {
  readonly batch: number;
  /** Of the whole batch, in ms. */
  readonly summary: Summary;
  /** Median time of the batch over its size. */
  readonly msPerItem: number;
}

export interface BatchSweep {
  /** In the order asked for; those after a size that the model refuses are missing. */
  readonly points: readonly BatchPoint[];
  /** The size that failed, and how; null when all ran. */
  readonly refused: { readonly batch: number; readonly error: OrthoError } | null;
}

const WARM_UP_SHARE = 0.3;

/** The axes of each input along which items of a batch lie; inputs without are left out. */
export const batchAxes = (inputs: readonly TensorSpec[]): Map<string, number[]> => {
  const firsts = inputs.flatMap(({ shape }) =>
    shape === undefined || shape.length === 0 ? [] : [shape[0]!],
  );
  const symbols = new Set(firsts.filter((dim) => typeof dim === 'string'));
  const isOpen = inputs.some(
    ({ shape }) => shape !== undefined && shape.length > 0 && typeof shape[0] !== 'number',
  );
  const axesOf = (shape: SpecShape): number[] => {
    const firstOpen = shape.findIndex((dim) => typeof dim !== 'number');
    return shape.flatMap((dim, axis) => {
      const isBatch =
        dim === null ? axis === firstOpen && axis <= 1 : typeof dim === 'string' && symbols.has(dim);
      return isBatch ? [axis] : [];
    });
  };
  const axes = new Map<string, number[]>();
  if (!isOpen) return axes;
  for (const { name, shape } of inputs) {
    const own = shape === undefined ? [] : axesOf(shape);
    if (own.length > 0) axes.set(name, own);
  }
  return axes;
};

/** `size` rows along an axis: those there are, again and again. */
const repeatAlong = (tensor: Tensor, axis: number, size: number): Tensor => {
  const { dtype, dims, strings } = tensor;
  const rows = dims[axis]!;
  const outer = elementCount(dims.slice(0, axis));
  const inner = elementCount(dims.slice(axis + 1));
  const wanted = dims.with(axis, size);
  if (strings !== undefined) {
    const all = Array.from({ length: outer * size * inner }, (_, i) => {
      const [block, within] = [Math.floor(i / (size * inner)), i % (size * inner)];
      return strings[block * rows * inner + (within % (rows * inner))]!;
    });
    return { ...tensor, dims: wanted, strings: all };
  }
  const bytes = tensorBytes(tensor);
  const length = byteLengthOf(dtype, inner);
  const result = new Uint8Array(byteLengthOf(dtype, elementCount(wanted)));
  for (let block = 0; block < outer; block++) {
    for (let row = 0; row < size; row++) {
      const from = (block * rows + (row % rows)) * length;
      result.set(bytes.subarray(from, from + length), (block * size + row) * length);
    }
  }
  return tensorOf(dtype, wanted, result);
};

/** The feeds with their items repeated, or cut, to a batch of this size. */
export const batchFeeds = (
  feeds: ReadonlyMap<string, Tensor>,
  axes: ReadonlyMap<string, readonly number[]>,
  size: number,
): Map<string, Tensor> =>
  new Map(
    [...feeds].map(([name, tensor]) => {
      const repeated = (axes.get(name) ?? [])
        .filter((axis) => (tensor.dims[axis] ?? 0) > 0)
        .reduce((current, axis) => repeatAlong(current, axis, size), tensor);
      return [name, repeated];
    }),
  );

const fixedBatch = ({ path, name }: Target, { inputs }: HostedSession): OrthoError => {
  const first = inputs.find(({ shape }) => shape !== undefined && shape.length > 0);
  const says =
    first === undefined ? 'no input has dimensions' : `input "${first.name}" is [${first.shape!.join(', ')}]`;
  return new OrthoError('usage/input-shape', `${name}: its batch is fixed (${says})`, {
    hint:
      first === undefined
        ? 'measure it without --batch'
        : `leave its first dimension open where the model is made (convert --dynamic ${first.name}:0=batch)`,
    at: { file: path },
  });
};

/**
 * One model at several batch sizes, one after the other in one fresh process.
 * @param budgetMs time for everything, loading included.
 * @throws OrthoError usage/input-shape for a model whose batch is fixed; of the runtime when not even the first runs.
 */
export const measureBatches = async (
  start: () => MeasuringHost,
  target: Target,
  options: SessionOptions,
  sizes: readonly number[],
  budgetMs: number,
  { now = () => performance.now(), onBlock }: Pick<MeasureHooks, 'now' | 'onBlock'> = {},
): Promise<BatchSweep> => {
  const end = now() + budgetMs;
  const host = start();
  const points: BatchPoint[] = [];
  try {
    const session = await host.open(target.path, options);
    const axes = batchAxes(session.inputs);
    if (axes.size === 0) throw fixedBatch(target, session);
    for (const [i, batch] of sizes.entries()) {
      const share = Math.max(0, end - now()) / (sizes.length - i);
      const until = now() + share;
      try {
        await session.prepare(batchFeeds(target.feeds, axes, batch));
        await warmUp(host, [session], share * WARM_UP_SHARE);
        const pace = { maxMs: Math.max(0, until - now()), now, ...(onBlock && { onBlock }) };
        const [read] = readBlocks(await sampleBlocks(host, [session], pace));
        const { summary } = read!;
        points.push({ batch, summary, msPerItem: summary.p50 / batch });
      } catch (error) {
        const isKept = points.length > 0 && error instanceof OrthoError;
        if (!isKept || (error.code.startsWith('internal/') && !isInterrupted(error))) throw error;
        return { points, refused: { batch, error } };
      }
    }
    return { points, refused: null };
  } finally {
    await host.close();
  }
};
