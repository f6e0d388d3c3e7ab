/**
 * What the values of weights are like: statistics and histograms of selected tensors, and the census of special values
 * that all inspections share. Tensors with two names are read once.
 */
import { countFloats, hasFloatCensus } from '../core/float-census.ts';
import type { JobIo } from '../core/job-io.ts';
import type { Finding } from '../core/report.ts';
import type { ByteSource } from '../core/source.ts';
import { elementCount } from '../core/tensor.ts';
import { hasStatistics, histogram, type Statistics, tensorStatistics } from '../core/tensor-statistics.ts';
import type { WeightTensor } from '../formats/state-dict.ts';
import type { ElementFindings } from '../report/schemas/common.ts';
import type { WeightTensorData } from '../report/schemas/inspect.ts';

/** Bins of a histogram: what a line of text can show. */
const BINS = 32;
/** Between two pauses in which an interruption can arrive. */
const PAUSE_MS = 50;

export type TensorValues = Pick<WeightTensorData, 'stats' | 'histogram'>;

/** Special floats of one tensor. */
export interface SpecialValues {
  readonly subnormals: number;
  readonly nans: number;
  readonly infinities: number;
}

export interface Census {
  readonly subnormals: ElementFindings;
  readonly nonFinite: ElementFindings;
  readonly findings: readonly Finding[];
}

/** The names under which these tensors are read: aliases share that of the first key. */
const readOnce = (tensors: ReadonlyMap<string, WeightTensor>): Map<string, WeightTensor> => {
  const own = new Map<string, WeightTensor>();
  for (const [key, tensor] of tensors) {
    const name = tensor.sharedWith ?? key;
    if (!own.has(name)) own.set(name, tensor);
  }
  return own;
};

/** A source that says how many bytes were read from it. */
const metered = (source: ByteSource, onRead: (bytes: number) => void): ByteSource => ({
  size: source.size,
  path: source.path,
  read: (offset, length) => {
    onRead(length);
    return source.read(offset, length);
  },
  readInto: (target, offset) => {
    onRead(target.length);
    source.readInto(target, offset);
  },
});

/** Looks at tensors one after the other; says how far it is, and pauses so that an interruption can end it. */
const readEach = async <T>(
  tensors: readonly (readonly [name: string, tensor: WeightTensor])[],
  { io, times }: { readonly io: JobIo; readonly times: number },
  look: (tensor: WeightTensor, data: ByteSource) => T,
): Promise<Map<string, T>> => {
  const total = tensors.reduce((sum, [, { data }]) => sum + data.size, 0) * times;
  const found = new Map<string, T>();
  let done = 0;
  let pausedAt = Date.now();
  for (const [name, tensor] of tensors) {
    const data = metered(tensor.data, (bytes) => {
      done += bytes;
      io.progress(`reading ${name}`, total === 0 ? 1 : Math.min(1, done / total));
    });
    found.set(name, look(tensor, data));
    if (Date.now() - pausedAt < PAUSE_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    io.signal.throwIfAborted();
    pausedAt = Date.now();
  }
  return found;
};

const valuesOf = ({ dtype, dims }: WeightTensor, data: ByteSource, withHistogram: boolean): TensorValues => {
  const elements = elementCount(dims);
  const { count: _, ...stats } = tensorStatistics(dtype, data, elements);
  const { min, max } = stats;
  if (!withHistogram || min === null || max === null) return { stats };
  return { stats, histogram: { min, max, counts: histogram(dtype, data, BINS, min, max, elements).counts } };
};

/**
 * Statistics of these tensors by key, aliases included; tensors without numbers have none.
 * @throws the reason of `io.signal` when it is aborted, and what the sources throw
 */
export const measureTensors = async (
  tensors: ReadonlyMap<string, WeightTensor>,
  { histogram: withHistogram, io }: { readonly histogram: boolean; readonly io: JobIo },
): Promise<Map<string, TensorValues>> => {
  const own = [...readOnce(tensors)].filter(([, { dtype }]) => hasStatistics(dtype));
  const found = await readEach(own, { io, times: withHistogram ? 2 : 1 }, (tensor, data) =>
    valuesOf(tensor, data, withHistogram),
  );
  return new Map(
    [...tensors].flatMap(([key, { sharedWith }]) => {
      const values = found.get(sharedWith ?? key);
      return values === undefined ? [] : [[key, values] as const];
    }),
  );
};

/** The special values among statistics that were made for other reasons. */
export const specialOfStatistics = (
  tensors: ReadonlyMap<string, WeightTensor>,
  values: ReadonlyMap<string, TensorValues>,
): Map<string, SpecialValues> =>
  new Map(
    [...readOnce(tensors)].flatMap(([name, { dtype }]) => {
      const stats: Omit<Statistics, 'count'> | undefined = values.get(name)?.stats;
      return stats === undefined || !hasFloatCensus(dtype) ? [] : [[name, stats] as const];
    }),
  );

/** Reads tensors for their special values alone, which is faster than statistics; throws as measureTensors does. */
export const specialOfTensors = (
  tensors: ReadonlyMap<string, WeightTensor>,
  io: JobIo,
): Promise<Map<string, SpecialValues>> =>
  readEach(
    [...readOnce(tensors)].filter(([, { dtype }]) => hasFloatCensus(dtype)),
    { io, times: 1 },
    ({ dtype }, data) => countFloats(dtype, data),
  );

/** Adds up special values; those that harm become findings. */
export const censusOf = (special: ReadonlyMap<string, SpecialValues>): Census => {
  const subnormals = { tensors: 0, elements: 0 };
  const nonFinite = { tensors: 0, elements: 0 };
  const findings: Finding[] = [];
  const add = (to: { tensors: number; elements: number }, elements: number): void => {
    to.tensors += elements === 0 ? 0 : 1;
    to.elements += elements;
  };
  for (const [key, { subnormals: small, nans, infinities }] of special) {
    add(subnormals, small);
    add(nonFinite, nans + infinities);
    if (nans + infinities === 0) continue;
    findings.push({
      level: 'warning',
      rule: 'non-finite-weights',
      message: `"${key}" holds ${nans} NaN and ${infinities} infinite values`,
      at: { key },
    });
  }
  if (subnormals.elements > 0) {
    findings.push({
      level: 'note',
      rule: 'subnormal-weights',
      message: `${subnormals.elements} subnormal values in ${subnormals.tensors} tensors; they slow inference down`,
      hint: 'convert and optimize set them to zero',
    });
  }
  return { subnormals, nonFinite, findings };
};
