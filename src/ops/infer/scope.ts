/**
 * The state of an inference: types, small values and constancy by value, and how bodies are entered.
 * Subgraphs share their model's (or function's) scope, since captured values are plain references; every call of a
 * local function gets a scope of its own, so that two calls with other shapes do not disturb each other. Results of
 * calls are remembered by what goes in, which keeps functions that call each other twice, level by level, linear.
 */

import { byteLengthOf } from '../../core/dtype.ts';
import type { Attribute } from '../../ir/attribute.ts';
import type { Graph } from '../../ir/graph.ts';
import type { ModelFunction } from '../../ir/model.ts';
import type { Node } from '../../ir/node.ts';
import type { ValueType } from '../../ir/type.ts';
import type { Value } from '../../ir/value.ts';
import { canonicalDomain } from '../schemas.ts';
import { inferCall } from './infer-node.ts';
import { partialOf } from './partial.ts';
import type { Constancy, InferContext, PartialTensor, Problem, SubgraphResult } from './types.ts';

/** Subgraphs and function calls inside each other beyond this depth stay unknown. */
export const MAX_DEPTH = 64;

interface CallResult {
  readonly result: SubgraphResult;
  readonly known: readonly (PartialTensor | undefined)[];
  readonly constancy: readonly (Constancy | undefined)[];
}

/** Looks at the body of a local function as one call of it has typed it. */
export type BodyVisitor = (body: Graph, typeOf: (value: Value) => ValueType | undefined) => void;

/** What all scopes of one inference share. */
export interface Shared {
  readonly onBody: BodyVisitor | undefined;
  readonly functions: ReadonlyMap<string, ModelFunction>;
  readonly report: (problem: Problem) => void;
  /** Node inferences left; loops and functions repeat some, a hostile nest of them would repeat forever. */
  budget: number;
  depth: number;
  readonly active: Set<ModelFunction>;
  readonly calls: Map<string, CallResult>;
  readonly identities: Map<object, number>;
  /** Functions that some call reached: the others are inferred with unknown inputs. */
  readonly reached: Set<ModelFunction>;
}

export const functionKey = (domain: string, name: string, overload: string): string =>
  `${canonicalDomain(domain)}\0${name}\0${overload}`;

export class Scope implements InferContext {
  readonly types = new Map<Value, ValueType | undefined>();
  readonly macs = new Map<Node, number | null>();
  readonly #known = new Map<Value, PartialTensor | undefined>();
  readonly #constancy = new Map<Value, Constancy>();
  readonly #declared = new Map<Value, ValueType>();
  readonly #opsets: ReadonlyMap<string, number>;
  readonly #shared: Shared;
  /** Attributes of the function call this scope belongs to; undefined outside functions. */
  readonly #bindings: ReadonlyMap<string, Attribute> | undefined;
  #report: (problem: Problem) => void;

  constructor(
    opsets: ReadonlyMap<string, number>,
    shared: Shared,
    bindings?: ReadonlyMap<string, Attribute>,
  ) {
    this.#opsets = opsets;
    this.#shared = shared;
    this.#bindings = bindings;
    this.#report = shared.report;
  }

  opsetOf(domain: string): number {
    return this.#opsets.get(domain) ?? (domain === '' ? this.#opsets.get('ai.onnx') : undefined) ?? 0;
  }

  typeOf(value: Value): ValueType | undefined {
    if (this.types.has(value)) return this.types.get(value);
    return value.producer === undefined ? value.type : undefined;
  }

  knownOf(value: Value): PartialTensor | undefined {
    if (this.#known.has(value)) return this.#known.get(value);
    const known = value.constant && partialOf(value.constant);
    if (value.constant) this.#known.set(value, known);
    return known;
  }

  setKnown(value: Value, known: PartialTensor): void {
    this.#known.set(value, known);
  }

  constancyOf(value: Value): Constancy | undefined {
    const { constant } = value;
    if (constant === undefined) return this.#constancy.get(value);
    const count = constant.dims.reduce((a, b) => a * b, 1);
    return { storedBytes: byteLengthOf(constant.dtype, count), tooLarge: false };
  }

  setConstancy(value: Value, constancy: Constancy): void {
    this.#constancy.set(value, constancy);
  }

  declaredOf(value: Value): ValueType | undefined {
    return value.type ?? this.#declared.get(value);
  }

  attributeOf(node: Node, name: string): Attribute | undefined {
    const attribute = node.attributes.get(name);
    if (attribute?.kind !== 'reference' || this.#bindings === undefined) return attribute;
    return this.#bindings.get(attribute.to);
  }

  report(problem: Problem): void {
    this.#report(problem);
  }

  attempt<T>(trial: () => T, keep: (result: T) => boolean): T {
    const outer = this.#report;
    const problems: Problem[] = [];
    this.#report = (problem) => problems.push(problem);
    try {
      const result = trial();
      if (keep(result)) problems.forEach(outer);
      return result;
    } finally {
      this.#report = outer;
    }
  }

  inferSubgraph(graph: Graph, inputs: readonly (ValueType | undefined)[]): SubgraphResult {
    graph.inputs.forEach((value, i) => {
      this.types.set(value, inputs[i] ?? value.type);
    });
    return this.inferGraph(graph);
  }

  /** Infers every node of a graph, in order. */
  inferGraph(graph: Graph): SubgraphResult {
    const shared = this.#shared;
    if (shared.depth >= MAX_DEPTH) {
      this.#limit(graph.owner, `more than ${MAX_DEPTH} graphs inside each other`);
      return { types: graph.outputs.map(() => undefined), macs: null };
    }
    graph.slots.forEach(({ type }, i) => {
      const value = graph.outputs[i];
      if (value && type && value.type === undefined) this.#declared.set(value, type);
    });
    shared.depth++;
    let macs: number | null = 0;
    for (const node of graph.nodes) {
      const own = this.inferOne(node);
      macs = macs === null || own === null ? null : macs + own;
    }
    shared.depth--;
    return { types: graph.outputs.map((value) => value && this.typeOf(value)), macs };
  }

  /** Infers one node and keeps its results; gives its multiply–accumulates. */
  inferOne(node: Node): number | null {
    const shared = this.#shared;
    for (const output of node.outputs) {
      this.#known.delete(output);
      this.#constancy.delete(output);
    }
    if (shared.budget-- <= 0) {
      if (shared.budget === -1) this.#limit(node, 'too many repeated inferences of bodies');
      for (const output of node.outputs) this.types.set(output, undefined);
      return null;
    }
    const { types, macs } = inferCall(node, this);
    node.outputs.forEach((output, i) => {
      this.types.set(output, types[i]);
    });
    this.macs.set(node, macs);
    return macs;
  }

  inferFunction(node: Node): SubgraphResult | undefined {
    const shared = this.#shared;
    const called = shared.functions.get(functionKey(node.domain, node.op, node.overload));
    if (called === undefined) return undefined;
    shared.reached.add(called);
    if (shared.active.has(called)) {
      this.report({
        level: 'error',
        rule: 'function-cycle',
        message: `${node.qualifiedOp}: the function calls itself`,
        node,
      });
      return { types: [], macs: null };
    }
    const key = this.#callKey(node, called);
    let done = shared.calls.get(key);
    if (done === undefined) {
      done = this.#enter(node, called);
      shared.calls.set(key, done);
    }
    const { result, known, constancy } = done;
    node.outputs.forEach((output, i) => {
      const partial = known[i];
      const constant = constancy[i];
      if (partial) this.setKnown(output, partial);
      if (constant) this.setConstancy(output, constant);
    });
    return result;
  }

  #enter(node: Node, called: ModelFunction): CallResult {
    const shared = this.#shared;
    const { body } = called;
    const bindings = new Map(called.defaults);
    for (const name of node.attributes.keys()) {
      const attribute = this.attributeOf(node, name);
      if (attribute) bindings.set(name, attribute);
    }
    const scope = new Scope(called.opsets, shared, bindings);
    scope.#report = this.#report;
    body.inputs.forEach((formal, i) => {
      const value = node.inputs[i];
      scope.types.set(formal, value && this.typeOf(value));
      const known = value && this.knownOf(value);
      const constancy = value && this.constancyOf(value);
      if (known) scope.setKnown(formal, known);
      if (constancy) scope.setConstancy(formal, constancy);
    });
    shared.active.add(called);
    const result = scope.inferGraph(body);
    shared.active.delete(called);
    shared.onBody?.(body, (value) => scope.typeOf(value));
    return {
      result,
      known: body.outputs.map((value) => value && scope.knownOf(value)),
      constancy: body.outputs.map((value) => value && scope.constancyOf(value)),
    };
  }

  /** Everything that the result of a call depends on. */
  #callKey(node: Node, called: ModelFunction): string {
    const inputs = node.inputs.map((value) => {
      if (value === undefined) return null;
      const known = this.knownOf(value);
      return [this.typeOf(value), known?.elements.map(String), this.constancyOf(value)];
    });
    const attributes = [...node.attributes.keys()].map((name) => {
      const attribute = this.attributeOf(node, name);
      const plain = attribute?.kind === 'int' || attribute?.kind === 'float';
      return [
        name,
        attribute?.kind,
        plain ? String(attribute.value) : attribute && this.#identity(attribute),
      ];
    });
    return JSON.stringify([this.#identity(called), inputs, attributes]);
  }

  #identity(object: object): number {
    const { identities } = this.#shared;
    const known = identities.get(object);
    if (known !== undefined) return known;
    identities.set(object, identities.size);
    return identities.size - 1;
  }

  #limit(node: Node | undefined, message: string): void {
    this.report({
      level: 'warning',
      rule: 'inference-limit',
      message: `shape inference stops: ${message}`,
      node,
    });
  }
}
