/**
 * Shape inference of a whole model. Every value gets the type that follows from the inputs and the operators; what the
 * model itself declares inside (value_info, outputs) is not trusted, it only fills in where no rule can tell.
 */
import { allGraphs, allNodes, type Graph } from '../../ir/graph.ts';
import type { Model } from '../../ir/model.ts';
import type { Node } from '../../ir/node.ts';
import type { ValueType } from '../../ir/type.ts';
import type { Value } from '../../ir/value.ts';
import { isKnown, showShape } from './dims.ts';
import { type BodyVisitor, functionKey, Scope, type Shared } from './scope.ts';
import type { Constancy, InferContext, PartialTensor, Problem } from './types.ts';

/** How many node inferences a model may take: this many times its nodes, and some for small ones. */
const BUDGET_FACTOR = 8;
const BUDGET_BASE = 50_000;

export interface InferOptions {
  readonly report?: (problem: Problem) => void;
  /** Leave the model as it is: only the result and the problems count. */
  readonly dryRun?: boolean;
  /** Called with the body of a local function after each call of it, with the types that the call led to. */
  readonly onBody?: BodyVisitor;
}

/** What inference knows beyond the types it wrote. */
export interface Inference {
  /** Multiply–accumulates of one run of the model (the costlier branch of each If); null when a shape is unknown. */
  readonly macs: number | null;
  /** The same of one node of the model's graph or subgraphs; undefined for nodes that were not reached. */
  macsOf(node: Node): number | null | undefined;
  typeOf(value: Value): ValueType | undefined;
  /** The elements of a small value, as far as they follow from the graph alone. */
  knownOf(value: Value): PartialTensor | undefined;
  /** Undefined unless nothing but constants leads to the value. */
  constancyOf(value: Value): Constancy | undefined;
}

const newShared = (
  functions: Model['functions'],
  budget: number,
  report: (problem: Problem) => void,
  onBody?: BodyVisitor,
): Shared => ({
  onBody,
  functions: new Map(functions.map((item) => [functionKey(item.domain, item.name, item.overload), item])),
  report,
  budget,
  depth: 0,
  active: new Set(),
  calls: new Map(),
  identities: new Map(),
  reached: new Set(),
});

const countNodes = (graph: Graph): number => {
  let count = 0;
  for (const _ of allNodes(graph)) count++;
  return count;
};

/**
 * Infers the types of all values of a model, subgraphs included, and writes them to `Value.type`; local functions are
 * followed call by call. Symbolic dimensions are kept, derived ones unknown unless they are certainly equal.
 * Never throws on a bad model: problems go to `report`.
 */
export const inferShapes = (model: Model, options: InferOptions = {}): Inference => {
  const report = options.report ?? (() => undefined);
  const bodies = [model.graph, ...model.functions.map(({ body }) => body)];
  const nodes = bodies.reduce((sum, graph) => sum + countNodes(graph), 0);
  const shared = newShared(model.functions, BUDGET_BASE + BUDGET_FACTOR * nodes, report, options.onBody);
  const scope = new Scope(model.opsets, shared);
  const { macs } = scope.inferGraph(model.graph);
  for (const unused of model.functions) {
    if (shared.reached.has(unused)) continue;
    const inner = new Scope(unused.opsets, shared, new Map());
    inner.inferSubgraph(unused.body, []);
  }
  checkDeclared(model.graph, scope, report);
  if (!options.dryRun) {
    for (const [value, type] of scope.types) {
      const found = type ?? scope.declaredOf(value);
      if (found) value.type = found;
    }
  }
  return {
    macs,
    macsOf: (node) => scope.macs.get(node),
    typeOf: (value) => scope.typeOf(value),
    knownOf: (value) => scope.knownOf(value),
    constancyOf: (value) => scope.constancyOf(value),
  };
};

/**
 * A context for inferring nodes one by one, for builders: types are read from `Value.type`, known values and constants
 * of the nodes inferred before are remembered.
 */
export const inferenceContext = (
  opsets: ReadonlyMap<string, number>,
  report: (problem: Problem) => void = () => undefined,
  functions: Model['functions'] = [],
): InferContext => new BuilderScope(opsets, newShared(functions, Number.POSITIVE_INFINITY, report));

class BuilderScope extends Scope {
  override typeOf(value: Value): ValueType | undefined {
    return this.types.get(value) ?? value.type;
  }
}

/** Reports where the model declares another type than inference found: element types as errors, shapes as warnings. */
const checkDeclared = (graph: Graph, scope: Scope, report: (problem: Problem) => void): void => {
  const outputs = new Set<Value>();
  for (const inner of allGraphs(graph)) {
    inner.slots.forEach((slot, i) => {
      const value = inner.outputs[i];
      if (value === undefined) return;
      outputs.add(value);
      const what = inner === graph ? 'graph output' : 'subgraph output';
      compare(slot.name, what, slot.type, scope.typeOf(value), value.producer, report);
    });
  }
  for (const [value, type] of scope.types) {
    if (value.producer && !outputs.has(value)) {
      compare(value.name, 'value', value.type, type, value.producer, report);
    }
  }
};

const compare = (
  name: string,
  what: string,
  declared: ValueType | undefined,
  inferred: ValueType | undefined,
  node: Node | undefined,
  report: (problem: Problem) => void,
): void => {
  if (declared === undefined || inferred === undefined || declared === inferred) return;
  const say = (level: Problem['level'], rule: Problem['rule'], was: string, is: string): void => {
    const message = `${what} "${name}" is declared ${was}, inferred ${is}`;
    report({ level, rule, message, node, value: name });
  };
  if (declared.kind !== inferred.kind) {
    say('error', 'declared-type', declared.kind, inferred.kind);
  } else if (declared.kind === 'tensor' && inferred.kind === 'tensor') {
    const [a, b] = [declared, inferred];
    if (a.dtype && b.dtype && a.dtype !== b.dtype) say('error', 'declared-type', a.dtype, b.dtype);
    const differ =
      a.shape &&
      b.shape &&
      (a.shape.length !== b.shape.length ||
        a.shape.some((dim, i) => isKnown(dim) && isKnown(b.shape?.[i]) && dim !== b.shape[i]));
    if (differ) say('warning', 'declared-shape', showShape(a.shape), showShape(b.shape));
  }
};
