/** quantize@1: a model in fewer bits, judged on samples it was not calibrated on. */
import * as z from 'zod';
import { count, type Frozen, modelSize } from './common.ts';
import { verify } from './verify.ts';

export const quantize = z.object({
  scheme: z.string(),
  calibration: z.object({ samples: count, method: z.string() }).nullable(),
  before: modelSize,
  after: modelSize,
  excluded: z.array(z.object({ node: z.string(), reason: z.string() })),
  parity: verify.nullable(),
});

export type QuantizeData = Frozen<z.infer<typeof quantize>>;
