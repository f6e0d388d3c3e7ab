/** Parts of bench@1 for models under load: what a latency is made of, workers at once, batches. Times in ms. */
import * as z from 'zod';
import { count, type Frozen } from './common.ts';

export const interval = z.tuple([z.number(), z.number()]);

export const latencySummary = z.object({
  n: count,
  min: z.number(),
  p50: z.number(),
  p90: z.number(),
  p95: z.number(),
  p99: z.number(),
  max: z.number(),
  mean: z.number(),
  /** Median absolute deviation. */
  mad: z.number(),
  /** 95 % interval of the median. */
  ci95: interval,
});

const sampleShare = z.object({ samples: count, share: z.number() });

/** What is known of the runs of a model beside their summary. */
export const runFacts = {
  /** Of all samples; `summary` leaves disturbed ones out where `disturbed.isLeftOut`. */
  summaryAll: latencySummary,
  /** Samples taken while the machine was disturbed. */
  disturbed: sampleShare.extend({ isLeftOut: z.boolean() }),
  /** Samples above the third quartile by more than three times the distance of the quartiles. */
  outliers: sampleShare,
  /** Change from the first run to the last, as shares: of the run time, and of a fixed piece of work beside it. */
  drift: z.object({ share: z.number(), calibrationShare: z.number(), isTrend: z.boolean() }),
  /** Processor time of a run, over all threads. */
  cpuMsPerRun: z.number(),
  /** Time in which the feeds become inputs of the runtime; in no other time. Null when interrupted. */
  feedMs: z.number().nullable(),
  /** Processors that stay busy in the 100 ms after a run. Null when interrupted. */
  idleCpuShare: z.number().nullable(),
  /** Resident memory of a process with this model alone, in MB (2^20 bytes). Null when interrupted. */
  memory: z
    .object({
      /** Before the model was loaded. */
      baseMb: z.number(),
      peakMb: z.number(),
      /** After runs. */
      steadyMb: z.number(),
    })
    .nullable(),
};

const load = z.object({
  workers: count,
  /** Runs of all workers. */
  n: count,
  /** Inferences a second, all workers together. */
  perSecond: z.number(),
  p50: z.number(),
  p99: z.number(),
});

export const throughput = z.object({
  name: z.string(),
  /** Threads of each worker. */
  threads: count,
  single: load,
  load,
  /** Inferences a second: all workers / one. */
  scaling: z.number(),
});

export const batchSweep = z.object({
  name: z.string(),
  points: z.array(
    z.object({
      batch: count,
      /** Of the whole batch. */
      summary: latencySummary,
      /** Median of the batch / its size. */
      msPerItem: z.number(),
    }),
  ),
});

export type ThroughputData = Frozen<z.infer<typeof throughput>>;
export type BatchSweepData = Frozen<z.infer<typeof batchSweep>>;
