/** verify@1: numeric parity of a candidate with a reference; every `parity` of other reports has this form too. */
import * as z from 'zod';
import { count, type Frozen, measured } from './common.ts';

/** An element passes when |a - e| <= atol + rtol*|e| + ofMax*max|e| (max: over the expected tensor). */
const tolerance = z.object({ atol: z.number(), rtol: z.number(), ofMax: z.number() });

/** An element: where it is and its value on both sides (null where JSON has no number for it). */
const element = z.object({ index: z.array(count), expected: measured, actual: measured });

const outputParity = z.object({
  name: z.string(),
  dtype: z.string(),
  dims: z.array(count),
  /** By metric name (maxAbs, maxRel, cosine, sqnrDb…); null: not defined or infinite. */
  metrics: z.record(z.string(), measured),
  nonFinite: z.object({ expected: count, actual: count }),
  /** The element that is farthest beyond (or nearest to) the tolerance. */
  worst: element.nullable(),
  ok: z.boolean(),
  /** Why not, where ok is false; what was not compared, where it is true. */
  message: z.string().optional(),
});

/** One output over all its cases: what only several samples together can tell (centred SQNR). */
const outputSummary = z.object({
  name: z.string(),
  cases: count,
  metrics: z.record(z.string(), measured),
  ok: z.boolean(),
});

export const verify = z.object({
  reference: z.string(),
  candidate: z.string(),
  /** By output name; "" holds for all others. */
  tolerance: z.record(z.string(), tolerance),
  cases: z.array(
    z.object({
      name: z.string(),
      /** The optimisation level of the runtime that the candidate ran at. */
      level: z.string(),
      outputs: z.array(outputParity),
    }),
  ),
  /** By level, then by output, over all cases. */
  outputs: z.array(outputSummary.extend({ level: z.string() })),
  /** Outputs that could not be compared, and why. */
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** The first value inside the model that differs; null when not looked for or not found. */
  firstDivergence: z.string().nullable(),
});

export type OutputParityData = Frozen<z.infer<typeof outputParity>>;
export type VerifyData = Frozen<z.infer<typeof verify>>;
export type ParityData = VerifyData;
