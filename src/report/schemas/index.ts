/** Registry of the reports: the data of every kind. schemas/<kind>.schema.json is generated from it. */
import type * as z from 'zod';
import { bench } from './bench.ts';
import { convert } from './convert.ts';
import { diff } from './diff.ts';
import { doctor } from './doctor.ts';
import { inspect } from './inspect.ts';
import { optimize } from './optimize.ts';
import { quantize } from './quantize.ts';
import { remap } from './remap.ts';
import { run } from './run.ts';
import { tune } from './tune.ts';
import { verify } from './verify.ts';

export const reportSchemas = {
  inspect,
  diff,
  remap,
  convert,
  optimize,
  quantize,
  verify,
  bench,
  doctor,
  tune,
  run,
} as const satisfies Record<string, z.ZodType>;
