/** inspect@1: what is in a file, an ONNX model or a file of weights. */
import * as z from 'zod';
import { count, elementFindings, type Frozen, measured, ops, shape, valueInfo } from './common.ts';

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

/** Of one tensor. Values are null where nothing is finite (or a sum of squares is not). */
const statistics = z.object({
  min: measured,
  max: measured,
  mean: measured,
  /** Of the population. */
  std: measured,
  /** Euclidean. */
  norm: measured,
  zeros: count,
  subnormals: count,
  nans: count,
  infinities: count,
});

/** Elements in equally wide bins from `min` to `max`, both included. */
const histogram = z.object({ min: z.number(), max: z.number(), counts: z.array(count) });

const weightTensor = z.object({
  name: z.string(),
  dtype: z.string(),
  shape,
  bytes: count,
  /** The first key with the same storage view. */
  sharedWith: z.string().optional(),
  /** With --stats and --histogram. */
  stats: statistics.optional(),
  /** With --histogram; absent for tensors without finite elements. */
  histogram: histogram.optional(),
});

/** A row of the tree of modules: one module, or several that hold tensors of the same names, dtypes and ranks. */
const moduleRow = z.object({
  /** Components joined by dots; numbers of folded modules in braces: `layers.{0-11}.attn`. */
  path: z.string(),
  /** The path without that of the row it belongs to. */
  name: z.string(),
  /** 0 for the whole state dict. */
  depth: count,
  /** How many modules the row stands for. */
  repeats: count,
  /** Rows directly below. */
  children: count,
  /** Tensors of all the row's modules and everything below them. */
  tensors: count,
  /** Of these, second names of tensors that have another one. */
  aliases: count,
  /** Tensors with two names count under the first. */
  parameters: count,
  bytes: count,
  /** Tensors directly in the row's modules; a dimension is null where they differ. */
  holds: z.array(z.object({ name: z.string(), dtype: z.string(), shape: z.array(count.nullable()) })),
  /** Set when all its tensors are second names: the module with their first names. */
  sharedWith: z.string().optional(),
});

const keyMismatch = z.object({ key: z.string(), expected: z.string(), found: z.string() });

export const architectureMatch = z.object({
  name: z.string(),
  /** 0 to 1: needed keys found with the right shape, over all keys that are needed or not known. */
  score: z.number(),
  /** Stripped from the keys first. */
  prefix: z.string().optional(),
  matched: count,
  missing: z.array(z.string()),
  unexpected: z.array(z.string()),
  mismatched: z.array(keyMismatch),
});

export const GLOBAL_KINDS = ['data', 'opaque', 'dangerous'] as const;
export const VERDICTS = ['safe', 'opaque', 'dangerous'] as const;

/** What an inspection of the globals found: inspect --globals. */
const autopsy = z.object({
  /** Whether the format has pickles at all. */
  hasPickles: z.boolean(),
  /** What the verdict means for this file. */
  meaning: z.string(),
  /** By global: what loading the file in Python would do with it; dangerous ones first. */
  effects: z.array(z.object({ name: z.string(), kind: z.enum(GLOBAL_KINDS), effect: z.string() })),
});

export const inspectWeights = z.object({
  format: z.enum(WEIGHT_FORMATS),
  /** Of the state dict that was picked; with --keys those that match. */
  tensors: z.array(weightTensor),
  /** With --keys: the globs, and how many tensors there are in all. */
  selection: z.object({ keys: z.array(z.string()), of: count }).optional(),
  /** Of the whole state dict, shared tensors once. */
  parameters: count,
  /** Bytes of all tensors, shared ones once. */
  bytes: count,
  /** What the tensors are made of, shared ones once. */
  dtypes: z.record(z.string(), z.object({ tensors: count, parameters: count, bytes: count })),
  /** Parents before children; as deep as --depth says. */
  modules: z.array(moduleRow),
  /** What --depth said. */
  depth: count.optional(),
  /** Keys of tensors that have no values here, and what they are. */
  refused: z.array(z.object({ name: z.string(), what: z.string() })).optional(),
  stateDicts: z.array(z.object({ path: z.string(), tensors: count })),
  /** The state dict that is shown, and why it; null when there is none. */
  stateDict: z.object({ path: z.string(), why: z.string() }).nullable(),
  /** safe: the pickles name data only, or there are none. opaque: they name unknown classes. dangerous: code. */
  verdict: z.enum(VERDICTS),
  /** Python globals that the pickles of the file name, by name. */
  globals: z.array(
    z.object({
      name: z.string(),
      /** data: known and harmless. opaque: unknown, kept as a record. dangerous: no weights need it. */
      kind: z.enum(GLOBAL_KINDS),
      /** How often the pickles want to call it. */
      calls: count,
      /** Where a dangerous one is first named. */
      first: z.object({ pickle: z.string(), byte: count }).optional(),
    }),
  ),
  /** With --globals. */
  autopsy: autopsy.optional(),
  /** Plain values beside the tensors (epoch, best_acc…). */
  metadata: z.record(z.string(), z.unknown()),
  /** The registered architecture that fits the keys best; null when none fits well enough. */
  architecture: z.string().nullable(),
  /** The best match however poor, and what speaks against it; null when no architecture shares keys with the file. */
  architectureMatch: architectureMatch.nullable(),
  subnormals: elementFindings.nullable(),
  nonFinite: elementFindings.nullable(),
});

export const inspect = z.union([inspectOnnx, inspectWeights]);

export type InspectOnnxData = Frozen<z.infer<typeof inspectOnnx>>;
export type InspectWeightsData = Frozen<z.infer<typeof inspectWeights>>;
export type ModuleData = InspectWeightsData['modules'][number];
export type WeightTensorData = InspectWeightsData['tensors'][number];
export type ArchitectureMatchData = Frozen<z.infer<typeof architectureMatch>>;
export type Verdict = InspectWeightsData['verdict'];
export type InspectData = InspectOnnxData | InspectWeightsData;
