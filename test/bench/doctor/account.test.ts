import { expect, test } from 'vitest';
import { shareOfOthers, takeAccount, watchBetween } from '../../../src/bench/doctor/account.ts';
import type { Machine, ProcessCounters } from '../../../src/bench/doctor/machine.ts';
import { World } from './world.ts';

/** A machine of two processors that shows these counters. */
const machineAt = (
  at: number,
  counters: {
    busyMs?: number | undefined;
    ownMs?: number;
    processes?: Record<number, Partial<ProcessCounters>>;
  },
): Machine => ({
  ...new World().machine,
  now: () => at,
  busyMs: () => counters.busyMs,
  ownMs: () => counters.ownMs ?? 0,
  process: (pid) => {
    const found = counters.processes?.[pid];
    return found && { cpuMs: 0, waitMs: 0, majorFaults: 0, swappedMb: 0, ...found };
  },
});

test('what is busy and neither the doctor nor its models is others', () => {
  const before = machineAt(1000, {
    busyMs: 500,
    ownMs: 20,
    processes: { 1: { cpuMs: 100 }, 2: { cpuMs: 50, waitMs: 10 } },
  });
  const after = machineAt(1100, {
    busyMs: 660,
    ownMs: 30,
    processes: { 1: { cpuMs: 160 }, 2: { cpuMs: 90, waitMs: 35, swappedMb: 3 } },
  });
  const watch = watchBetween(after, takeAccount(before, [1, 2]), takeAccount(after, [1, 2]));
  // 160 ms of 200 were busy, 10 for the doctor and 100 for the models, which waited for 25.
  expect(watch).toEqual({ wallMs: 100, othersShare: 0.25, waiting: 1.25, swappedMb: 3 });
});

test('nothing is claimed where nobody counts', () => {
  const blind = takeAccount(machineAt(0, { busyMs: 10 }), [1]);
  expect(blind.models).toBeUndefined();
  expect(watchBetween(machineAt(50, {}), blind, takeAccount(machineAt(50, {}), [1]))).toMatchObject({
    wallMs: 50,
    othersShare: undefined,
    waiting: undefined,
  });
  expect(takeAccount(machineAt(0, {}), [undefined]).models).toBeUndefined();
});

test('the share of others is weighted by time', () => {
  const watch = { waiting: undefined, swappedMb: 0 };
  expect(
    shareOfOthers([
      { ...watch, wallMs: 100, othersShare: 0.5 },
      { ...watch, wallMs: 300, othersShare: 0.1 },
      { ...watch, wallMs: 900, othersShare: undefined },
    ]),
  ).toBeCloseTo(0.2, 12);
  expect(shareOfOthers([])).toBeUndefined();
});
