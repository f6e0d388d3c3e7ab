/** doctor@1: why models are slow, or wrong: causes with their evidence, size and fix. All times in milliseconds. */
import * as z from 'zod';
import { count, type Frozen } from './common.ts';

const interval = z.tuple([z.number(), z.number()]);

const cause = z.object({
  cause: z.string(),
  /** The model it is about; null for all of them. */
  model: z.string().nullable(),
  evidence: z.string(),
  /** How many times slower it makes what was measured, with the causes before it treated; null: wrong, not slow. */
  factor: z.number().nullable(),
  /** 95 % interval of the factor; null where it follows from counters. */
  ci95: interval.nullable(),
  fix: z.string(),
});

const other = z.object({ cause: z.string(), model: z.string().nullable(), why: z.string() });

const stage = z.object({
  name: z.string(),
  aloneP50: z.number(),
  togetherP50: z.number(),
  slowdown: z.number(),
  /** Together in the fastest way that was found; null where none was looked for. */
  fastestP50: z.number().nullable(),
  cause: z.string().nullable(),
});

const doctorModel = z.object({
  name: z.string(),
  file: z.string(),
  /** The session options it was given with. */
  session: z.record(z.string(), z.unknown()),
  /** Alone, in a fresh process. */
  p50: z.number(),
});

export const doctor = z.object({
  environment: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  models: z.array(doctorModel),
  /** Wrong before slow, then by factor, the largest first. */
  causes: z.array(cause),
  ruledOut: z.array(other),
  /** Neither shown nor excluded. */
  undecided: z.array(other),
  pipeline: z.object({ stages: z.array(stage) }).nullable(),
  /** The fastest safe way to run these models that was found; null when nothing else was worth trying. */
  fastest: z
    .object({
      /** What differs from the way they were given; empty when that was the fastest. */
      changes: z.array(
        z.object({
          model: z.string(),
          session: z.record(z.string(), z.unknown()),
          copy: z.array(z.string()),
        }),
      ),
      givenMs: z.number(),
      ms: z.number(),
      /** Given / fastest: above 1 it gains. */
      factor: z.number(),
      ci95: interval,
      sessions: count,
    })
    .nullable(),
});

export type DoctorData = Frozen<z.infer<typeof doctor>>;
