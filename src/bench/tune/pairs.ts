/**
 * Two configurations side by side. They live in processes of their own and take turns in short blocks, in random order
 * within each pair of blocks, so that whatever else the machine does meets both. After a block of a session that spins there
 * is a pause: its idle threads would slow down the one that comes next.
 */
import type { Rng } from '../../core/rng.ts';
import type { Rig } from './rig.ts';

/** The clock of a search; tests have their own. */
export interface Clock {
  /** ms. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** Longer than the runtime's idle threads spin, in ms. */
const SETTLE_MS = 40;

/** Two blocks agree when they differ by at most this share. */
const STEADY = 0.05;

/** Costs of blocks in ms: entry i of both belongs together. */
export interface PairedBlocks {
  readonly baseline: readonly number[];
  readonly candidate: readonly number[];
}

export interface PairPlan {
  readonly pairs: number;
  /** Length of a block, in ms. */
  readonly blockMs: number;
  readonly rng: Rng;
  readonly clock: Clock;
  /** Told of each pair; true ends it there. */
  readonly isEnough?: (measured: PairedBlocks) => boolean;
}

/** @returns the costs of the blocks, at least one pair. */
export const measureBlockPairs = async (
  baseline: Rig,
  candidate: Rig,
  { pairs, blockMs, rng, clock, isEnough = () => false }: PairPlan,
): Promise<PairedBlocks> => {
  // Both may have run just now.
  let isRestless = baseline.isSpinning || candidate.isSpinning;
  const block = async (rig: Rig): Promise<number> => {
    if (isRestless) await clock.sleep(SETTLE_MS);
    isRestless = rig.isSpinning;
    return rig.block(blockMs);
  };
  const measured = { baseline: [] as number[], candidate: [] as number[] };
  do {
    if (rng.integer(2) === 0) {
      measured.baseline.push(await block(baseline));
      measured.candidate.push(await block(candidate));
    } else {
      measured.candidate.push(await block(candidate));
      measured.baseline.push(await block(baseline));
    }
  } while (measured.baseline.length < pairs && !isEnough(measured));
  return measured;
};

export interface WarmUpPlan {
  readonly blockMs: number;
  readonly mostBlocks: number;
  /** After this time no further block begins. */
  readonly mostMs: number;
  readonly clock: Clock;
}

/** Blocks that do not count, until two in a row agree. */
export const warmUpRig = async (
  rig: Rig,
  { blockMs, mostBlocks, mostMs, clock }: WarmUpPlan,
): Promise<void> => {
  const began = clock.now();
  let previous = await rig.block(blockMs);
  for (let i = 1; i < mostBlocks && clock.now() - began < mostMs; i++) {
    const current = await rig.block(blockMs);
    if (Math.abs(current - previous) <= STEADY * previous) return;
    previous = current;
  }
};
