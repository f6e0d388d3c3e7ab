/** The metrics, in the order of reports. A new one is a file here and a line below. */
import type { Metric } from '../metric.ts';
import { centredSqnrDb } from './centred-sqnr-db.ts';
import { cosine } from './cosine.ts';
import { maxAbs } from './max-abs.ts';
import { maxRel } from './max-rel.ts';
import { meanAbs } from './mean-abs.ts';
import { sqnrDb } from './sqnr-db.ts';

export const metrics = {
  maxAbs,
  maxRel,
  meanAbs,
  cosine,
  sqnrDb,
  centredSqnrDb,
} as const satisfies Record<string, Metric>;

export type MetricName = keyof typeof metrics;
