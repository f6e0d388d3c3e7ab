/** tune@1: which session options are the fastest for these models on this machine, and the proof. Times in milliseconds. */
import * as z from 'zod';
import { count, type Frozen, measured } from './common.ts';

const interval = z.tuple([z.number(), z.number()]);

/** Session options of a model; what is left out is the runtime's default. */
export const sessionOptions = z.strictObject({
  level: z.enum(['disabled', 'basic', 'extended', 'layout', 'all']).optional(),
  threads: z.int().min(1).max(1024).optional(),
  spinning: z.enum(['default', 'off', 'stop']).optional(),
  arena: z.boolean().optional(),
  memPattern: z.boolean().optional(),
  parallel: z.boolean().optional(),
  interOpThreads: z.int().min(1).max(1024).optional(),
  disabledOptimizers: z.array(z.string()).optional(),
  prepacking: z.boolean().optional(),
  deterministic: z.boolean().optional(),
  extra: z.record(z.string(), z.string()).optional(),
});

/** The machine that a search ran on. */
export const machine = z.object({
  id: z.string(),
  processor: z.string(),
  cores: count,
  cpuQuota: z.number().nullable(),
  platform: z.string(),
  onnxruntime: z.string(),
});

export const objective = z.enum(['latency', 'throughput']);

/** Against the outputs of the default options at level disabled. */
const parity = z.object({ ok: z.boolean(), message: z.string().optional() });

const tried = z.object({
  /** In words, what differs from the default. */
  name: z.string(),
  /** A model each, in the order of `models`. */
  options: z.array(sessionOptions),
  stage: z.enum(['screened', 'halved', 'final']),
  /** The objective; null when it was not measured. */
  p50: measured,
  /** Configuration / default: of the proof in the final stage, else as the search saw it. */
  ratio: measured,
  /** Of the proof; null before. */
  ci95: interval.nullable(),
  /** Fresh sessions of the proof. */
  sessions: count,
  parity: parity.nullable(),
  verdict: z.enum(['faster', 'slower', 'same', 'inconclusive', 'dropped', 'differs', 'failed']),
  /** Why it differs, failed or was not chosen. */
  message: z.string().optional(),
});

export const tune = z.object({
  environment: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  machine,
  objective,
  models: z.array(
    z.object({ name: z.string(), file: z.string(), sha256: z.string().nullable(), bytes: count }),
  ),
  /** The runtime's default options. */
  defaults: z.object({ p50: measured, parity }),
  /** Best first; what differs or failed at the end. */
  tried: z.array(tried),
  /** Configurations for which there was no time. */
  untried: count,
  /** What is written: proven faster than the default, or the default. */
  best: z.object({
    name: z.string(),
    isDefault: z.boolean(),
    p50: measured,
    /** Of the proof; null for the default. */
    ratio: measured,
    ci95: interval.nullable(),
    sessions: count,
  }),
  /** The session options that are written, a model each. */
  options: z.array(z.object({ model: z.string(), session: sessionOptions })),
  /** The file they are written to. */
  output: z.string(),
  /** The user ended it before its time was over. */
  interrupted: z.boolean(),
});

export type TuneData = Frozen<z.infer<typeof tune>>;
export type TriedData = TuneData['tried'][number];
