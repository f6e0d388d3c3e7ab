/**
 * A value of a graph: identity (never compared by name), one origin (a node's output, an initializer, an input),
 * and tracked uses. Operands change only through `Node.setInput` and `Graph.setOutput`, so uses are always right.
 */
import type { DType } from '../core/dtype.ts';
import type { Tensor } from '../core/tensor.ts';
import type { SparseTensor } from './attribute.ts';
import type { Graph } from './graph.ts';
import type { Node } from './node.ts';
import { type Shape, tensorType, type ValueType } from './type.ts';

/** One use: operand `index` of a node, or output slot `index` of a graph (the graph is a user of its outputs). */
export interface Use {
  readonly user: Node | Graph;
  readonly index: number;
}

export class Value {
  /** Unique in its scope when written; '' for an omitted optional output of a node. */
  name: string;
  type: ValueType | undefined;
  docString = '';
  /** The decoded message this came from: serde writes from it what the graph does not model. */
  origin: object | undefined;
  /** The node whose output this is; undefined for inputs and initializers. */
  readonly producer: Node | undefined;
  readonly #uses = new Map<Node | Graph, Set<number>>();
  /** @internal set by Graph only */
  initializerTensor: Tensor | undefined;
  /** @internal set by Graph only */
  sparseTensor: SparseTensor | undefined;
  /**
   * Named by something that is no node (a quantization annotation, a training binding): it counts as used although no
   * use shows, so that it is not removed as dead.
   */
  isPinned = false;
  /** @internal set by Graph only: the graph whose formal input this is */
  inputOf: Graph | undefined;

  constructor(name: string, type?: ValueType, producer?: Node) {
    this.name = name;
    this.type = type;
    this.producer = producer;
  }

  /** Element type, if this is a tensor of known type. */
  get dtype(): DType | undefined {
    return this.type?.kind === 'tensor' ? this.type.dtype : undefined;
  }

  /** Dimensions, if this is a tensor of known rank. */
  get shape(): Shape | undefined {
    return this.type?.kind === 'tensor' ? this.type.shape : undefined;
  }

  setTensorType(dtype: DType | undefined, shape: Shape | undefined): void {
    this.type = tensorType(dtype, shape);
  }

  /** The stored tensor of an initializer, even when a caller may override it. */
  get initializer(): Tensor | undefined {
    return this.initializerTensor;
  }

  get sparseInitializer(): SparseTensor | undefined {
    return this.sparseTensor;
  }

  get isGraphInput(): boolean {
    return this.inputOf !== undefined;
  }

  /** The tensor when it is certain: an initializer that is not also an input (those can be overridden). */
  get constant(): Tensor | undefined {
    return this.isGraphInput ? undefined : this.initializerTensor;
  }

  /** A copy, in the order the uses were made: safe to edit while looping. */
  get uses(): Use[] {
    return [...this.#uses].flatMap(([user, indices]) => [...indices].map((index) => ({ user, index })));
  }

  get isUsed(): boolean {
    return this.#uses.size > 0 || this.isPinned;
  }

  get useCount(): number {
    let count = 0;
    for (const indices of this.#uses.values()) count += indices.size;
    return count;
  }

  /** Every use of this value becomes a use of `other`. Output names stay: they belong to the graph's slots. */
  replaceAllUsesWith(other: Value): void {
    if (other === this) return;
    for (const { user, index } of this.uses) user.setOperand(index, other);
  }

  /** @internal */
  link(user: Node | Graph, index: number): void {
    const indices = this.#uses.get(user);
    if (indices) indices.add(index);
    else this.#uses.set(user, new Set([index]));
  }

  /** @internal */
  unlink(user: Node | Graph, index: number): void {
    const indices = this.#uses.get(user);
    indices?.delete(index);
    if (indices?.size === 0) this.#uses.delete(user);
  }
}

/** A list of operands that keeps the uses of its values right. */
export class Operands {
  readonly #list: (Value | undefined)[] = [];
  readonly #user: Node | Graph;

  constructor(user: Node | Graph) {
    this.#user = user;
  }

  get view(): readonly (Value | undefined)[] {
    return this.#list;
  }

  set(index: number, value: Value | undefined): void {
    this.#list[index]?.unlink(this.#user, index);
    while (this.#list.length < index) this.#list.push(undefined);
    this.#list[index] = value;
    value?.link(this.#user, index);
  }

  /** Cuts the list to `length` operands. */
  truncate(length: number): void {
    for (let i = length; i < this.#list.length; i++) this.#list[i]?.unlink(this.#user, i);
    this.#list.length = Math.min(length, this.#list.length);
  }
}
