/** bench@1: latency, alone and together, and comparisons with confidence intervals. All times in milliseconds. */
import * as z from 'zod';
import { batchSweep, interval, latencySummary, runFacts, throughput } from './bench-load.ts';
import { attribution, peaks, profile } from './bench-profile.ts';
import { count, type Frozen, valueInfo } from './common.ts';
import { verify } from './verify.ts';

const benchModel = z.object({
  name: z.string(),
  file: z.string(),
  /** The session options it ran with. */
  session: z.record(z.string(), z.unknown()),
  /** What it was fed. */
  inputs: z.array(valueInfo),
  loadMs: z.number(),
  firstMs: z.number(),
  /** Runs before the ones that count; not steady: their times still changed. */
  warmUp: z.object({ runs: count, isSteady: z.boolean() }),
  summary: latencySummary,
  ...runFacts,
  /** Null unless asked for. */
  profile: profile.nullable(),
});

export const comparison = z.object({
  baseline: z.string(),
  candidate: z.string(),
  /** Candidate / baseline: the geometric mean, over fresh sessions, of the median over pairs of runs. */
  ratio: z.number(),
  ci95: interval,
  verdict: z.enum(['faster', 'slower', 'same', 'inconclusive']),
  /** Fresh sessions, and pairs of runs in all of them. */
  sessions: count,
  pairs: count,
  /** The ratio that each of the sessions found. */
  sessionRatios: z.array(z.number()).optional(),
  /** Whether it is slower by more than was allowed; absent when nothing was said of that. */
  regression: z.enum(['proven', 'excluded', 'inconclusive']).optional(),
});

export const bench = z.object({
  environment: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  models: z.array(benchModel),
  comparisons: z.array(comparison),
  /** Whether candidates give what the baseline gives, on one input; those that do not are not compared. */
  parity: z.array(verify).optional(),
  pipeline: z
    .object({
      stages: z.array(
        z.object({
          name: z.string(),
          aloneP50: z.number(),
          togetherP50: z.number(),
          slowdown: z.number(),
          /** Together with spinning stopped between runs; null when not measured. */
          togetherSpinStopP50: z.number().nullable(),
        }),
      ),
    })
    .nullable(),
  /** Several workers at once; empty unless asked for. */
  throughput: z.array(throughput),
  /** Batches of several sizes; empty unless asked for. */
  batches: z.array(batchSweep),
  /** The user ended it before everything was measured. */
  interrupted: z.boolean(),
  /** What this machine reached with the session options; null unless models were profiled. */
  peaks: peaks.nullable(),
  /** Where the differences from the baseline come from; empty unless models were profiled. */
  attributions: z.array(attribution),
});

export type BenchModelData = Frozen<z.infer<typeof benchModel>>;
export type ComparisonData = Frozen<z.infer<typeof comparison>>;
export type BenchData = Frozen<z.infer<typeof bench>>;
