/**
 * Which samples were taken while the machine was disturbed?
 *
 * Runs come in blocks; before each block, and after the last, a calibration kernel of fixed work is timed, and over
 * each the processors of the machine are counted. A block is disturbed when
 * - the kernel beside it took longer than m + max(5·1.4826·MAD, m / 5), with m and MAD over all kernels of the
 *   measurement (1.4826·MAD estimates the standard deviation of normal noise: Rousseeuw & Croux, "Alternatives to the
 *   median absolute deviation", JASA 88, 1993), or
 * - other processes used more than a quarter of all processors, or the host of a virtual machine took away more than a
 *   tenth, over at least 200 ms around it (processors are counted in hundredths of a second: less says nothing).
 */
import type { LoopFacts } from '../runtime/protocol.ts';
import { median, medianAbsoluteDeviation } from './statistics.ts';

const DEVIATIONS = 5;
const NORMAL = 1.4826;
const LEAST_EXCESS = 0.2;
const OTHERS_BOUND = 0.25;
const STOLEN_BOUND = 0.1;
const WINDOW_MS = 200;
/** Fewer kernels have no robust bound. */
const LEAST_KERNELS = 5;

export type BlockFacts = Pick<LoopFacts, 'wallMs' | 'cpuMs' | 'kernelMs' | 'machine'>;

/** Longest time of the kernel that is not slow. */
export const kernelBound = (kernels: readonly number[]): number => {
  if (kernels.length < LEAST_KERNELS) return Number.POSITIVE_INFINITY;
  const middle = median(kernels);
  const spread = NORMAL * medianAbsoluteDeviation(kernels);
  return middle + Math.max(DEVIATIONS * spread, LEAST_EXCESS * middle);
};

/** Blocks around `at` that last long enough together for counting processors, as [first, past the last]. */
const windowAround = (blocks: readonly BlockFacts[], at: number): [number, number] => {
  let [first, end, ms] = [at, at + 1, blocks[at]!.wallMs];
  while (ms < WINDOW_MS && (first > 0 || end < blocks.length)) {
    if (first > 0) ms += blocks[--first]!.wallMs;
    if (end < blocks.length) ms += blocks[end++]!.wallMs;
  }
  return [first, end];
};

const isCrowded = (blocks: readonly BlockFacts[], at: number): boolean => {
  let [capacity, others, stolen] = [0, 0, 0];
  const [first, end] = windowAround(blocks, at);
  for (const { wallMs, cpuMs, machine } of blocks.slice(first, end)) {
    if (machine === null) return false;
    capacity += wallMs * machine.processors;
    others += machine.busyMs - cpuMs;
    stolen += machine.stolenMs;
  }
  return others > OTHERS_BOUND * capacity || stolen > STOLEN_BOUND * capacity;
};

/**
 * @param lastKernelMs time of the kernel after the last block; null when it was not measured.
 * @returns for each block, whether it was disturbed.
 */
export const markDisturbed = (blocks: readonly BlockFacts[], lastKernelMs: number | null): boolean[] => {
  const kernels = [...blocks.map(({ kernelMs }) => kernelMs), lastKernelMs];
  const bound = kernelBound(kernels.filter((ms) => ms !== null));
  return blocks.map((_, i) => {
    const isSlow = [kernels[i], kernels[i + 1]].some((ms) => typeof ms === 'number' && ms > bound);
    return isSlow || isCrowded(blocks, i);
  });
};
