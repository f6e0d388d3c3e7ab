/** quantize@1: a model in fewer bits, judged on samples it was not calibrated on. */
import * as z from 'zod';
import { count, type Frozen, measured, modelSize } from './common.ts';
import { verify } from './verify.ts';

export const quantize = z.object({
  scheme: z.string(),
  calibration: z.object({ samples: count, method: z.string() }).nullable(),
  evaluation: z.object({ samples: count, origin: z.string(), minSqnr: z.number() }),
  before: modelSize,
  after: modelSize,
  excluded: z.array(z.object({ node: z.string(), reason: z.string() })),
  /** By output, over all samples that judge; decibels, null where infinite or not defined. */
  outputs: z.array(
    z.object({
      name: z.string(),
      sqnrDb: measured,
      centredSqnrDb: measured,
      /** Root of the share of the signal's energy that varies over the samples. */
      variation: z.number(),
      judgeable: z.boolean(),
    }),
  ),
  parity: verify.nullable(),
});

export type QuantizeData = Frozen<z.infer<typeof quantize>>;
