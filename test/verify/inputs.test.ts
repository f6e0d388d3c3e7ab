import { describe, expect, test } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { type Tensor, tensorArray, tensorBytes, toBigInts } from '../../src/core/tensor.ts';
import { fillShape, type InputSpec, randomFeeds } from '../../src/verify/inputs.ts';
import { findFeeds } from '../../src/verify/trial.ts';

const image: InputSpec = { name: 'x', dtype: 'float32', shape: ['batch', 3, 'h', 'w'] };
const ids: InputSpec = { name: 'ids', dtype: 'int64', shape: ['batch', 'length'] };

describe('fillShape', () => {
  test('batch by name or place, one size for a symbol', () => {
    const symbols = new Map<string, number>();
    const fill = { batch: 2, other: 7, batchAxis: 0 };
    expect(fillShape(image, fill, symbols)).toEqual([2, 3, 7, 7]);
    expect(fillShape({ ...ids, shape: ['h', 'batch'] }, fill, symbols)).toEqual([7, 2]);
    expect(fillShape({ ...ids, shape: [null, null] }, fill, symbols)).toEqual([2, 7]);
    expect(fillShape({ ...ids, shape: [1, null] }, fill, symbols)).toEqual([1, 7]);
    expect(fillShape({ ...ids, shape: [2, null, 128] }, { ...fill, batchAxis: 1 }, symbols)).toEqual([
      2, 2, 128,
    ]);
    expect(fillShape({ ...ids, shape: undefined }, fill, symbols)).toEqual([]);
  });
});

describe('randomFeeds', () => {
  test('the same seed gives the same bytes, whatever other inputs there are', () => {
    const shapes = new Map([['x', [1, 3, 4, 4]]]);
    const alone = randomFeeds([image], { seed: 5, shapes });
    const both = randomFeeds([ids, image], { seed: 5, shapes });
    expect(tensorBytes(alone.get('x')!)).toEqual(tensorBytes(both.get('x')!));
    expect(tensorBytes(randomFeeds([image], { seed: 6, shapes }).get('x')!)).not.toEqual(
      tensorBytes(alone.get('x')!),
    );
  });

  test('a given shape sets its symbols in other inputs', () => {
    const feeds = randomFeeds([ids, image], { seed: 0, shapes: new Map([['x', [5, 3, 2, 2]]]) });
    expect(feeds.get('ids')!.dims).toEqual([5, 16]);
  });

  test('values stay in their ranges', () => {
    const make = (dtype: 'int64' | 'uint8' | 'bool'): Tensor =>
      randomFeeds([{ name: 'v', dtype, shape: [200] }], { seed: 1 }).get('v')!;
    expect([...new Set(toBigInts(make('int64')))].toSorted()).toEqual([0n, 1n, 2n, 3n]);
    expect(Math.max(...toBigInts(make('uint8')).map(Number))).toBeGreaterThan(200);
    expect(new Set(toBigInts(make('bool')))).toEqual(new Set([0n, 1n]));
    const normal = randomFeeds([{ name: 'v', dtype: 'float32', shape: [10_000] }], { seed: 1 }).get('v')!;
    const values = [...(tensorArray(normal) as Float32Array)];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.05);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });

  test.each([
    ['no such input', new Map([['y', [1]]])],
    ['another rank', new Map([['x', [1, 3]]])],
    ['a fixed dimension', new Map([['x', [1, 4, 8, 8]]])],
  ])('refuses a shape: %s', (_, shapes) => {
    expect(() => randomFeeds([image], { seed: 0, shapes })).toThrow(
      expect.objectContaining({ code: 'usage/input-shape' }),
    );
  });

  test('refuses what it cannot make up', () => {
    const make = (spec: InputSpec) => () => randomFeeds([spec], { seed: 0 });
    expect(make({ name: 's', dtype: undefined, shape: undefined })).toThrow(/not a tensor/);
    expect(make({ name: 's', dtype: 'complex64', shape: [1] })).toThrow(/complex64/);
    expect(make({ name: 's', dtype: 'float32', shape: [1e6, 1e6] })).toThrow(/too large/);
  });
});

describe('findFeeds', () => {
  const answer = async () => new Map<string, Tensor>();

  test('two different shapes that the model accepts', async () => {
    const run = async (feeds: ReadonlyMap<string, Tensor>) => {
      const [, , h = 0] = feeds.get('x')!.dims;
      if (h % 32 !== 0 || h < 64) throw new OrthoError('runtime/failed', 'not a multiple of 32');
      return answer();
    };
    const { trials } = await findFeeds([image], run, { seed: 0 });
    expect(trials.map(({ feeds }) => feeds.get('x')!.dims)).toEqual([
      [1, 3, 64, 64],
      [2, 3, 96, 96],
    ]);
  });

  test('two seeds for fixed shapes', async () => {
    const { trials } = await findFeeds([{ ...image, shape: [1, 2] }], answer, { seed: 0 });
    expect(trials.map(({ name }) => name)).toEqual(['x[1,2] #1', 'x[1,2] #2']);
    expect(tensorBytes(trials[0]!.feeds.get('x')!)).not.toEqual(tensorBytes(trials[1]!.feeds.get('x')!));
  });

  test('every branch that an integer switches, and none of them', async () => {
    const rate: InputSpec = { name: 'rate', dtype: 'int64', shape: [] };
    const { trials } = await findFeeds([rate], answer, { seed: 0, integers: new Map([['rate', [8n, 16n]]]) });
    const values = trials.map(({ feeds }) => toBigInts(feeds.get('rate')!)[0]);
    expect(values).toEqual([8n, 8n, 16n, 16n, 17n, 17n]);
  });

  test('nothing accepted: the reason; a crash ends the search', async () => {
    const refuse = async () => {
      throw new OrthoError('runtime/failed', 'never');
    };
    const { trials, refusal } = await findFeeds([image], refuse, { seed: 0 });
    expect(trials).toEqual([]);
    expect(refusal?.message).toBe('never');
    const crash = async () => {
      throw new OrthoError('runtime/crashed', 'SIGFPE');
    };
    await expect(findFeeds([image], crash, { seed: 0 })).rejects.toThrow('SIGFPE');
  });
});
