/** The timing half of the model process: loops that time runs, and what a session costs while nothing runs. */
import { cpus } from 'node:os';
import { createRng } from '../core/rng.ts';
import { timeCalibrationKernel } from './calibration.ts';
import { readMachineLoad } from './machine-load.ts';
import type { Answers, LoopOrder, RestFacts } from './protocol.ts';

export type RunOnce = () => Promise<unknown>;

const processors = cpus().length;

const MEBIBYTE = 2 ** 20;

/** Processor time of this process with all its threads, in ms. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Runs every lane once a round until the rounds or the time are used up. */
export const timeLoop = async (
  runs: readonly RunOnce[],
  order: LoopOrder,
): Promise<{ facts: Answers['time']; samples: Float64Array[] }> => {
  const { leastRounds, mostRounds, maxMs, order: visitOrder, seed, calibrate = false } = order;
  const lanes = runs.map((runOnce) => ({ runOnce, samples: [] as number[] }));
  const visits = [...lanes];
  const rng = createRng(seed);
  const kernelMs = calibrate ? timeCalibrationKernel() : null;
  const loadBefore = calibrate ? readMachineLoad() : undefined;
  const cpuBefore = cpuMs();
  const started = performance.now();
  for (let round = 0; round < mostRounds; round++) {
    if (round >= leastRounds && performance.now() - started >= maxMs) break;
    if (visitOrder === 'shuffled') {
      for (let i = visits.length - 1; i > 0; i--) {
        const j = rng.integer(i + 1);
        [visits[i], visits[j]] = [visits[j]!, visits[i]!];
      }
    }
    for (const { runOnce, samples } of visits) {
      const before = performance.now();
      await runOnce();
      samples.push(performance.now() - before);
    }
  }
  const wallMs = performance.now() - started;
  const ownMs = cpuMs() - cpuBefore;
  const loadAfter = loadBefore === undefined ? undefined : readMachineLoad();
  const machine =
    loadBefore === undefined || loadAfter === undefined
      ? null
      : {
          processors,
          busyMs: loadAfter.busyMs - loadBefore.busyMs,
          stolenMs: loadAfter.stolenMs - loadBefore.stolenMs,
        };
  return {
    facts: { wallMs, cpuMs: ownMs, kernelMs, machine },
    samples: lanes.map(({ samples }) => Float64Array.from(samples)),
  };
};

const FEEDINGS = 9;

/**
 * Runs once and then lets the main thread sleep: what the process burns meanwhile, its other threads do. Also times
 * how long the feeds take to become inputs of the runtime.
 */
export const restAfterRun = async (
  runOnce: RunOnce,
  feed: () => unknown,
  ms: number,
): Promise<Omit<RestFacts, 'baseMb'>> => {
  const feedings: number[] = [];
  for (let i = 0; i < FEEDINGS; i++) {
    const before = performance.now();
    feed();
    feedings.push(performance.now() - before);
  }
  feedings.sort((a, b) => a - b);
  await runOnce();
  const steadyMb = process.memoryUsage.rss() / MEBIBYTE;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const cpuBefore = cpuMs();
  const started = performance.now();
  Atomics.wait(cell, 0, 0, ms);
  const idleWallMs = performance.now() - started;
  return {
    idleCpuMs: cpuMs() - cpuBefore,
    idleWallMs,
    steadyMb,
    // In KiB on every system.
    peakMb: process.resourceUsage().maxRSS / 1024,
    feedMs: feedings[FEEDINGS >> 1]!,
  };
};
