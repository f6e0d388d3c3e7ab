/**
 * A graph that can be edited safely: a doubly linked list of nodes, formal inputs, initializers, and output slots.
 *
 * Two choices keep passes short. The graph is a *user* of its outputs, so replacing a value covers them. The *name*
 * of an output belongs to the graph's slot, not to the value; serde writes the value under that name and adds an
 * Identity only where it must (the value is an input or initializer, or fills two slots).
 */
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import type { SparseTensor } from './attribute.ts';
import { Node, type NodeSpec } from './node.ts';
import { tensorType, type ValueType } from './type.ts';
import { Operands, Value } from './value.ts';

/** A graph output: its public name and declared type. */
export interface OutputSlot {
  name: string;
  type: ValueType | undefined;
  docString: string;
  origin: object | undefined;
}

export class Graph {
  name: string;
  docString = '';
  /** The decoded message this came from: serde writes from it what the graph does not model. */
  origin: object | undefined;
  /** The node whose attribute holds this subgraph; undefined for a model's or function's own graph. */
  owner: Node | undefined;
  readonly #inputs: Value[] = [];
  readonly #initializers = new Set<Value>();
  readonly #outputs = new Operands(this);
  readonly #slots: OutputSlot[] = [];
  #first: Node | undefined;
  #last: Node | undefined;
  #count = 0;

  constructor(name = '') {
    this.name = name;
  }

  // Inputs

  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  addInput(name: string, type?: ValueType): Value {
    const value = new Value(name, type);
    value.inputOf = this;
    this.#inputs.push(value);
    return value;
  }

  /** @throws internal/bug while the input is used. */
  removeInput(value: Value): void {
    this.#refuseWhileUsed(value, 'input');
    this.#inputs.splice(this.#inputs.indexOf(value), 1);
    value.inputOf = undefined;
    this.#initializers.delete(value);
  }

  // Initializers

  /** Initializers in order, the overridable ones (also inputs) and the sparse ones included. */
  get initializers(): Value[] {
    return [...this.#initializers];
  }

  addInitializer(name: string, tensor: Tensor): Value {
    const value = new Value(name, tensorType(tensor.dtype, tensor.dims));
    this.setInitializer(value, tensor);
    return value;
  }

  addSparseInitializer(name: string, tensor: SparseTensor): Value {
    const value = new Value(name, tensorType(tensor.values.dtype, tensor.dims));
    this.setSparseInitializer(value, tensor);
    return value;
  }

  /** As setInitializer, for a sparse tensor. */
  setSparseInitializer(value: Value, tensor: SparseTensor): void {
    value.sparseTensor = tensor;
    this.#initializers.add(value);
  }

  /** Gives an initializer a new tensor, or a formal input its default (then it is overridable). */
  setInitializer(value: Value, tensor: Tensor): void {
    value.initializerTensor = tensor;
    if (!value.isGraphInput) value.type = tensorType(tensor.dtype, tensor.dims);
    this.#initializers.add(value);
  }

  /** @throws internal/bug while the initializer is used. */
  removeInitializer(value: Value): void {
    this.#refuseWhileUsed(value, 'initializer');
    this.#initializers.delete(value);
    value.initializerTensor = undefined;
    value.sparseTensor = undefined;
  }

  // Outputs

  get outputs(): readonly (Value | undefined)[] {
    return this.#outputs.view;
  }

  /** The output slots (name and declared type), parallel to `outputs`. */
  get slots(): readonly OutputSlot[] {
    return this.#slots;
  }

  get outputNames(): string[] {
    return this.#slots.map((slot) => slot.name);
  }

  addOutput(name: string, value: Value | undefined, type: ValueType | undefined = value?.type): void {
    this.#slots.push({ name, type, docString: '', origin: undefined });
    this.#outputs.set(this.#slots.length - 1, value);
  }

  setOutput(index: number, value: Value | undefined): void {
    this.#outputs.set(index, value);
  }

  /** The same as setOutput: what Value.replaceAllUsesWith calls on every user. */
  setOperand(index: number, value: Value | undefined): void {
    this.#outputs.set(index, value);
  }

  removeOutput(index: number): void {
    const rest = this.#outputs.view.slice(index + 1);
    this.#slots.splice(index, 1);
    this.#outputs.truncate(index);
    rest.forEach((value, i) => {
      this.#outputs.set(index + i, value);
    });
  }

  // Nodes

  get nodeCount(): number {
    return this.#count;
  }

  /** The nodes in order, as a copy: safe to edit while looping. */
  get nodes(): Node[] {
    const nodes: Node[] = [];
    for (let node = this.#first; node; node = node.next) nodes.push(node);
    return nodes;
  }

  /** Appends a node. */
  add(node: Node | NodeSpec): Node {
    return this.#insert(node, undefined);
  }

  insertBefore(node: Node | NodeSpec, reference: Node): Node {
    return this.#insert(node, reference);
  }

  insertAfter(node: Node | NodeSpec, reference: Node): Node {
    return this.#insert(node, reference.next);
  }

  #insert(spec: Node | NodeSpec, before: Node | undefined): Node {
    const node = spec instanceof Node ? spec : new Node(spec);
    if (node.graph !== undefined)
      throw new OrthoError('internal/bug', `node "${node.name}" is already in a graph`);
    const after = before ? before.previous : this.#last;
    node.graph = this;
    node.previous = after;
    node.next = before;
    if (after) after.next = node;
    else this.#first = node;
    if (before) before.previous = node;
    else this.#last = node;
    this.#count++;
    return node;
  }

  /** Takes a node out and releases its inputs, also those its subgraphs capture. @throws internal/bug while an output is used. */
  remove(node: Node): void {
    for (const output of node.outputs) this.#refuseWhileUsed(output, `output of ${node.qualifiedOp}`);
    this.#unlink(node);
    node.truncateInputs(0);
    for (const subgraph of node.subgraphs) subgraph.clear();
  }

  /** Moves a node of this graph before another one. */
  moveBefore(node: Node, reference: Node): void {
    if (node === reference) return;
    this.#unlink(node);
    this.#insert(node, reference);
  }

  /** Releases everything: outputs first, then nodes from the last to the first. */
  clear(): void {
    this.#outputs.truncate(0);
    this.#slots.length = 0;
    for (let node = this.#last; node; node = this.#last) this.remove(node);
  }

  #unlink(node: Node): void {
    if (node.graph !== this)
      throw new OrthoError('internal/bug', `node "${node.name}" is not in graph "${this.name}"`);
    if (node.previous) node.previous.next = node.next;
    else this.#first = node.next;
    if (node.next) node.next.previous = node.previous;
    else this.#last = node.previous;
    node.graph = undefined;
    node.previous = undefined;
    node.next = undefined;
    this.#count--;
  }

  #refuseWhileUsed(value: Value, what: string): void {
    const use = value.uses[0];
    if (use === undefined) return;
    const user =
      use.user instanceof Node
        ? `${use.user.qualifiedOp} "${use.user.name}"`
        : `output of "${use.user.name}"`;
    throw new OrthoError(
      'internal/bug',
      `cannot remove ${what} "${value.name}": it still has ${value.useCount} use(s), first as operand ${use.index} of ${user}`,
    );
  }
}

/** Every node of a graph and of its subgraphs, outer nodes first, with the graph that holds it. */
export function* allNodes(graph: Graph): Generator<Node> {
  const pending = [graph];
  for (let current = pending.pop(); current; current = pending.pop()) {
    for (const node of current.nodes) {
      yield node;
      for (const subgraph of node.subgraphs) pending.push(subgraph);
    }
  }
}

/** A graph and all graphs nested in it. */
export function* allGraphs(graph: Graph): Generator<Graph> {
  yield graph;
  for (const node of allNodes(graph)) yield* node.subgraphs;
}
