/** inspect@1: what is in a file, an ONNX model or a file of weights. */
import * as z from 'zod';
import { count, elementFindings, type Frozen, ops, shape, valueInfo } from './common.ts';

export const inspectOnnx = z.object({
  format: z.literal('onnx'),
  irVersion: count,
  /** Domain to opset; the standard domain is "". */
  opsets: z.record(z.string(), count),
  producer: z.string(),
  inputs: z.array(valueInfo),
  outputs: z.array(valueInfo),
  /** Nodes, those of subgraphs included. */
  nodes: count,
  ops,
  initializers: count,
  parameters: count,
  parameterBytes: count,
  macs: count.nullable(),
  subnormals: elementFindings.nullable(),
  nonFinite: elementFindings.nullable(),
  externalData: z.array(z.object({ location: z.string(), tensors: count, bytes: count })),
  functions: z.array(z.string()).optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});

export const WEIGHT_FORMATS = [
  'torch-zip',
  'torch-legacy',
  'torch-tar',
  'torchscript',
  'pt2',
  'torch-dcp',
  'safetensors',
  'npz',
  'npy',
] as const;

export const inspectWeights = z.object({
  format: z.enum(WEIGHT_FORMATS),
  tensors: z.array(
    z.object({
      name: z.string(),
      dtype: z.string(),
      shape,
      bytes: count,
      /** The first key with the same storage view. */
      sharedWith: z.string().optional(),
    }),
  ),
  parameters: count,
  /** Bytes of all tensors, shared ones once. */
  bytes: count,
  stateDicts: z.array(z.object({ path: z.string(), tensors: count })),
  /** Python globals that the pickles of the file name, by name. */
  globals: z.array(
    z.object({
      name: z.string(),
      /** data: known and harmless. opaque: unknown, kept as a record. dangerous: no weights need it. */
      kind: z.enum(['data', 'opaque', 'dangerous']),
      /** How often the pickles want to call it. */
      calls: count,
      /** Where a dangerous one is first named. */
      first: z.object({ pickle: z.string(), byte: count }).optional(),
    }),
  ),
  /** Plain values beside the tensors (epoch, best_acc…). */
  metadata: z.record(z.string(), z.unknown()),
  /** The registered architecture that fits the keys best. */
  architecture: z.string().nullable(),
  subnormals: elementFindings.nullable(),
  nonFinite: elementFindings.nullable(),
});

export const inspect = z.union([inspectOnnx, inspectWeights]);

export type InspectOnnxData = Frozen<z.infer<typeof inspectOnnx>>;
export type InspectWeightsData = Frozen<z.infer<typeof inspectWeights>>;
export type InspectData = InspectOnnxData | InspectWeightsData;
