/** One application of an operator, as its rule sees it: typed inputs, checked attributes, and ways to say what is wrong. */
import { type DType, dtypeFromOnnx } from '../../core/dtype.ts';
import type { Tensor } from '../../core/tensor.ts';
import type { Attribute } from '../../ir/attribute.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Node } from '../../ir/node.ts';
import { type Dim, type Shape, tensorType, type ValueType } from '../../ir/type.ts';
import { canonicalDomain } from '../schemas.ts';
import { isKnown, showShape } from './dims.ts';
import type { Element, InferContext, PartialTensor, ProblemRule } from './types.ts';

/** Thrown by a rule that cannot go on; `inferNode` reports it and leaves the outputs unknown. */
export class Failure extends Error {
  readonly rule: ProblemRule;

  constructor(rule: ProblemRule, message: string) {
    super(message);
    this.rule = rule;
  }
}

const decoder = new TextDecoder();

/** Ranks beyond this are refused (no runtime takes them; a list of axes could otherwise ask for any amount). */
export const MAX_RANK = 64;

export class Call {
  readonly node: Node;
  readonly context: InferContext;
  /** Multiply–accumulates of the node's subgraphs or function body, where it has one. */
  bodyMacs: number | null | undefined;

  constructor(node: Node, context: InferContext) {
    this.node = node;
    this.context = context;
  }

  get op(): string {
    return this.node.op;
  }

  /** Version of the node's operator set. */
  get opset(): number {
    return this.context.opsetOf(canonicalDomain(this.node.domain));
  }

  // Problems

  /** Gives up on this node. */
  fail(rule: ProblemRule, message: string): never {
    throw new Failure(rule, message);
  }

  /** Reports and goes on. */
  warn(rule: ProblemRule, message: string, level: 'error' | 'warning' = 'warning'): void {
    this.context.report({ level, rule, message: `${this.node.qualifiedOp}: ${message}`, node: this.node });
  }

  // Inputs

  get inputCount(): number {
    return this.node.inputs.length;
  }

  has(index: number): boolean {
    return this.node.inputs[index] !== undefined;
  }

  type(index: number): ValueType | undefined {
    const value = this.node.inputs[index];
    return value && this.context.typeOf(value);
  }

  dtype(index: number): DType | undefined {
    const type = this.type(index);
    return type?.kind === 'tensor' || type?.kind === 'sparse-tensor' ? type.dtype : undefined;
  }

  shape(index: number): Shape | undefined {
    const type = this.type(index);
    return type?.kind === 'tensor' || type?.kind === 'sparse-tensor' ? type.shape : undefined;
  }

  /** Types of all inputs that are present. */
  get inputTypes(): (ValueType | undefined)[] {
    return this.node.inputs.flatMap((value) => (value ? [this.context.typeOf(value)] : []));
  }

  /** The shape of an input that must have one of these ranks; undefined when unknown. */
  ranked(index: number, ...ranks: number[]): Shape | undefined {
    const shape = this.shape(index);
    if (shape && !ranks.includes(shape.length)) {
      const expected = ranks.join(' or ');
      this.fail('rank-mismatch', `input ${index} has rank ${shape.length}, expected ${expected}`);
    }
    return shape;
  }

  /** The shape of an input with at least this rank; undefined when unknown. */
  atLeast(index: number, rank: number): Shape | undefined {
    const shape = this.shape(index);
    if (shape && shape.length < rank) {
      this.fail('rank-mismatch', `input ${index} has rank ${shape.length}, expected at least ${rank}`);
    }
    return shape;
  }

  known(index: number): PartialTensor | undefined {
    const value = this.node.inputs[index];
    return value && this.context.knownOf(value);
  }

  /**
   * The elements of a small integer input as dimensions (numbers beyond 2^53 are rounded); undefined when unknown.
   * When only its length is known: that many unknowns.
   */
  knownDims(index: number): Dim[] | undefined {
    const known = this.known(index);
    if (known) return known.elements.map(toDim);
    const shape = this.shape(index);
    const length = shape?.length === 1 ? shape[0] : undefined;
    return isKnown(length) && length <= MAX_RANK ? new Array<Dim>(length).fill(null) : undefined;
  }

  /** The elements of a small integer input when all are known. */
  knownInts(index: number): number[] | undefined {
    const dims = this.known(index)?.elements.map(toDim);
    return dims?.every(isKnown) ? dims : undefined;
  }

  /** The only element of a scalar (or one-element) input, where known. */
  knownScalar(index: number): Element | undefined {
    const known = this.known(index);
    return known?.elements.length === 1 ? known.elements[0] : undefined;
  }

  // Attributes

  attribute(name: string): Attribute | undefined {
    return this.context.attributeOf(this.node, name);
  }

  #expect<K extends Attribute['kind']>(name: string, kind: K): Extract<Attribute, { kind: K }> | undefined {
    const attribute = this.attribute(name);
    if (attribute === undefined || attribute.kind === 'reference') return undefined;
    if (attribute.kind !== kind) {
      this.fail('attribute-kind', `attribute ${name} must be of kind ${kind}, found ${attribute.kind}`);
    }
    return attribute as Extract<Attribute, { kind: K }>;
  }

  #safe(name: string, value: bigint): number {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) this.fail('attribute-range', `${name} out of range (${value})`);
    return number;
  }

  int(name: string): number | undefined;
  int(name: string, fallback: number): number;
  int(name: string, fallback?: number): number | undefined {
    const value = this.#expect(name, 'int')?.value;
    return value === undefined ? fallback : this.#safe(name, value);
  }

  ints(name: string): number[] | undefined {
    return this.#expect(name, 'ints')?.value.map((value) => this.#safe(name, value));
  }

  float(name: string): number | undefined {
    return this.#expect(name, 'float')?.value;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#expect(name, 'floats')?.value;
  }

  string(name: string): string | undefined {
    const value = this.#expect(name, 'string')?.value;
    return value && decoder.decode(value);
  }

  tensor(name: string): Tensor | undefined {
    return this.#expect(name, 'tensor')?.value;
  }

  graph(name: string): Graph {
    const graph = this.#expect(name, 'graph')?.value;
    return graph ?? this.fail('missing-attribute', `attribute ${name} is missing`);
  }

  /** True where an attribute cannot be told because it refers to one of an enclosing function that is not bound. */
  isUnbound(name: string): boolean {
    return this.attribute(name)?.kind === 'reference';
  }

  /** An attribute that names an element type. */
  dtypeAttribute(name: string, fallback?: DType): DType | undefined {
    const number = this.int(name);
    if (number === undefined) {
      return this.isUnbound(name) ? undefined : fallback;
    }
    return dtypeFromOnnx(number) ?? this.fail('attribute-range', `unknown data type ${number} (${name})`);
  }

  // Axes

  /** An axis in [−rank, rank) (or [−rank, rank] with `inclusive`) as a non-negative one. */
  axis(axis: number, rank: number, inclusive = false): number {
    const limit = inclusive ? rank : rank - 1;
    if (axis < -rank || axis > limit) {
      this.fail('axis-range', `axis ${axis} is out of range for rank ${rank}`);
    }
    return axis < 0 ? axis + rank : axis;
  }

  /** Several axes, each once. */
  axes(axes: readonly number[], rank: number): number[] {
    const result = axes.map((axis) => this.axis(axis, rank));
    if (new Set(result).size !== result.length) {
      this.fail('axis-range', `axes [${axes.join(', ')}] name an axis twice`);
    }
    return result;
  }

  // Results

  /** One tensor output. */
  out(dtype: DType | undefined, shape: Shape | undefined): [ValueType] {
    return [tensorType(dtype, shape)];
  }

  /** The first output has the type of input `index`. */
  like(index: number): (ValueType | undefined)[] {
    return [this.type(index)];
  }

  /** Fails when two known dimensions differ. */
  same(a: Dim | undefined, b: Dim | undefined, what: string): void {
    if (isKnown(a) && isKnown(b) && a !== b) this.fail('shape-mismatch', `${what} ${a} and ${b} differ`);
  }

  /** Two shapes as a text for messages. */
  show(...indices: number[]): string {
    return indices.map((index) => showShape(this.shape(index))).join(' and ');
  }
}

/** An element of a shape-like tensor as a dimension. */
export const toDim = (element: Element): Dim => (typeof element === 'bigint' ? Number(element) : element);
