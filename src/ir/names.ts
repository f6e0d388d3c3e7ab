/**
 * The names under which values are written.
 *
 * Graph inputs and the outputs of a main graph are public and keep their names. A value that fills an output slot
 * takes the slot's name; where it cannot (it is an input, comes from outside, or fills another slot already) the slot
 * is bridged by an Identity. Every other value keeps its name unless the name is taken in its graph or in one around
 * it; then, and when it has none, it gets `base_1`, `base_2`… No name is new that occurs anywhere in the model.
 * One exception keeps models as they were read: a name that was read inside a subgraph may hide one outside (that a
 * Scan's state has the same name inside and out is common) as long as nothing in there reads the outer value.
 */
import { OrthoError } from '../core/errors.ts';
import { allGraphs, type Graph } from './graph.ts';
import { protoOfTensor } from './tensor-from-proto.ts';
import type { Value } from './value.ts';

export interface Naming {
  readonly names: ReadonlyMap<Value, string>;
  /** The written names of a graph's output slots. */
  readonly slots: ReadonlyMap<Graph, readonly string[]>;
  /** Slots that need an Identity from the value to the slot's name. */
  readonly bridged: ReadonlyMap<Graph, ReadonlySet<number>>;
}

/** Names taken in a graph and in those around it. */
interface Taken {
  readonly own: Set<string>;
  readonly outer: Taken | undefined;
  /** Names of outer values that are read inside. */
  readonly captured: ReadonlySet<string>;
}

const isTaken = (name: string, taken: Taken): boolean => {
  for (let scope: Taken | undefined = taken; scope; scope = scope.outer) if (scope.own.has(name)) return true;
  return false;
};

/** Whether the value has the name it was read with. */
const wasRead = (value: Value): boolean =>
  value.producer
    ? value.producer.origin !== undefined
    : value.origin !== undefined ||
      (value.initializer !== undefined && protoOfTensor(value.initializer) !== undefined);

const isFree = (name: string, value: Value, taken: Taken): boolean =>
  !isTaken(name, taken) ||
  (!taken.own.has(name) && !taken.captured.has(name) && name === value.name && wasRead(value));

/** For a graph and each one inside it: the values from outside that it, or one inside it, reads. */
const findCaptures = (root: Graph): Map<Graph, Set<Value>> => {
  const captures = new Map<Graph, Set<Value>>();
  // Innermost first: what they capture is read by the graph that holds them.
  for (const graph of [...allGraphs(root)].reverse()) {
    const found = new Set<Value>();
    const { nodes } = graph;
    for (const value of graph.outputs) if (value) found.add(value);
    for (const node of nodes) {
      for (const value of node.inputs) if (value) found.add(value);
      for (const subgraph of node.subgraphs)
        for (const value of captures.get(subgraph) ?? []) found.add(value);
    }
    for (const value of graph.inputs) found.delete(value);
    for (const value of graph.initializers) found.delete(value);
    for (const node of nodes) for (const value of node.outputs) found.delete(value);
    captures.set(graph, found);
  }
  return captures;
};

class Namer {
  readonly names = new Map<Value, string>();
  readonly slots = new Map<Graph, string[]>();
  readonly bridged = new Map<Graph, Set<number>>();
  readonly #occurring = new Set<string>();
  readonly #counters = new Map<string, number>();
  readonly #captures: ReadonlyMap<Graph, ReadonlySet<Value>>;

  constructor(root: Graph) {
    this.#captures = findCaptures(root);
    for (const graph of allGraphs(root)) {
      for (const value of graph.inputs) this.#occurring.add(value.name);
      for (const value of graph.initializers) this.#occurring.add(value.name);
      for (const name of graph.outputNames) this.#occurring.add(name);
      for (const node of graph.nodes) for (const output of node.outputs) this.#occurring.add(output.name);
    }
  }

  name(graph: Graph, outer: Taken | undefined): void {
    const captured = new Set(
      [...(this.#captures.get(graph) ?? [])].map((value) => this.names.get(value) ?? ''),
    );
    const taken: Taken = { own: new Set(), outer, captured };
    for (const value of graph.inputs) this.#give(value, value.name, 'input', taken);
    this.#nameSlots(graph, taken);
    for (const value of graph.initializers) this.#give(value, value.name, 'initializer', taken);
    const { nodes } = graph;
    for (const node of nodes) {
      const base = node.name === '' ? node.op.toLowerCase() : node.name;
      for (const output of node.outputs) {
        if (output.name === '' && !output.isUsed) this.names.set(output, '');
        else this.#give(output, output.name, `${base}_output`, taken);
      }
    }
    for (const node of nodes) for (const subgraph of node.subgraphs) this.name(subgraph, taken);
  }

  #give(value: Value, wanted: string, base: string, taken: Taken): void {
    if (this.names.has(value)) return;
    const name =
      wanted !== '' && isFree(wanted, value, taken) ? wanted : this.#fresh(wanted === '' ? base : wanted);
    taken.own.add(name);
    this.names.set(value, name);
  }

  #fresh(base: string): string {
    let counter = this.#counters.get(base) ?? 0;
    let name: string;
    do name = `${base}_${++counter}`;
    while (this.#occurring.has(name));
    this.#counters.set(base, counter);
    this.#occurring.add(name);
    return name;
  }

  #nameSlots(graph: Graph, taken: Taken): void {
    const written = graph.slots.map(({ name }, index) => {
      const value = graph.outputs[index];
      if (value === undefined) {
        throw new OrthoError('internal/bug', `output "${name}" of graph "${graph.name}" has no value`);
      }
      return name;
    });
    const bridged = new Set<number>();
    const initializers = new Set(graph.initializers);
    const mayTake = (value: Value): boolean =>
      value.producer ? value.producer.graph === graph : initializers.has(value) && !value.isGraphInput;
    const isRenamable = (value: Value): boolean => mayTake(value) && !value.isPinned;
    const isSameName = (value: Value, name: string): boolean =>
      mayTake(value) ? value.name === name : this.names.get(value) === name;
    const claim = (index: number, value: Value, name: string): void => {
      if (mayTake(value)) {
        // Output names of a subgraph are positional: one that is taken around it gives way.
        const free = isFree(name, value, taken) ? name : this.#fresh(name);
        this.names.set(value, free);
        taken.own.add(free);
        written[index] = free;
      }
    };
    const rest: number[] = [];
    const unchanged = new Set<string>();
    graph.slots.forEach(({ name }, index) => {
      const value = graph.outputs[index] as Value;
      if (isSameName(value, name) && !unchanged.has(name)) {
        unchanged.add(name);
        claim(index, value, name);
      } else rest.push(index);
    });
    for (const index of rest) {
      const value = graph.outputs[index] as Value;
      const name = written[index] as string;
      if (isRenamable(value) && !this.names.has(value)) claim(index, value, name);
      else {
        if (taken.outer === undefined && isTaken(name, taken)) {
          throw new OrthoError(
            'internal/bug',
            `"${name}" names an output and another value of the interface`,
          );
        }
        written[index] = isTaken(name, taken) ? this.#fresh(name) : name;
        taken.own.add(written[index] as string);
        bridged.add(index);
      }
    }
    this.slots.set(graph, written);
    this.bridged.set(graph, bridged);
  }
}

/** Names for every value of a graph and of the graphs inside it. */
export const assignNames = (root: Graph): Naming => {
  const namer = new Namer(root);
  namer.name(root, undefined);
  return namer;
};
