/** optimize@1: graph passes, then the runtime's own level. */
import * as z from 'zod';
import { count, type Frozen, modelSize } from './common.ts';
import { verify } from './verify.ts';

const passResult = z.object({
  name: z.string(),
  changes: count,
  ms: z.number(),
  /** Why near-matches were left alone, most frequent first. */
  declined: z.array(z.object({ reason: z.string(), count })),
});

export const optimize = z.object({
  before: modelSize,
  after: modelSize,
  passes: z.array(passResult),
  /** Passes whose changes were undone because parity did not hold. */
  rolledBack: z.array(z.object({ name: z.string(), reason: z.string() })),
  parity: verify.nullable(),
});

export type PassResultData = Frozen<z.infer<typeof passResult>>;
export type OptimizeData = Frozen<z.infer<typeof optimize>>;
