/** Attributes of nodes: tagged values, with short constructors for the common kinds. */
import type { Tensor } from '../core/tensor.ts';
import type { Graph } from './graph.ts';
import type { ValueType } from './type.ts';

/** A sparse tensor in ONNX's COO form: `indices` are linear [nnz] or coordinates [nnz, rank], int64. */
export interface SparseTensor {
  readonly dims: readonly number[];
  readonly values: Tensor;
  readonly indices: Tensor;
}

export type AttributeKind =
  | 'float'
  | 'int'
  | 'string'
  | 'tensor'
  | 'graph'
  | 'sparse_tensor'
  | 'type_proto'
  | 'floats'
  | 'ints'
  | 'strings'
  | 'tensors'
  | 'graphs'
  | 'sparse_tensors'
  | 'type_protos';

/** Strings are bytes (they need not be UTF-8); ints are bigints (they need not be safe). */
export type Attribute = { readonly origin?: object } & (
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'string'; readonly value: Uint8Array }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'sparse_tensor'; readonly value: SparseTensor }
  | { readonly kind: 'type_proto'; readonly value: ValueType }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'ints'; readonly value: readonly bigint[] }
  | { readonly kind: 'strings'; readonly value: readonly Uint8Array[] }
  | { readonly kind: 'tensors'; readonly value: readonly Tensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  | { readonly kind: 'sparse_tensors'; readonly value: readonly SparseTensor[] }
  | { readonly kind: 'type_protos'; readonly value: readonly ValueType[] }
  /** Inside a function: the attribute of this name at the call (ref_attr_name). */
  | { readonly kind: 'reference'; readonly to: string; readonly type: AttributeKind }
);

export const float = (value: number): Attribute => ({ kind: 'float', value: Math.fround(value) });
export const int = (value: number | bigint): Attribute => ({ kind: 'int', value: BigInt(value) });
export const string = (value: string): Attribute => ({
  kind: 'string',
  value: new TextEncoder().encode(value),
});
export const tensor = (value: Tensor): Attribute => ({ kind: 'tensor', value });
export const graph = (value: Graph): Attribute => ({ kind: 'graph', value });
export const floats = (value: readonly number[]): Attribute => ({
  kind: 'floats',
  value: value.map(Math.fround),
});
export const ints = (value: readonly (number | bigint)[]): Attribute => ({
  kind: 'ints',
  value: value.map(BigInt),
});
export const strings = (value: readonly string[]): Attribute => ({
  kind: 'strings',
  value: value.map((item) => new TextEncoder().encode(item)),
});

/** The graphs inside an attribute (none for most kinds). */
export const graphsOf = (attribute: Attribute): readonly Graph[] =>
  attribute.kind === 'graph' ? [attribute.value] : attribute.kind === 'graphs' ? attribute.value : [];
