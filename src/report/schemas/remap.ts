/** remap@1: keys renamed, selected and cast. */
import * as z from 'zod';
import { count, type Frozen, shape } from './common.ts';

export const remap = z.object({
  /** Keys written. */
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
});

export type RemapData = Frozen<z.infer<typeof remap>>;
