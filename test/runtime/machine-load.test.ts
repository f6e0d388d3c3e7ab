import { afterAll, expect, test } from 'vitest';
import { float32Tensor } from '../../src/core/tensor.ts';
import { timeCalibrationKernel } from '../../src/runtime/calibration.ts';
import { SessionHost } from '../../src/runtime/isolated.ts';
import { parseProcStat, readMachineLoad } from '../../src/runtime/machine-load.ts';

test('counters of all processors', () => {
  const stat = 'cpu  100 2 30 4000 50 6 7 80 9 1\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 1\n';
  expect(parseProcStat(stat)).toEqual({ busyMs: 1450, stolenMs: 800 });
  expect(parseProcStat('cpu  1 2 3 4\n')).toEqual({ busyMs: 60, stolenMs: 0 });
  expect(parseProcStat('intr 12\n')).toBeUndefined();
});

test('they never run backwards', () => {
  const before = readMachineLoad();
  let sum = 0;
  for (let i = 0; i < 5; i++) sum += timeCalibrationKernel();
  expect(sum).toBeGreaterThan(0);
  const after = readMachineLoad();
  expect(after === undefined).toBe(before === undefined);
  if (before !== undefined) expect(after!.busyMs).toBeGreaterThanOrEqual(before.busyMs);
});

const host = new SessionHost({ timeoutMs: 30_000 });
afterAll(() => host.close());
const model = new URL('../fixtures/runtime/conv-bn-relu.onnx', import.meta.url).pathname;

test('a timed block tells processor time, the kernel and the machine; a rest what idleness costs', async () => {
  const session = await host.open(model, { threads: 1 });
  const [input] = session.inputs;
  const dims = input!.shape!.map((dim) => (typeof dim === 'number' ? dim : 1));
  const size = dims.reduce((product, dim) => product * dim, 1);
  await session.prepare(new Map([[input!.name, float32Tensor(dims, new Float32Array(size))]]));
  const loop = { leastRounds: 30, mostRounds: 30, maxMs: 0, order: 'fixed', seed: 0 } as const;
  const plain = await host.timeBlock([session], loop);
  expect([plain.kernelMs, plain.machine]).toEqual([null, null]);
  const block = await host.timeBlock([session], { ...loop, calibrate: true });
  const [times] = block.times;
  expect(times!.length).toBe(30);
  expect(block.wallMs).toBeGreaterThanOrEqual(times!.reduce((sum, ms) => sum + ms, 0) * 0.999);
  expect(block.cpuMs).toBeGreaterThan(0);
  expect(block.kernelMs).toBeGreaterThan(0);
  if (process.platform === 'linux') expect(block.machine!.processors).toBeGreaterThan(0);
  const nothing = await host.timeBlock([session], {
    ...loop,
    leastRounds: 0,
    mostRounds: 0,
    calibrate: true,
  });
  expect(nothing.times[0]!.length).toBe(0);
  const rest = await host.rest(session, 50);
  expect(rest.idleWallMs).toBeGreaterThanOrEqual(45);
  expect(rest.idleCpuMs).toBeGreaterThanOrEqual(0);
  expect(rest.peakMb).toBeGreaterThanOrEqual(rest.steadyMb * 0.9);
  expect(rest.steadyMb).toBeGreaterThan(10);
  expect(rest.baseMb).toBeGreaterThan(10);
  expect(rest.feedMs).toBeGreaterThan(0);
});
