/** Who used the processors between two looks at the counters of the system: the doctor's own processes, or others. */
import type { Machine } from './machine.ts';

/** The counters at one moment. */
export interface Account {
  readonly at: number;
  /** Of all processors together; undefined where nobody counts. */
  readonly busyMs: number | undefined;
  readonly ownMs: number;
  /** Of the processes that run models; undefined where nobody counts. */
  readonly models:
    | { readonly ranMs: number; readonly waitMs: number; readonly swappedMb: number }
    | undefined;
}

/** What was seen between two moments. */
export interface Watch {
  readonly wallMs: number;
  /** Share of all processors that processes other than the doctor's own took, 0 to 1; undefined where nobody counts. */
  readonly othersShare: number | undefined;
  /** (ran + waited for a processor) / ran, over the threads that run the model. */
  readonly waiting: number | undefined;
  readonly swappedMb: number;
}

const modelsOf = (machine: Machine, pids: readonly (number | undefined)[]): Account['models'] => {
  let sum = { ranMs: 0, waitMs: 0, swappedMb: 0 };
  for (const pid of pids) {
    const counters = pid === undefined ? undefined : machine.process(pid);
    if (counters === undefined) return undefined;
    const { cpuMs, waitMs, swappedMb } = counters;
    sum = {
      ranMs: sum.ranMs + cpuMs,
      waitMs: sum.waitMs + waitMs,
      swappedMb: Math.max(sum.swappedMb, swappedMb),
    };
  }
  return sum;
};

/** @param pids of the processes that run models. */
export const takeAccount = (machine: Machine, pids: readonly (number | undefined)[]): Account => ({
  at: machine.now(),
  busyMs: machine.busyMs(),
  ownMs: machine.ownMs(),
  models: modelsOf(machine, pids),
});

export const watchBetween = (machine: Machine, before: Account, after: Account): Watch => {
  const wallMs = after.at - before.at;
  if (before.models === undefined || after.models === undefined) {
    return { wallMs, othersShare: undefined, waiting: undefined, swappedMb: 0 };
  }
  const ran = after.models.ranMs - before.models.ranMs;
  const waited = after.models.waitMs - before.models.waitMs;
  const others =
    before.busyMs === undefined || after.busyMs === undefined
      ? undefined
      : after.busyMs - before.busyMs - (after.ownMs - before.ownMs) - ran;
  return {
    wallMs,
    othersShare: others === undefined ? undefined : Math.max(0, others) / (wallMs * machine.processors),
    waiting: ran > 0 ? (ran + waited) / ran : undefined,
    swappedMb: after.models.swappedMb,
  };
};

/** The share of all processors that others took over these watches; undefined where nobody counts. */
export const shareOfOthers = (watches: readonly Watch[]): number | undefined => {
  let wall = 0;
  let taken = 0;
  for (const { wallMs, othersShare } of watches) {
    if (othersShare === undefined) continue;
    wall += wallMs;
    taken += wallMs * othersShare;
  }
  return wall > 0 ? taken / wall : undefined;
};
