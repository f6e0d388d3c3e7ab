/** run@1: a whole job file, with the report of every step. */
import * as z from 'zod';
import { bench } from './bench.ts';
import type { Frozen } from './common.ts';
import { anyReport } from './envelope.ts';

export const run = z.object({
  jobs: z.array(z.object({ name: z.string(), ok: z.boolean(), reports: z.array(anyReport) })),
  bench: bench.nullable(),
});

export type RunData = Frozen<z.infer<typeof run>>;
