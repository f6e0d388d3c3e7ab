/** remap@1: keys renamed, selected, transformed and cast. */
import * as z from 'zod';
import { count, type Frozen, shape } from './common.ts';

export const remap = z.object({
  /** Keys written, or with --dry-run to be written. */
  keys: count,
  renamed: z.array(z.object({ from: z.string(), to: z.string() })),
  dropped: z.array(z.string()),
  /** Keys that share their storage with an earlier one. */
  aliases: z.array(z.object({ key: z.string(), sharedWith: z.string() })),
  against: z
    .object({
      matched: count,
      missing: z.array(z.string()),
      unexpected: z.array(z.string()),
      shapeMismatch: z.array(z.object({ key: z.string(), expected: shape, actual: shape })),
    })
    .nullable(),
  /** What was computed of which keys of the file; plain renaming is not listed. */
  transformed: z.array(z.object({ rule: z.string(), from: z.array(z.string()), to: z.array(z.string()) })),
  /** What --auto found; null without it. */
  auto: z
    .object({
      /** 0 to 1: the share of the keys of both sides that are paired. */
      score: z.number(),
      /** Pairs by what decided them. */
      evidence: z.object({ shape: count, names: count, order: count }),
      /** Keys that could as well be exchanged for each other: nothing is written then. */
      ambiguous: z.array(
        z.object({ from: z.array(z.string()), to: z.array(z.string()), reason: z.string() }),
      ),
      unmatchedSource: z.array(z.string()),
      unmatchedTarget: z.array(z.string()),
      hints: z.array(z.string()),
    })
    .nullable(),
  /** null where nothing was written. */
  output: z
    .object({ format: z.enum(['safetensors', 'npz', 'torch-zip']), bytes: count, files: z.array(z.string()) })
    .nullable(),
  dryRun: z.boolean(),
  /** With --dry-run, what would be written; null otherwise. */
  tensors: z.array(z.object({ name: z.string(), dtype: z.string(), shape })).nullable(),
});

export type RemapData = Frozen<z.infer<typeof remap>>;
