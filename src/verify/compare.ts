/**
 * Compares two tensors element by element.
 *
 * dtype and dims must be the same. NaN must meet NaN and an infinity the same infinity at the same position; finite
 * elements pass by the rule of tolerance.ts; strings pass when their bytes are equal. A tensor without elements
 * passes when the dims are the same. Metrics are taken in double precision over the finite elements.
 */
import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { bfloat16ToNumber, float16ToNumber } from '../core/half.ts';
import { elementCount, type Tensor, tensorArray } from '../core/tensor.ts';
import type { OutputParityData } from '../report/schemas/verify.ts';
import type { Accumulator, Numbers } from './metric.ts';
import { type MetricName, metrics } from './metrics/index.ts';
import { type Tolerance, type Tolerances, toleranceFor } from './tolerance.ts';

export type OutputParity = OutputParityData;

/** A metric accumulator for each metric. */
export type Pool = ReadonlyMap<MetricName, Accumulator>;

export const startPool = (): Pool =>
  new Map((Object.keys(metrics) as MetricName[]).map((name) => [name, metrics[name].start()]));

/** The metrics as reports carry them: null where a metric is infinite or not defined. */
export const poolMetrics = (pool: Pool): Record<MetricName, number | null> => {
  const entries = [...pool].map(([name, accumulator]) => {
    const value = accumulator.value();
    return [name, Number.isFinite(value) ? value : null];
  });
  return Object.fromEntries(entries) as Record<MetricName, number | null>;
};

const jsonNumber = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** Numeric values as doubles (or the float32 array itself); 64-bit integers are rounded. */
const numbersOf = (tensor: Tensor): Numbers => {
  const { dtype } = tensor;
  const array = tensorArray(tensor);
  if (dtype === 'float32' || dtype === 'float64') return array as Numbers;
  if (dtype === 'float16') return Float32Array.from(array as Uint16Array, float16ToNumber);
  if (dtype === 'bfloat16') return Float32Array.from(array as Uint16Array, bfloat16ToNumber);
  const { kind, bits } = dtypeInfo(dtype);
  if (bits < 8 || kind === 'complex' || kind === 'float') {
    throw new OrthoError('dtype/unsupported', `outputs of type ${dtype} cannot be compared`);
  }
  return Float64Array.from(array as ArrayLike<number | bigint> as ArrayLike<number>, Number);
};

const coordinatesOf = (index: number, dims: readonly number[]): number[] => {
  const coordinates: number[] = [];
  let rest = index;
  for (const dim of dims.toReversed()) {
    coordinates.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return coordinates;
};

const countNonFinite = (numbers: Numbers): number => {
  let count = 0;
  for (let i = 0; i < numbers.length; i++) if (!Number.isFinite(numbers[i]!)) count++;
  return count;
};

const largestFinite = (numbers: Numbers): number => {
  let largest = 0;
  for (let i = 0; i < numbers.length; i++) {
    const size = Math.abs(numbers[i]!);
    if (size > largest && size !== Infinity) largest = size;
  }
  return largest;
};

/** Both sides with 0 where either is not finite; the arrays themselves where all is finite. */
const finiteSides = (expected: Numbers, actual: Numbers): [Numbers, Numbers] => {
  const e = Float64Array.from(expected);
  const a = Float64Array.from(actual);
  for (let i = 0; i < e.length; i++) {
    if (Number.isFinite(e[i]!) && Number.isFinite(a[i]!)) continue;
    e[i] = 0;
    a[i] = 0;
  }
  return [e, a];
};

interface Judgement {
  readonly failed: number;
  /** Linear index of the element farthest beyond (or nearest to) its bound; -1 without elements. */
  readonly worst: number;
}

const judge = (expected: Numbers, actual: Numbers, tolerance: Tolerance): Judgement => {
  const floor = tolerance.atol + tolerance.ofMax * largestFinite(expected);
  let failed = 0;
  let worst = -1;
  let worstExcess = -Infinity;
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i]!;
    const a = actual[i]!;
    let excess: number;
    if (Number.isFinite(e) && Number.isFinite(a))
      excess = Math.abs(a - e) - floor - tolerance.rtol * Math.abs(e);
    else excess = Object.is(e, a) ? -Infinity : Infinity;
    if (excess > 0) failed++;
    if (excess > worstExcess || worst < 0) {
      worst = i;
      worstExcess = excess;
    }
  }
  return { failed, worst };
};

/** 64-bit integers that are equal as doubles may still differ: the exact rule looks at all 64 bits. */
const firstUnequal64 = (expected: Tensor, actual: Tensor): { failed: number; first: number } => {
  const e = tensorArray(expected as Tensor & { dtype: 'int64' });
  const a = tensorArray(actual as Tensor & { dtype: 'int64' });
  let failed = 0;
  let first = -1;
  for (let i = 0; i < e.length; i++) {
    if (e[i] === a[i]) continue;
    failed++;
    if (first < 0) first = i;
  }
  return { failed, first };
};

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const compareStrings = (base: OutputParity, expected: Tensor, actual: Tensor): OutputParity => {
  const e = expected.strings ?? [];
  const a = actual.strings ?? [];
  const unequal = e.flatMap((text, i) => (a[i] !== undefined && sameBytes(text, a[i]) ? [] : [i]));
  const first = unequal[0];
  if (first === undefined && e.length === a.length) return { ...base, ok: true };
  return {
    ...base,
    worst: { index: coordinatesOf(first ?? 0, expected.dims), expected: null, actual: null },
    message: `${unequal.length} of ${e.length} strings differ`,
  };
};

/** An output of which no values were compared: not ok, and without metrics. */
export const notCompared = (name: string, { dtype, dims }: Tensor): OutputParity => ({
  name,
  dtype,
  dims,
  metrics: poolMetrics(startPool()),
  nonFinite: { expected: 0, actual: 0 },
  worst: null,
  ok: false,
});

/**
 * Compares `actual` with `expected` under the tolerances. With a `pool`, the values also go into its accumulators
 * (metrics over all cases of an output).
 * @throws dtype/unsupported for element types whose values have no order here (packed, 8-bit floats, complex).
 */
export const compareTensors = (
  name: string,
  expected: Tensor,
  actual: Tensor,
  tolerances: Tolerances = {},
  pool?: Pool,
): OutputParity => {
  const base = notCompared(name, expected);
  if (expected.dtype !== actual.dtype) {
    return { ...base, message: `expected dtype ${expected.dtype}, found ${actual.dtype}` };
  }
  if (expected.dims.length !== actual.dims.length || expected.dims.some((dim, i) => dim !== actual.dims[i])) {
    return {
      ...base,
      message: `expected dims [${expected.dims.join(', ')}], found [${actual.dims.join(', ')}]`,
    };
  }
  if (elementCount(expected.dims) === 0) return { ...base, ok: true };
  if (expected.dtype === 'string') return compareStrings(base, expected, actual);

  const e = numbersOf(expected);
  const a = numbersOf(actual);
  const tolerance = toleranceFor(name, expected.dtype, tolerances);
  const nonFinite = { expected: countNonFinite(e), actual: countNonFinite(a) };
  const [finiteE, finiteA] = nonFinite.expected + nonFinite.actual > 0 ? finiteSides(e, a) : [e, a];
  const own = startPool();
  for (const accumulator of own.values()) accumulator.add(finiteE, finiteA);
  for (const accumulator of pool?.values() ?? []) accumulator.add(finiteE, finiteA);

  let { failed, worst } = judge(e, a, tolerance);
  const isExact = tolerance.atol === 0 && tolerance.rtol === 0 && tolerance.ofMax === 0;
  if (isExact && dtypeInfo(expected.dtype).bits === 64 && dtypeInfo(expected.dtype).kind !== 'float') {
    const exact = firstUnequal64(expected, actual);
    if (exact.failed > failed) ({ failed, first: worst } = exact);
  }
  const ok = failed === 0;
  const result: OutputParity = {
    ...base,
    metrics: poolMetrics(own),
    nonFinite,
    worst: {
      index: coordinatesOf(worst, expected.dims),
      expected: jsonNumber(e[worst]!),
      actual: jsonNumber(a[worst]!),
    },
    ok,
  };
  return ok ? result : { ...result, message: describe(failed, e, a, worst, expected.dims) };
};

const describe = (failed: number, e: Numbers, a: Numbers, worst: number, dims: readonly number[]): string =>
  `${failed} of ${e.length} elements differ beyond the tolerance, the worst at ` +
  `[${coordinatesOf(worst, dims).join(', ')}]: expected ${e[worst]}, found ${a[worst]}`;
