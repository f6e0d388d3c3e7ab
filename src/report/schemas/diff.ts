/** diff@1: what differs between the weights of two files, A and B. */
import * as z from 'zod';
import { count, type Frozen, measured } from './common.ts';

const dims = z.array(count);

/** How a tensor is stored. */
const stored = z.object({ dtype: z.string(), shape: dims });

/** One of the two files. */
const side = z.object({
  file: z.string(),
  /** A weight format, or `onnx`. */
  format: z.string(),
  /** Where the state dict lies in the file; '' for the top level. */
  stateDict: z.string(),
  sha256: z.string().nullable(),
  bytes: count,
  /** Tensors that take part. */
  tensors: count,
});

/** Differences of values over the elements that are finite on both sides; null where not defined or not finite. */
const values = z.object({
  /** Elements compared; the parts of complex numbers count apart. */
  elements: count,
  /** Elements with another value, those that are not finite on one side included. */
  differing: count,
  /** max |a − b| */
  maxAbs: measured,
  /** max |a − b| / |a| where a is not 0 */
  maxRel: measured,
  /** ‖a − b‖ / ‖a‖ */
  relative: measured,
  cosine: measured,
  /** NaN and infinite elements of each side; `differing`: those that the other side does not have alike. */
  nonFinite: z.object({ a: count, b: count, differing: count }),
  /** The largest difference, or the first that is not finite. */
  worst: z.object({ index: dims, a: measured, b: measured }).nullable(),
});

const change = z.object({
  /** The key, of both. */
  name: z.string(),
  /** The gravest difference: shape, else values, else dtype (equal values), else bits (as −0 and 0, or two kinds of NaN). */
  what: z.enum(['shape', 'values', 'dtype', 'bits']),
  a: stored,
  b: stored,
  /** Null where elements have no counterpart: other shapes (but for axes of size 1), strings, complex and real numbers. */
  values: values.nullable(),
  /** The key of the same tensor in both files that is listed too: a tied weight. */
  sharedWith: z.string().optional(),
});

export const diff = z.object({
  a: side,
  b: side,
  verdict: z.enum(['identical', 'renamed', 'equal-values', 'different']),
  /** Keys of A and keys of B that are in the other file under no name. */
  removed: z.array(z.string()),
  added: z.array(z.string()),
  /** The same dtype, shape and bytes under another name; `ambiguous` where several names have them. */
  renamed: z.array(z.object({ from: z.string(), to: z.string(), ambiguous: z.boolean().optional() })),
  /** Keys with another content, the gravest difference first. */
  changed: z.array(change),
  /** Keys whose differences are all within the tolerance. */
  tolerated: z.array(change),
  /** Keys that could not be compared, and why. */
  notCompared: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** Keys of A that are one tensor in one file and several in the other. */
  sharing: z.array(z.object({ keys: z.array(z.string()), sharedIn: z.enum(['a', 'b']) })),
  /** The prefix that makes keys of one file out of those of the other: how many pairs, and how many of them are equal. */
  prefix: z.object({ prefix: z.string(), of: z.enum(['a', 'b']), keys: count, equal: count }).nullable(),
  /** Values beside the tensors that differ (epoch…); a side that has none is left out. */
  metadata: z.array(z.object({ key: z.string(), a: z.unknown().optional(), b: z.unknown().optional() })),
  totals: z.object({
    equal: count,
    changed: count,
    tolerated: count,
    added: count,
    removed: count,
    renamed: count,
    notCompared: count,
  }),
  /** Keys by their first component (after a prefix that all keys have). */
  modules: z.array(
    z.object({
      name: z.string(),
      tensors: count,
      equal: count,
      changed: count,
      tolerated: count,
      added: count,
      removed: count,
      renamed: count,
      notCompared: count,
      /** The tensor with the largest relative norm of its difference. */
      worst: z.object({ name: z.string(), relative: measured }).nullable(),
    }),
  ),
});

export type DiffData = Frozen<z.infer<typeof diff>>;
export type DiffValues = Frozen<z.infer<typeof values>>;
export type DiffChange = Frozen<z.infer<typeof change>>;
