/** run@1: a whole job file, with the report of every step. */
import * as z from 'zod';
import { bench } from './bench.ts';
import { count, type Frozen, measured } from './common.ts';
import { anyReport } from './envelope.ts';

/** One job in a line; null where the step was not asked for or not reached. Times in milliseconds. */
const stage = z.object({
  name: z.string(),
  architecture: z.string().nullable(),
  keysMatched: count.nullable(),
  keysNeeded: count.nullable(),
  /** Largest absolute difference from the reference outputs. */
  maxAbs: measured,
  bytes: count.nullable(),
  quantization: z.enum(['written', 'refused', 'not judgeable']).nullable(),
  quantizedBytes: count.nullable(),
  aloneP50: measured,
  togetherP50: measured,
  togetherSpinStopP50: measured,
});

export const run = z.object({
  stages: z.array(stage),
  jobs: z.array(z.object({ name: z.string(), ok: z.boolean(), reports: z.array(anyReport) })),
  bench: bench.nullable(),
});

export type StageData = Frozen<z.infer<typeof stage>>;
export type RunData = Frozen<z.infer<typeof run>>;
