/** What shape inference works with: rules, the context they read, the problems they report, partly known values. */
import type { DType } from '../../core/dtype.ts';
import type { Attribute } from '../../ir/attribute.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Node } from '../../ir/node.ts';
import type { ValueType } from '../../ir/type.ts';
import type { Value } from '../../ir/value.ts';
import type { Call } from './call.ts';

/** The stable names of what inference finds wrong. */
export type ProblemRule =
  /** Shapes that do not fit each other (inner dimensions, broadcast, element counts). */
  | 'shape-mismatch'
  /** Element types, or kinds of values, that do not fit each other. */
  | 'type-mismatch'
  /** A rank, or a list with one entry per axis, of the wrong length. */
  | 'rank-mismatch'
  | 'axis-range'
  /** An attribute, or a constant input that acts as one, outside its legal values. */
  | 'attribute-range'
  /** An attribute of another kind than the operator needs. */
  | 'attribute-kind'
  | 'missing-attribute'
  | 'missing-input'
  /** A constant index outside the data. */
  | 'index-range'
  | 'division-by-zero'
  | 'integer-overflow'
  /** Subgraphs with another number of inputs or outputs than their node needs. */
  | 'subgraph-arity'
  | 'branch-type'
  | 'negative-dimension'
  | 'dimension-overflow'
  /** A node whose inputs are constants and whose result is beyond what may be computed ahead of time. */
  | 'constant-too-large'
  | 'declared-type'
  | 'declared-shape'
  | 'function-cycle'
  /** A documented limit of inference was reached; what lies behind it stays unknown. */
  | 'inference-limit';

export interface Problem {
  readonly level: 'error' | 'warning';
  readonly rule: ProblemRule;
  readonly message: string;
  /** Undefined for a problem of the graph's own inputs and outputs. */
  readonly node: Node | undefined;
  /** The value meant, where it is not the whole node. */
  readonly value?: string;
}

/** One element: an integer or bool (0n, 1n), a float, the name of a symbolic dimension, or unknown. */
export type Element = bigint | number | string | null;

/** A small tensor whose elements are known one by one. */
export interface PartialTensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly elements: readonly Element[];
}

/** A value that constants alone lead to. */
export interface Constancy {
  /** Bytes of the largest stored tensor behind it. */
  readonly storedBytes: number;
  /** It, or something before it, is beyond what may be computed ahead of time (and was reported). */
  readonly tooLarge: boolean;
}

/** What the body of a subgraph gave. */
export interface SubgraphResult {
  readonly types: readonly (ValueType | undefined)[];
  /** Multiply–accumulates of one pass through the body; null when a shape they need is unknown. */
  readonly macs: number | null;
}

/** What a rule may ask of its surroundings. */
export interface InferContext {
  /** The version imported for a domain; 0 when the domain is not imported. */
  opsetOf(domain: string): number;
  typeOf(value: Value): ValueType | undefined;
  /** The elements of a small value, as far as they follow from the graph alone. */
  knownOf(value: Value): PartialTensor | undefined;
  setKnown(value: Value, known: PartialTensor): void;
  /** Undefined unless nothing but constants leads to the value. */
  constancyOf(value: Value): Constancy | undefined;
  setConstancy(value: Value, constancy: Constancy): void;
  /** What the model itself says of a node's output: used only where no rule can tell. */
  declaredOf(value: Value): ValueType | undefined;
  /** An attribute, a reference to the enclosing function's attribute resolved. */
  attributeOf(node: Node, name: string): Attribute | undefined;
  report(problem: Problem): void;
  /** Infers a subgraph whose formal inputs have these types (undefined = as declared). */
  inferSubgraph(graph: Graph, inputs: readonly (ValueType | undefined)[]): SubgraphResult;
  /** Infers a call of a model-local function; undefined when the node calls none. */
  inferFunction(node: Node): SubgraphResult | undefined;
  /** Runs a trial whose problems are dropped unless `keep` says so of its result. */
  attempt<T>(trial: () => T, keep: (result: T) => boolean): T;
}

/** The types of a node's outputs; fewer than the outputs where the rest is unknown. @throws Failure through Call.fail */
export type Rule = (call: Call) => readonly (ValueType | undefined)[];

export type RuleTable = Readonly<Record<string, Rule>>;

/** The values of a node's outputs, as far as they are known. Runs after the rule, only while the results are small. */
export type Evaluator = (
  call: Call,
  outputs: readonly (ValueType | undefined)[],
) => readonly (PartialTensor | undefined)[];
