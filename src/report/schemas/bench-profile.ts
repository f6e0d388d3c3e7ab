/** Parts of bench@1 that a profile adds: nodes, operators, the machine's peaks, and where a difference comes from. */
import * as z from 'zod';
import { count, type Frozen } from './common.ts';

const kernelTensor = z.object({ dtype: z.string().nullable(), shape: z.array(count) });

const profileNode = z.object({
  /** As the runtime calls it after its rewriting. */
  name: z.string(),
  op: z.string(),
  /** In one run. */
  calls: z.number(),
  /** All calls of a run, without what runs in subgraphs: the median over the runs. */
  ms: z.number(),
  /** The same in the run in which it took least. Rates and efficiency are those of this run, as the peaks are. */
  leastMs: z.number(),
  /** Half of the runs lie between. */
  quartilesMs: z.tuple([z.number(), z.number()]),
  /** Of the time of all nodes. */
  share: z.number(),
  inputs: z.array(kernelTensor),
  outputs: z.array(kernelTensor),
  /** In one call; null when not known. */
  macs: z.number().nullable(),
  /** Read and written in one call. */
  bytes: count,
  /** Reached: two operations a multiply–accumulate, one an element for operators without. */
  gflops: z.number().nullable(),
  gbPerS: z.number().nullable(),
  /** Least time of all calls on this machine; null for nodes that compute and move nothing. */
  roofMs: z.number().nullable(),
  boundBy: z.enum(['compute', 'memory']).nullable(),
  /** roofMs / leastMs. */
  efficiency: z.number().nullable(),
  /** Worth a look: much of the time, far below the roof. */
  isSlow: z.boolean(),
  /** Nodes of the model that it stands for; none for one that the runtime added, null when not known. */
  origins: z.array(z.string()).nullable(),
});

const profileOperator = z.object({
  op: z.string(),
  nodes: count,
  ms: z.number(),
  share: z.number(),
  macs: z.number().nullable(),
});

export const profile = z.object({
  runs: count,
  /** Medians under the profiler: the whole run, its kernels, and the rest. */
  runMs: z.number(),
  kernelMs: z.number(),
  overheadMs: z.number(),
  /** Most time first. */
  operators: z.array(profileOperator),
  /** Operators that only convert types or layouts, and how many of their nodes the runtime added. */
  conversions: z.object({ ms: z.number(), share: z.number(), nodes: count, added: count }),
  /** Most time first. */
  nodes: z.array(profileNode),
  /** Nodes that were not found in the model; records that could not be read. */
  notJoined: count,
  unreadable: count,
});

export const peaks = z.object({
  gflops: z.number(),
  int8Gops: z.number().nullable(),
  /** By the bytes that a kernel moves. */
  bandwidth: z.array(z.object({ bytes: count, gbPerS: z.number() })),
});

const attributedNode = z.object({
  /** Slower and faster only where half of the runs of one side lie beyond half of the other's. */
  change: z.enum(['slower', 'faster', 'added', 'removed', 'unclear']),
  op: z.string(),
  /** Names on both sides; null where there is none. */
  before: z.string().nullable(),
  after: z.string().nullable(),
  beforeMs: z.number(),
  afterMs: z.number(),
  differenceMs: z.number(),
});

export const attribution = z.object({
  baseline: z.string(),
  candidate: z.string(),
  beforeMs: z.number(),
  afterMs: z.number(),
  /** Largest differences first. */
  operators: z.array(
    z.object({ op: z.string(), beforeMs: z.number(), afterMs: z.number(), differenceMs: z.number() }),
  ),
  /** The largest; `rest` is the sum of the others. */
  nodes: z.array(attributedNode),
  restMs: z.number(),
});

export type ProfileData = Frozen<z.infer<typeof profile>>;
export type ProfileNodeData = Frozen<z.infer<typeof profileNode>>;
export type PeaksData = Frozen<z.infer<typeof peaks>>;
export type AttributionData = Frozen<z.infer<typeof attribution>>;
