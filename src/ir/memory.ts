/** What serde remembers of a graph besides its message: which entries named a value, and which one. */
import type { TensorAnnotation, ValueInfoProto } from '../proto/schema.ts';
import type { Graph } from './graph.ts';
import type { Value } from './value.ts';

export interface GraphMemory {
  /** value_info entries that describe no value of the graph (or one that another entry describes): kept as they are. */
  readonly looseInfos: ReadonlySet<ValueInfoProto>;
  /** The values that each quantization annotation names; undefined for names that no value has. */
  readonly annotations: ReadonlyMap<
    TensorAnnotation,
    { readonly value: Value | undefined; readonly parameters: readonly (Value | undefined)[] }
  >;
}

const memories = new WeakMap<Graph, GraphMemory>();

export const rememberGraph = (graph: Graph, memory: GraphMemory): void => {
  memories.set(graph, memory);
};

export const memoryOf = (graph: Graph): GraphMemory | undefined => memories.get(graph);
