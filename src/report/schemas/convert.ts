/** convert@1: a checkpoint became an ONNX model. */
import * as z from 'zod';
import { count, type Frozen } from './common.ts';
import { verify } from './verify.ts';

export const convert = z.object({
  /** What built the graph: `architecture`, `template`… */
  importer: z.string(),
  architecture: z.string().nullable(),
  /** Keys of the state dict that the architecture took. */
  matched: count,
  missing: z.array(z.string()),
  unexpected: z.array(z.string()),
  /** Keys whose tensor has another shape (or is not of a float type). */
  mismatched: z.array(z.object({ key: z.string(), expected: z.string(), found: z.string() })),
  /** Keys that belong to the architecture and that inference does not need (num_batches_tracked, dead branches). */
  unused: z.array(z.string()),
  opset: count,
  nodes: count,
  parameters: count,
  /** Elements set to zero. */
  flushedSubnormals: count,
  parity: verify.nullable(),
});

export type ConvertData = Frozen<z.infer<typeof convert>>;
