/**
 * The roofline model (Williams, Waterman & Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
 * Architectures", Communications of the ACM 52(4), 2009): a kernel that computes F operations on B bytes takes at least
 *
 *   max(F / peak, B / bandwidth),   so it reaches at most   min(peak, F/B · bandwidth).
 *
 * The bandwidth is that of a kernel that moves as many bytes: small ones stay in the caches but cost their start, large
 * ones wait for the memory. Between measured sizes the *time* is interpolated, on logarithmic axes.
 */
export interface BandwidthPoint {
  /** Read and written in one call. */
  readonly bytes: number;
  readonly gbPerS: number;
}

/** What a machine reached with this many threads. */
export interface MachinePeaks {
  /** Operations (two a multiply–accumulate) of a large matrix product of floats, GFLOP/s. */
  readonly gflops: number;
  /** The same of 8-bit integers; null when not measured. */
  readonly int8Gops: number | null;
  /** By bytes, ascending; at least one. */
  readonly bandwidth: readonly BandwidthPoint[];
}

export interface Roof {
  /** Least time for this work, in ms; 0 for none. */
  readonly ms: number;
  readonly boundBy: 'compute' | 'memory';
}

/** Time that moving so many bytes takes, in ms. */
export const moveMs = (bytes: number, bandwidth: readonly BandwidthPoint[]): number => {
  if (bytes <= 0) return 0;
  const times = bandwidth.map((point) => point.bytes / (point.gbPerS * 1e6));
  const above = bandwidth.findIndex((point) => point.bytes >= bytes);
  // Fewer bytes than measured take as long: what is left is the start of a kernel.
  if (above === 0) return times[0]!;
  const last = bandwidth.length - 1;
  if (above < 0) return (times[last]! * bytes) / bandwidth[last]!.bytes;
  const [low, high] = [bandwidth[above - 1]!, bandwidth[above]!];
  const share = Math.log(bytes / low.bytes) / Math.log(high.bytes / low.bytes);
  return times[above - 1]! * (times[above]! / times[above - 1]!) ** share;
};

export const peakOf = (peaks: MachinePeaks, arithmetic: 'float' | 'int8'): number =>
  arithmetic === 'int8' ? (peaks.int8Gops ?? peaks.gflops) : peaks.gflops;

/** What one call takes at least. Only multiply–accumulates count as computing: other operators are bound by memory. */
export const roofOf = (
  work: { readonly macs: number | null; readonly bytes: number; readonly arithmetic: 'float' | 'int8' },
  peaks: MachinePeaks,
): Roof => {
  const computeMs = (2 * (work.macs ?? 0)) / (peakOf(peaks, work.arithmetic) * 1e6);
  const memoryMs = moveMs(work.bytes, peaks.bandwidth);
  return computeMs > memoryMs ? { ms: computeMs, boundBy: 'compute' } : { ms: memoryMs, boundBy: 'memory' };
};

/** GFLOP/s that this intensity (operations a byte) reaches at most, at a bandwidth in GB/s. */
export const attainable = (intensity: number, peak: number, bandwidth: number): number =>
  Math.min(peak, intensity * bandwidth);
