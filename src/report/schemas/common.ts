/**
 * Parts that several reports share. These zod definitions are the one source of the TypeScript types and of the
 * JSON Schemas under schemas/; everything outside this folder imports the types only.
 */
import * as z from 'zod';

type Primitive = string | number | boolean | bigint | null | undefined;

/** A report is built once and then only read: the types that jobs use are read-only all the way down. */
export type Frozen<T> = unknown extends T
  ? T
  : T extends Primitive
    ? T
    : { readonly [K in keyof T]: Frozen<T[K]> };

/** A count of things: a whole number, zero or more. */
export const count = z.int().min(0);

/** A number that JSON cannot always carry: null stands for "not finite" or "not defined". */
export const measured = z.number().nullable();

/** Dimensions: a number, a symbolic name, or null when unknown. */
export const shape = z.array(z.union([count, z.string(), z.null()]));

/** A model input or output; `shape` is null when even the rank is unknown, `dtype` when it is not a tensor's. */
export const valueInfo = z.object({
  name: z.string(),
  dtype: z.string().nullable(),
  shape: shape.nullable(),
});

export const ops = z.record(z.string(), count);

/** How many tensors have at least one such element, and how many elements. */
export const elementFindings = z.object({ tensors: count, elements: count });

/** A model before or after a job. `macs` is null when a shape is unknown. */
export const modelSize = z.object({ nodes: count, bytes: count, macs: count.nullable(), ops });

export type ValueInfoData = Frozen<z.infer<typeof valueInfo>>;
export type ElementFindings = Frozen<z.infer<typeof elementFindings>>;
export type ModelSizeData = Frozen<z.infer<typeof modelSize>>;
