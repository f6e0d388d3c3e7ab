/**
 * What each kernel of a profile computes and moves: timings joined with the graph that the runtime made of the model
 * (weights, attributes) and with the model itself (names, multiply–accumulates of what was fused).
 *
 *   bytes   every input read once, every output written once, as the runtime lays them out; nothing for views, twice the
 *           output for lookups and slices, which read only what they give
 *   flops   two a multiply–accumulate; for operators without, one an element of the output or of the first input, whichever
 *           has more
 */
import { type DType, dtypeInfo } from '../core/dtype.ts';
import { groupBy } from '../core/group-by.ts';
import { allNodes } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import { tensorType, type ValueType } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import { type Inference, inferShapes } from '../ops/infer/index.ts';
import { countMacs } from '../ops/infer/macs.ts';
import type { KernelTensor } from './profile-events.ts';
import { originsOf } from './profile-origins.ts';
import type { NodeTiming } from './profile-timing.ts';

/** Bits of the numbers that a kernel computes with: the machine's peak differs between the two. */
export type Arithmetic = 'float' | 'int8';

export interface KernelWork {
  readonly timing: NodeTiming;
  /** With its domain, as the runtime rewrote it. */
  readonly op: string;
  /** The nodes of the model that it stands for; empty for one that the runtime added, null when not found. */
  readonly origins: readonly Node[] | null;
  /** In one call; null when unknown. */
  readonly macs: number | null;
  readonly flops: number;
  readonly bytes: number;
  readonly arithmetic: Arithmetic;
}

/** They give another shape to the same bytes, or tell a shape. */
const VIEWS: ReadonlySet<string> = new Set([
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Identity',
  'Shape',
  'Size',
  'Constant',
]);

/** They read as much of their first input as they give. */
const LOOKUPS: ReadonlySet<string> = new Set(['Gather', 'GatherND', 'GatherElements', 'Slice', 'Embedding']);

/** Their bodies are kernels of their own. */
const CONTROL: ReadonlySet<string> = new Set(['If', 'Loop', 'Scan']);

/** Elements count as operations only for operators that compute something. */
const MOVES: ReadonlySet<string> = new Set([
  ...VIEWS,
  ...LOOKUPS,
  ...CONTROL,
  'Transpose',
  'Concat',
  'Split',
  'Expand',
  'Tile',
  'Pad',
  'ReorderInput',
  'ReorderOutput',
  'ConstantOfShape',
  'DepthToSpace',
  'SpaceToDepth',
  'Range',
]);

const elements = (tensors: readonly KernelTensor[]): number =>
  tensors.reduce((sum, { dims }) => sum + dims.reduce((a, b) => a * b, 1), 0);

/**
 * The node of each timing: by name; where the model gives none, the runtime calls them `Op_index`, and they are told
 * apart by their order when there are as many as timings.
 */
const matchNodes = (timings: readonly NodeTiming[], nodes: readonly Node[]): Map<NodeTiming, Node> => {
  const byName = new Map(nodes.filter(({ name }) => name !== '').map((node) => [node.name, node] as const));
  const unnamed = groupBy(
    nodes.filter(({ name }) => name === ''),
    ({ op }) => op,
  );
  const matched = new Map<NodeTiming, Node>();
  const rest: NodeTiming[] = [];
  for (const timing of timings) {
    const node = byName.get(timing.name);
    if (node !== undefined && node.op === timing.op) matched.set(timing, node);
    else if (timing.name === `${timing.op}_${timing.index}`) rest.push(timing);
  }
  for (const [op, left] of groupBy(rest, (timing) => timing.op)) {
    const candidates = unnamed.get(op) ?? [];
    if (candidates.length !== left.length) continue;
    const inOrder = left.toSorted((a, b) => a.index - b.index);
    inOrder.forEach((timing, i) => {
      matched.set(timing, candidates[i]!);
    });
  }
  return matched;
};

/** The types that values had when they were profiled. */
const measuredTypes = (matched: ReadonlyMap<NodeTiming, Node>): Map<Value, ValueType> => {
  const types = new Map<Value, ValueType>();
  for (const [{ outputs, inputs }, node] of matched) {
    const written = node.outputs.filter(({ name }) => name !== '');
    if (written.length === outputs.length) {
      written.forEach((value, i) => {
        types.set(value, tensorType(outputs[i]!.dtype, outputs[i]!.dims));
      });
    }
    const read = node.inputs.filter((value) => value !== undefined);
    if (read.length === inputs.length) {
      read.forEach((value, i) => {
        if (value.isGraphInput) types.set(value, tensorType(inputs[i]!.dtype, inputs[i]!.dims));
      });
    }
  }
  return types;
};

const constantBytes = (node: Node): number =>
  node.inputs.reduce((sum, value) => sum + (value?.constant?.data.size ?? 0), 0);

const bytesOf = (timing: NodeTiming, node: Node | undefined): number => {
  if (VIEWS.has(timing.op) || CONTROL.has(timing.op)) return 0;
  if (LOOKUPS.has(timing.op)) return 2 * timing.outputBytes;
  const constants = Math.max(timing.parameterBytes, node === undefined ? 0 : constantBytes(node));
  return timing.activationBytes + constants + timing.outputBytes;
};

const isInt8 = (dtype: DType | undefined): boolean => {
  if (dtype === undefined) return false;
  const { bits, kind } = dtypeInfo(dtype);
  return bits === 8 && (kind === 'int' || kind === 'uint');
};

/** MatMulNBits and the dynamic ones take floats and multiply bytes. */
const INT8_OPS = /^(QLinear|QGemm|QAttention|Dynamic|ConvInteger|MatMulInteger)/;

const sumOfMacs = (origins: readonly Node[], inference: Inference): number | null => {
  let sum = 0;
  for (const node of origins) {
    const macs = inference.macsOf(node);
    if (macs === null || macs === undefined) return null;
    sum += macs;
  }
  return sum;
};

/** A model with the shapes that it was fed. */
const inferWith = (model: Model, feeds: ReadonlyMap<string, KernelTensor>): Inference => {
  for (const input of model.graph.inputs) {
    const fed = feeds.get(input.name);
    if (fed !== undefined) input.setTensorType(fed.dtype, fed.dims);
  }
  return inferShapes(model, { dryRun: true });
};

export interface JoinInput {
  readonly timings: readonly NodeTiming[];
  /** The model; undefined where it cannot be decoded (the runtime's own format). */
  readonly model: Model | undefined;
  /** What the runtime made of it; undefined where it was not saved. */
  readonly optimized: Model | undefined;
  readonly feeds: ReadonlyMap<string, KernelTensor>;
}

/** The work of every timing, in the same order. */
export const joinWork = ({ timings, model, optimized, feeds }: JoinInput): KernelWork[] => {
  const runtime = optimized ?? model;
  const matched = runtime === undefined ? new Map() : matchNodes(timings, [...allNodes(runtime.graph)]);
  const types = measuredTypes(matched);
  const origins = model && runtime && originsOf(model.graph, runtime.graph);
  const inference = model && inferWith(model, feeds);
  const inner = new Map(
    model === undefined ? [] : [...allNodes(model.graph)].map((item) => [item.name, item] as const),
  );
  /** Nodes of subgraphs are known by their names only. */
  const ownOf = (node: Node): readonly Node[] | null => {
    if (node.graph === runtime?.graph) return origins?.get(node) ?? [];
    const same = node.name === '' ? undefined : inner.get(node.name);
    return same === undefined ? null : [same];
  };
  return timings.map((timing): KernelWork => {
    const node: Node | undefined = matched.get(timing);
    const own = node === undefined ? null : ownOf(node);
    const counted = node && countMacs(node, (value) => types.get(value) ?? value.type);
    // Contrib operators that no counter knows, and padded layouts: what they stand for is known better.
    const fused = own === null || inference === undefined ? null : sumOfMacs(own, inference);
    const macs = CONTROL.has(timing.op)
      ? 0
      : node === undefined
        ? null
        : counted || (fused ?? counted ?? null);
    const { inputs, outputs } = timing;
    const computes = MOVES.has(timing.op) ? 0 : Math.max(elements(outputs), elements(inputs.slice(0, 1)));
    return {
      timing,
      op: node?.qualifiedOp ?? timing.op,
      origins: own,
      macs,
      flops: macs ? 2 * macs : computes,
      bytes: bytesOf(timing, node),
      arithmetic:
        INT8_OPS.test(timing.op) || (timing.op === 'MatMul' && isInt8(timing.inputs[0]?.dtype))
          ? 'int8'
          : 'float',
    };
  });
};
