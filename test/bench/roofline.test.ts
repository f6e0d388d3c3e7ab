import { expect, test } from 'vitest';
import { attainable, type MachinePeaks, moveMs, peakOf, roofOf } from '../../src/bench/roofline.ts';
import { ADDITIONS, additionProbe, matrixProbe, PROBE } from '../../src/bench/roofline-models.ts';

const PEAKS: MachinePeaks = {
  gflops: 100,
  int8Gops: 400,
  bandwidth: [
    { bytes: 1e4, gbPerS: 1 },
    { bytes: 1e6, gbPerS: 20 },
    { bytes: 1e8, gbPerS: 10 },
  ],
};

test('moving bytes: measured sizes, between them, below and beyond', () => {
  const { bandwidth } = PEAKS;
  expect(moveMs(0, bandwidth)).toBe(0);
  expect(moveMs(1e4, bandwidth)).toBeCloseTo(0.01);
  expect(moveMs(1, bandwidth)).toBeCloseTo(0.01);
  expect(moveMs(1e6, bandwidth)).toBeCloseTo(0.05);
  expect(moveMs(1e8, bandwidth)).toBeCloseTo(10);
  // Beyond: at the bandwidth of the largest.
  expect(moveMs(2e8, bandwidth)).toBeCloseTo(20);
  // Half-way on a logarithmic axis: the geometric mean of both times.
  expect(moveMs(1e5, bandwidth)).toBeCloseTo(Math.sqrt(0.01 * 0.05));
  for (let bytes = 1; bytes < 1e9; bytes *= 1.5) {
    expect(moveMs(bytes * 1.5, bandwidth)).toBeGreaterThanOrEqual(moveMs(bytes, bandwidth));
  }
});

test('the roof is the slower of computing and moving', () => {
  // 1e9 MACs are 2 GFLOP: 20 ms at 100 GFLOP/s.
  expect(roofOf({ macs: 1e9, bytes: 1e6, arithmetic: 'float' }, PEAKS)).toEqual({
    ms: 20,
    boundBy: 'compute',
  });
  expect(roofOf({ macs: 1e9, bytes: 1e6, arithmetic: 'int8' }, PEAKS)).toEqual({ ms: 5, boundBy: 'compute' });
  expect(roofOf({ macs: null, bytes: 1e8, arithmetic: 'float' }, PEAKS)).toEqual({
    ms: 10,
    boundBy: 'memory',
  });
  expect(roofOf({ macs: 0, bytes: 0, arithmetic: 'float' }, PEAKS).ms).toBe(0);
  expect(peakOf({ ...PEAKS, int8Gops: null }, 'int8')).toBe(100);
  expect(attainable(2, 100, 20)).toBe(40);
  expect(attainable(50, 100, 20)).toBe(100);
});

test('the probes are valid models with the kernels that are looked for', () => {
  for (const { model, feeds } of [matrixProbe('float'), matrixProbe('int8'), additionProbe()]) {
    expect(model.graph.inputs.map(({ name }) => name)).toEqual([...feeds.keys()]);
  }
  expect(matrixProbe('float').model.graph.nodes.map(({ name }) => name)).toEqual([PROBE]);
  const names = new Set(additionProbe().model.graph.nodes.map(({ name }) => name));
  for (const { names: wanted } of ADDITIONS) for (const name of wanted) expect(names.has(name)).toBe(true);
  expect(ADDITIONS.map(({ bytes }) => bytes)).toEqual(
    ADDITIONS.map(({ bytes }) => bytes).toSorted((a, b) => a - b),
  );
});
