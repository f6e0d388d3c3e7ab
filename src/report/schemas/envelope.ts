/** The envelope that every report has, and error@1: what `--json` prints when a command fails. */
import * as z from 'zod';
import { count, type Frozen } from './common.ts';

export const place = z.object({
  file: z.string().optional(),
  node: z.string().optional(),
  value: z.string().optional(),
  key: z.string().optional(),
});

export const finding = z.object({
  level: z.enum(['error', 'warning', 'note']),
  rule: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  at: place.optional(),
});

export const subject = z.object({ file: z.string(), sha256: z.string().nullable(), bytes: count });

/** The envelope of `<kind>@1` around `data`. */
export const envelope = <D extends z.ZodType>(kind: string, data: D) =>
  z.object({
    schema: z.literal(`${kind}@1`),
    tool: z.literal('ortho'),
    version: z.string(),
    ok: z.boolean(),
    subject,
    findings: z.array(finding),
    data,
  });

/** A report of any kind. */
export const anyReport = envelope('any', z.unknown()).extend({ schema: z.string() });

/** error@1: no report could be made; the first finding is the error, its rule the error code. */
export const error = z.object({
  schema: z.literal('error@1'),
  tool: z.literal('ortho'),
  version: z.string(),
  ok: z.literal(false),
  exitCode: z.int(),
  findings: z.array(finding).min(1),
});

export type ErrorReport = Frozen<z.infer<typeof error>>;
