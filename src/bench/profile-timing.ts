/**
 * The time of each node out of the runs of a profile: medians over the runs of what all its calls in a run took.
 *
 * Kernel times are whole microseconds: a node that takes less is known to within one. What a run takes beyond its
 * kernels is the executor's: planning, allocation, outputs copied for JavaScript.
 */
import type { KernelTensor, ProfiledRun } from './profile-events.ts';
import { median, quantile } from './statistics.ts';

export interface NodeTiming {
  readonly name: string;
  readonly op: string;
  readonly provider: string;
  readonly index: number;
  /** How many subgraphs it lies in. */
  readonly depth: number;
  /** Calls in a run. */
  readonly calls: number;
  /** All calls of a run, without the kernels of its subgraphs; ms. */
  readonly ms: number;
  /** The same in the run in which it took least: what the kernel can do, undisturbed. */
  readonly leastMs: number;
  /** Quartiles over the runs: half of the runs lie between. */
  readonly quartilesMs: readonly [low: number, high: number];
  /** Of the last call: shapes and bytes may differ between calls in a loop. */
  readonly inputs: readonly KernelTensor[];
  readonly outputs: readonly KernelTensor[];
  readonly activationBytes: number;
  readonly parameterBytes: number;
  readonly outputBytes: number;
}

export interface RunTiming {
  readonly runs: number;
  /** Median time of a run, in ms. */
  readonly runMs: number;
  /** Median over the runs of the sum of all kernels, in ms. */
  readonly kernelMs: number;
  /** Median over the runs of what is left beside the kernels: the executor, copies for JavaScript; ms. */
  readonly overheadMs: number;
  /** In the order of the first run. */
  readonly nodes: readonly NodeTiming[];
}

const US = 1e-3;

interface Track {
  readonly perRun: Float64Array;
  readonly calls: Float64Array;
  last: ProfiledRun['kernels'][number];
}

/** @param runs at least one. */
export const timeNodes = (runs: readonly ProfiledRun[]): RunTiming => {
  const tracks = new Map<string, Track>();
  const sums = new Float64Array(runs.length);
  runs.forEach(({ kernels }, run) => {
    for (const kernel of kernels) {
      const key = `${kernel.depth} ${kernel.index} ${kernel.op} ${kernel.name}`;
      let track = tracks.get(key);
      if (track === undefined) {
        track = { perRun: new Float64Array(runs.length), calls: new Float64Array(runs.length), last: kernel };
        tracks.set(key, track);
      }
      track.perRun[run]! += kernel.selfUs;
      track.calls[run]!++;
      track.last = kernel;
      sums[run]! += kernel.selfUs;
    }
  });
  const nodes = [...tracks.values()].map(({ perRun, calls, last }): NodeTiming => {
    const { name, op, provider, index, depth, inputs, outputs } = last;
    const { activationBytes, parameterBytes, outputBytes } = last;
    return {
      name,
      op,
      provider,
      index,
      depth,
      calls: median(calls),
      ms: median(perRun) * US,
      leastMs: perRun.reduce((least, us) => Math.min(least, us), Number.POSITIVE_INFINITY) * US,
      quartilesMs: [quantile(perRun, 0.25) * US, quantile(perRun, 0.75) * US],
      inputs,
      outputs,
      activationBytes,
      parameterBytes,
      outputBytes,
    };
  });
  return {
    runs: runs.length,
    runMs: median(runs.map(({ us }) => us)) * US,
    kernelMs: median(sums) * US,
    overheadMs: median(runs.map(({ us }, run) => us - sums[run]!)) * US,
    nodes,
  };
};
