import { describe, expect, test } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import { float32Tensor, int64Tensor, type Tensor, typedTensor } from '../../src/core/tensor.ts';
import { compareTensors, poolMetrics, startPool } from '../../src/verify/compare.ts';
import { parseTolerances } from '../../src/verify/tolerance.ts';

const floats = (...values: number[]): Tensor => float32Tensor([values.length], values);
const tolerances = (...texts: string[]) => parseTolerances(texts);
const text = (...values: string[]): Tensor => ({
  dtype: 'string',
  dims: [values.length],
  data: new BytesSource(new Uint8Array(0)),
  strings: values.map((value) => new TextEncoder().encode(value)),
});

describe('metrics of one tensor', () => {
  test('follow their formulas', () => {
    const { metrics } = compareTensors('y', floats(1, 2, -4, 0), floats(1, 2.5, -3, 0.5));
    expect(metrics.maxAbs).toBe(1);
    expect(metrics.maxRel).toBe(0.25);
    expect(metrics.meanAbs).toBe(0.5);
    expect(metrics.cosine).toBeCloseTo(18 / Math.sqrt(21 * 16.5), 12);
    expect(metrics.sqnrDb).toBeCloseTo(10 * Math.log10(21 / 1.5), 12);
    expect(metrics.centredSqnrDb).toBeNull();
  });

  test('are null where they are not defined', () => {
    const equal = compareTensors('y', floats(0, 0), floats(0, 0)).metrics;
    expect(equal).toMatchObject({ maxAbs: 0, maxRel: null, cosine: null, sqnrDb: null });
    expect(compareTensors('y', floats(1), floats(1)).metrics.sqnrDb).toBeNull();
  });

  test('an expected zero has no relative error', () => {
    expect(compareTensors('y', floats(0, 2), floats(9, 2)).metrics.maxRel).toBe(0);
  });
});

describe('centred SQNR over cases', () => {
  test('measures the signal without its mean', () => {
    const pool = startPool();
    const expected = [floats(10, 1), floats(12, 1), floats(14, 4)];
    const actual = [floats(10.5, 1), floats(12, 1), floats(14, 4.5)];
    expected.forEach((tensor, i) => {
      compareTensors('y', tensor, actual[i]!, {}, pool);
    });
    // Element 0: 10, 12, 14 about 12 -> 8; element 1: 1, 1, 4 about 2 -> 6; noise 0.25 + 0.25.
    expect(poolMetrics(pool).centredSqnrDb).toBeCloseTo(10 * Math.log10(14 / 0.5), 10);
    expect(poolMetrics(pool).maxAbs).toBe(0.5);
  });

  test('a constant output has none, however large its plain SQNR', () => {
    const pool = startPool();
    for (let i = 0; i < 3; i++) compareTensors('y', floats(100, 50), floats(100.01, 50), {}, pool);
    expect(poolMetrics(pool).sqnrDb).toBeGreaterThan(70);
    expect(poolMetrics(pool).centredSqnrDb).toBeNull();
  });

  test('needs samples of one size', () => {
    const pool = startPool();
    compareTensors('y', floats(1, 2), floats(1, 2.1), {}, pool);
    compareTensors('y', floats(1, 2, 3), floats(1, 2.1, 3), {}, pool);
    expect(poolMetrics(pool).centredSqnrDb).toBeNull();
  });
});

describe('judgement', () => {
  test('atol + rtol·|e|, the worst element named', () => {
    const given = tolerances('atol:0.1,rtol:0.1');
    expect(compareTensors('y', floats(10, 1), floats(11, 1.15), given).ok).toBe(true);
    const bad = compareTensors(
      'y',
      float32Tensor([2, 2], [10, 1, 3, 0]),
      float32Tensor([2, 2], [10, 1, 3, 5]),
      given,
    );
    expect(bad).toMatchObject({ ok: false, worst: { index: [1, 1], expected: 0, actual: 5 } });
    expect(bad.message).toMatch(/1 of 4 elements .* \[1, 1\]: expected 0, found 5/);
  });

  test('max scales with the largest magnitude of the output', () => {
    const expected = floats(1000, 0);
    expect(compareTensors('y', expected, floats(1000, 0.9), tolerances('max:1e-3')).ok).toBe(true);
    expect(compareTensors('y', expected, floats(1000, 1.1), tolerances('max:1e-3')).ok).toBe(false);
  });

  test('NaN and infinities must stand at the same places', () => {
    const expected = floats(Number.NaN, Infinity, 1);
    const same = compareTensors('y', expected, floats(Number.NaN, Infinity, 1));
    expect(same).toMatchObject({ ok: true, nonFinite: { expected: 2, actual: 2 }, metrics: { maxAbs: 0 } });
    expect(compareTensors('y', expected, floats(Number.NaN, -Infinity, 1)).ok).toBe(false);
    expect(compareTensors('y', expected, floats(1, Infinity, Number.NaN)).ok).toBe(false);
    expect(compareTensors('y', floats(1), floats(Number.NaN), tolerances('atol:1e30')).ok).toBe(false);
  });

  test('integers are exact, also beyond 2^53, unless the tolerance names the output', () => {
    const big = 2n ** 60n;
    const off = compareTensors(
      'y',
      int64Tensor([2], [1, big]),
      int64Tensor([2], [1, big + 1n]),
      tolerances('atol:5'),
    );
    expect(off).toMatchObject({ ok: false, worst: { index: [1] } });
    expect(compareTensors('y', int64Tensor([1], [7]), int64Tensor([1], [8]), tolerances('y=atol:1')).ok).toBe(
      true,
    );
    expect(compareTensors('y', int64Tensor([1], [7]), int64Tensor([1], [9]), tolerances('y=atol:1')).ok).toBe(
      false,
    );
    const bools = (value: number) => typedTensor('bool', [1], Uint8Array.of(value));
    expect(compareTensors('y', bools(1), bools(0), tolerances('atol:5')).ok).toBe(false);
  });

  test('dtype and dims must be the same', () => {
    expect(compareTensors('y', floats(1), int64Tensor([1], [1])).message).toBe(
      'expected dtype float32, found int64',
    );
    const shape = compareTensors('y', float32Tensor([1, 2], [1, 2]), float32Tensor([2], [1, 2]));
    expect(shape).toMatchObject({ ok: false, message: 'expected dims [1, 2], found [2]' });
  });

  test('tensors without elements are equal when their dims are', () => {
    expect(compareTensors('y', float32Tensor([0, 3], []), float32Tensor([0, 3], [])).ok).toBe(true);
    expect(compareTensors('y', float32Tensor([0, 3], []), float32Tensor([3, 0], [])).ok).toBe(false);
  });

  test('strings are compared by bytes', () => {
    expect(compareTensors('y', text('a', 'é'), text('a', 'é')).ok).toBe(true);
    expect(compareTensors('y', text('a', 'b'), text('a', 'c'))).toMatchObject({
      ok: false,
      worst: { index: [1] },
    });
  });

  test('halves are compared as the numbers they are', () => {
    const half = (...bits: number[]) => typedTensor('float16', [bits.length], Uint16Array.from(bits));
    expect(compareTensors('y', half(0x3c00), half(0x3c01)).metrics.maxAbs).toBe(2 ** -10);
  });
});

describe('--tolerance', () => {
  test('reads general and named ones; a name ends at the last =', () => {
    const { general, byOutput } = tolerances('atol:1e-4,rtol:1e-3', 'a=b:0=max:2');
    expect(general).toEqual({ atol: 1e-4, rtol: 1e-3, ofMax: 0 });
    expect(byOutput?.get('a=b:0')).toEqual({ atol: 0, rtol: 0, ofMax: 2 });
  });

  test.each(['', 'atol', 'atol:', 'atol:-1', 'atol:x', 'foo:1', 'atol:1,atol:2', 'atol:Infinity'])(
    'refuses "%s"',
    (given) => {
      expect(() => tolerances(given)).toThrow(expect.objectContaining({ code: 'usage/option' }));
    },
  );

  test('refuses the same output twice', () => {
    expect(() => tolerances('y=atol:1', 'y=rtol:1')).toThrow(/already given/);
  });
});
