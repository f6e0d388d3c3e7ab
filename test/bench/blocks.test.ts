import { expect, test } from 'vitest';
import { type BlockTimer, readBlocks, sampleBlocks } from '../../src/bench/blocks.ts';
import { type BlockFacts, kernelBound, markDisturbed } from '../../src/bench/disturbance.ts';
import { trendOf } from '../../src/bench/drift.ts';
import { OrthoError } from '../../src/core/errors.ts';
import { createRng } from '../../src/core/rng.ts';
import type { HostedSession, TimedBlock } from '../../src/runtime/isolated.ts';

const block = (kernelMs: number, others = 0, stolen = 0, wallMs = 100): BlockFacts => ({
  wallMs,
  cpuMs: 150,
  kernelMs,
  machine: { processors: 4, busyMs: 150 + others, stolenMs: stolen },
});

test('the bound on the kernel is robust: one slow kernel does not move it', () => {
  expect(kernelBound([1, 1, 1, 1, 50])).toBeCloseTo(1.2);
  expect(kernelBound([1, 1.1, 0.9, 1.05, 0.95])).toBeCloseTo(1 + 5 * 1.4826 * 0.05);
  expect(kernelBound([1, 50, 1, 50])).toBe(Number.POSITIVE_INFINITY);
});

test('a slow kernel marks the blocks on both of its sides, the last one included', () => {
  const quiet = Array.from({ length: 8 }, () => block(1));
  expect(markDisturbed(quiet, 1)).toEqual(quiet.map(() => false));
  const slow = quiet.with(3, block(1.5));
  expect(markDisturbed(slow, 1)).toEqual([0, 0, 1, 1, 0, 0, 0, 0].map(Boolean));
  expect(markDisturbed(quiet, 2).indexOf(true)).toBe(7);
  expect(markDisturbed(quiet, null).includes(true)).toBe(false);
});

test('other processes and stolen time mark blocks, over at least 200 ms', () => {
  // A block of 100 ms has 400 ms of 4 processors; with its neighbours 1200 ms.
  const quiet = Array.from({ length: 9 }, () => block(1));
  const crowded = markDisturbed(quiet.with(4, block(1, 350)), 1);
  expect(crowded).toEqual([0, 0, 0, 1, 1, 1, 0, 0, 0].map(Boolean));
  expect(markDisturbed(quiet.with(4, block(1, 290)), 1).includes(true)).toBe(false);
  expect(markDisturbed(quiet.with(4, block(1, 0, 130)), 1)[4]).toBe(true);
  const long = Array.from({ length: 5 }, () => block(1, 0, 0, 300));
  expect(markDisturbed(long.with(2, block(1, 310, 0, 300)), 1)).toEqual([0, 0, 1, 0, 0].map(Boolean));
  const uncounted = quiet.map((one) => ({ ...one, machine: null }));
  expect(markDisturbed(uncounted, 1).includes(true)).toBe(false);
});

test('the slope of Theil and Sen stands outliers, and chance is no trend', () => {
  const line = Array.from({ length: 20 }, (_, i) => ({ at: i * 100, value: 10 + i * 0.1 }));
  const { share, isTrend } = trendOf(line.with(3, { at: 300, value: 900 }));
  expect(share).toBeCloseTo(1.9 / 10.95, 1);
  expect(isTrend).toBe(true);
  expect(trendOf(line.slice(0, 7)).isTrend).toBe(false);
  expect(trendOf([])).toEqual({ share: 0, isTrend: false });
  expect(trendOf(line.map(({ at }) => ({ at, value: 10 })))).toEqual({ share: 0, isTrend: false });
  // At 1 % a trend is seen in noise about once in a hundred times.
  const rng = createRng(1);
  let seen = 0;
  for (let trial = 0; trial < 1000; trial++) {
    const noise = Array.from({ length: 20 }, (_, at) => ({ at, value: 10 + rng.normal() }));
    if (trendOf(noise).isTrend) seen++;
  }
  expect(seen).toBeGreaterThan(2);
  expect(seen).toBeLessThan(25);
});

/** A timer whose blocks are listed: time of a run, time of the kernel, and busy time of others. */
const timerOf = (
  script: (block: number) => { runMs: number; kernelMs?: number; others?: number } | OrthoError,
): { timer: BlockTimer; clock: { now: number } } => {
  const clock = { now: 0 };
  let at = 0;
  const timer: BlockTimer = {
    timeBlock: async (sessions, loop): Promise<TimedBlock> => {
      const now = script(at++);
      if (now instanceof OrthoError) throw now;
      const { runMs, kernelMs = 1, others = 0 } = now;
      const began = clock.now;
      const series = sessions.map(() => [] as number[]);
      for (let round = 0; round < loop.mostRounds; round++) {
        if (round >= loop.leastRounds && clock.now - began >= loop.maxMs) break;
        for (const samples of series) {
          samples.push(runMs);
          clock.now += runMs;
        }
      }
      const wallMs = clock.now - began;
      const machine = { processors: 2, busyMs: wallMs + others * wallMs, stolenMs: 0 };
      return { times: series.map((one) => Float64Array.from(one)), wallMs, cpuMs: wallMs, kernelMs, machine };
    },
  };
  return { timer, clock };
};

const session = {} as HostedSession;
const sampleWith = async (script: Parameters<typeof timerOf>[0], maxMs: number) => {
  const { timer, clock } = timerOf(script);
  return sampleBlocks(timer, [session], { maxMs, now: () => clock.now });
};

test('disturbed samples are marked, and left out where enough are left', async () => {
  const quiet = await sampleWith(
    (at) => ({ runMs: at >= 3 && at < 6 ? 30 : 10, kernelMs: at === 4 ? 3 : 1 }),
    2000,
  );
  const [read] = readBlocks(quiet);
  expect(read!.disturbed.isLeftOut).toBe(true);
  expect(read!.disturbed.samples).toBe(read!.marks.reduce((sum, mark) => sum + mark, 0));
  expect(read!.disturbed.share).toBeCloseTo(read!.disturbed.samples / read!.samples.length);
  // Blocks 3 and 4 lie beside the slow kernel, block 5 does not.
  expect(read!.summaryAll.n).toBe(read!.samples.length);
  expect(read!.summary.n).toBe(read!.samples.length - read!.disturbed.samples);
  expect(read!.summary.max).toBe(30);
  expect(read!.summary.mean).toBeLessThan(read!.summaryAll.mean);
});

test('when everything is disturbed all samples count, and it is said', async () => {
  const [read] = readBlocks(await sampleWith(() => ({ runMs: 10, others: 1 }), 1000));
  expect(read!.disturbed).toEqual({ samples: read!.samples.length, share: 1, isLeftOut: false });
  expect(read!.summary).toEqual(read!.summaryAll);
});

test('drift of the runs, and whether the machine shows it too', async () => {
  const [own] = readBlocks(await sampleWith((at) => ({ runMs: 10 + at * 0.2 }), 2000));
  expect(own!.drift.isTrend).toBe(true);
  expect(own!.drift.share).toBeGreaterThan(0.2);
  expect(own!.drift.calibrationShare).toBe(0);
  const slowing = (at: number) => ({ runMs: 10 + at * 0.1, kernelMs: 1 + at * 0.01 });
  const [machine] = readBlocks(await sampleWith(slowing, 2000));
  expect(machine!.drift.calibrationShare).toBeCloseTo(machine!.drift.share, 1);
  const [steady] = readBlocks(await sampleWith((at) => ({ runMs: 10 + (at % 3) * 0.1 }), 2000));
  expect(steady!.drift.isTrend).toBe(false);
});

test('outliers lie beyond the outer fence', async () => {
  const [read] = readBlocks(await sampleWith((at) => ({ runMs: at === 5 ? 400 : 10 + (at % 4) }), 2000));
  expect(read!.outliers.samples).toBe(1);
});

test('an interruption keeps the samples there are, once there are enough', async () => {
  const stop = new OrthoError('internal/interrupted', 'interrupted');
  const kept = await sampleWith((at) => (at === 2 ? stop : { runMs: 10 }), 2000);
  expect(kept.lastKernelMs).toBeNull();
  expect(readBlocks(kept)[0]!.samples.length).toBe(20);
  await expect(sampleWith((at) => (at === 1 ? stop : { runMs: 300 }), 2000)).rejects.toBe(stop);
  const crash = new OrthoError('runtime/crashed', 'gone');
  await expect(sampleWith((at) => (at === 2 ? crash : { runMs: 10 }), 2000)).rejects.toBe(crash);
});

test('a fast model ends with the most rounds, a slow one with the fewest', async () => {
  expect(readBlocks(await sampleWith(() => ({ runMs: 0.01 }), 60_000))[0]!.samples.length).toBe(2000);
  expect(readBlocks(await sampleWith(() => ({ runMs: 5000 }), 100))[0]!.samples.length).toBe(5);
});
