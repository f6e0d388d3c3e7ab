/** Workers at once and batches: on fake processes, and once on real ones. */
import { expect, test } from 'vitest';
import { batchAxes, batchFeeds, measureBatches } from '../../src/bench/batches.ts';
import type { MeasuringHost } from '../../src/bench/measure.ts';
import { measureLoad, threadsPerWorker } from '../../src/bench/throughput.ts';
import { OrthoError } from '../../src/core/errors.ts';
import { float32Tensor, type Tensor, tensorArray } from '../../src/core/tensor.ts';
import type { HostedSession } from '../../src/runtime/isolated.ts';
import { SessionHost } from '../../src/runtime/isolated.ts';
import type { SpecShape, TensorSpec } from '../../src/runtime/session.ts';

const spec = (name: string, shape: SpecShape): TensorSpec => ({
  name,
  isTensor: true,
  dtype: 'float32',
  shape,
});

const axesOf = (...shapes: SpecShape[]): unknown =>
  Object.fromEntries(batchAxes(shapes.map((shape, i) => spec(`x${i}`, shape))));

test('the batch is the open first dimension, and its symbol elsewhere', () => {
  expect(axesOf(['N', 3, 'H', 'W'])).toEqual({ x0: [0] });
  expect(axesOf(['batch', 'seq'], [2, 'batch', 8], ['other', 1])).toEqual({ x0: [0], x1: [1], x2: [0] });
  expect(axesOf([null, null], [2, null, 128], [])).toEqual({ x0: [0], x1: [1] });
  expect(axesOf([1, 3, 'H', 'W'])).toEqual({});
  expect(axesOf([1, null])).toEqual({});
  expect(axesOf([])).toEqual({});
});

test('items are repeated along the batch, or cut', () => {
  const feeds = new Map<string, Tensor>([
    ['x', float32Tensor([2, 2], [1, 2, 3, 4])],
    ['h', float32Tensor([2, 2, 1], [1, 2, 3, 4])],
    ['other', float32Tensor([], [7])],
  ]);
  const axes = new Map([
    ['x', [0]],
    ['h', [1]],
  ]);
  const three = batchFeeds(feeds, axes, 3);
  expect(three.get('x')!.dims).toEqual([3, 2]);
  expect([...tensorArray(three.get('x')!)]).toEqual([1, 2, 3, 4, 1, 2]);
  expect(three.get('h')!.dims).toEqual([2, 3, 1]);
  expect([...tensorArray(three.get('h')!)]).toEqual([1, 2, 1, 3, 4, 3]);
  expect(three.get('other')).toBe(feeds.get('other'));
  expect([...tensorArray(batchFeeds(feeds, axes, 1).get('x')!)]).toEqual([1, 2]);
  const text = (letter: string): Uint8Array => Buffer.from(letter);
  const strings = {
    ...float32Tensor([0], []),
    dtype: 'string' as const,
    dims: [2],
    strings: [text('a'), text('b')],
  };
  const repeated = batchFeeds(new Map([['s', strings]]), new Map([['s', [0]]]), 3).get('s')!;
  expect(repeated.strings!.map(String)).toEqual(['a', 'b', 'a']);
});

/** Processes of which a run takes `msOf(feeds)`; what they do at once costs no more. */
class Processes {
  started = 0;
  closed = 0;
  now = 0;
  readonly options: unknown[] = [];
  readonly #shape: SpecShape;
  readonly #msOf: (batch: number) => number;

  constructor(shape: SpecShape, msOf: (batch: number) => number) {
    this.#shape = shape;
    this.#msOf = msOf;
  }

  readonly start = (): MeasuringHost => {
    this.started++;
    let batch = 1;
    const loop: MeasuringHost['timeBlock'] = async (_sessions, { leastRounds, mostRounds, maxMs }) => {
      const ms = this.#msOf(batch);
      const rounds = Math.min(mostRounds, Math.max(leastRounds, Math.ceil(maxMs / ms)));
      this.now += (rounds * ms) / this.started;
      const times = [new Float64Array(rounds).fill(ms)];
      return { times, wallMs: rounds * ms, cpuMs: rounds * ms, kernelMs: 1, machine: null };
    };
    return {
      open: async (path, options) => {
        this.options.push(options);
        return {
          path,
          inputs: [spec('x', this.#shape)],
          prepare: async (feeds: ReadonlyMap<string, Tensor>) => {
            batch = feeds.get('x')!.dims[0]!;
          },
        } as unknown as HostedSession;
      },
      time: async (sessions, order) => (await loop(sessions, order)).times,
      timeBlock: loop,
      rest: async () => {
        throw new Error('not used here');
      },
      close: async () => {
        this.closed++;
      },
    };
  };
}

const target = { name: 'net', path: 'net.onnx', feeds: new Map([['x', float32Tensor([1, 2], [1, 2])]]) };

test('workers at once: their inferences add up', async () => {
  const processes = new Processes([1, 2], () => 4);
  const load = await measureLoad(processes.start, target, { threads: 1 }, 3, 500, {
    now: () => processes.now,
  });
  expect(load.workers).toBe(3);
  expect(load.perSecond).toBeCloseTo(750);
  expect([load.p50, load.p99]).toEqual([4, 4]);
  expect(load.n).toBeGreaterThan(150);
  expect([processes.started, processes.closed]).toEqual([3, 3]);
  expect(processes.options).toEqual([{ threads: 1 }, { threads: 1 }, { threads: 1 }]);
  expect([threadsPerWorker(2, 8), threadsPerWorker(3, 8), threadsPerWorker(8, 2)]).toEqual([4, 2, 1]);
});

test('batches: latency of the batch and of an item', async () => {
  const processes = new Processes(['N', 2], (batch) => 2 + batch);
  const { points, refused } = await measureBatches(processes.start, target, {}, [1, 2, 8], 900, {
    now: () => processes.now,
  });
  expect(points.map(({ batch, summary, msPerItem }) => [batch, summary.p50, msPerItem])).toEqual([
    [1, 3, 3],
    [2, 4, 2],
    [8, 10, 1.25],
  ]);
  expect(refused).toBeNull();
  expect([processes.started, processes.closed]).toEqual([1, 1]);
  expect(processes.now).toBeLessThan(1000);
});

test('a fixed batch is an error that says so; a size that fails keeps those before it', async () => {
  const fixed = new Processes([1, 2], () => 1);
  const error = await measureBatches(fixed.start, target, {}, [1, 2], 100).catch((caught) => caught);
  expect([error.code, error.message]).toEqual([
    'usage/input-shape',
    'net: its batch is fixed (input "x" is [1, 2])',
  ]);
  expect(error.hint).toContain('x:0=batch');
  expect(fixed.closed).toBe(1);
  const picky = new Processes(['N', 2], (batch) => {
    if (batch > 2) throw new OrthoError('runtime/failed', 'no more than two');
    return 1;
  });
  const sweep = await measureBatches(picky.start, target, {}, [1, 2, 4, 8], 100, { now: () => picky.now });
  expect(sweep.points.map(({ batch }) => batch)).toEqual([1, 2]);
  expect([sweep.refused?.batch, sweep.refused?.error.code]).toEqual([4, 'runtime/failed']);
  await expect(measureBatches(picky.start, target, {}, [4, 1], 100)).rejects.toThrow('no more than two');
});

test('real processes', async () => {
  const path = new URL('../fixtures/runtime/add.onnx', import.meta.url).pathname;
  const real = { name: 'add', path, feeds: new Map([['x', float32Tensor([1, 3], [1, 2, 3])]]) };
  const start = (): SessionHost => new SessionHost({ timeoutMs: 30_000 });
  const load = await measureLoad(start, real, { threads: 1 }, 2, 200);
  expect(load.perSecond).toBeGreaterThan(0);
  expect(load.n).toBeGreaterThanOrEqual(6);
  const { points } = await measureBatches(start, real, { threads: 1 }, [1, 64], 200);
  expect(points.map(({ batch }) => batch)).toEqual([1, 64]);
});
