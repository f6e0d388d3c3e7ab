/**
 * Which nodes of the model a node of the runtime's rewritten graph stands for.
 *
 * The runtime keeps names where it can. A node stands for the node of the model that has its name (or had it before the
 * runtime made it unique, `NAME_token_7`), and for those that make values with the names of its outputs (a node in the
 * blocked layout is called after such a value, `VALUE_nchwc`). From there it stands for everything backwards until what another node stands for: that is what
 * was fused into it. What hangs behind a node and reads what that node also reads (the addition of a residual) was
 * fused forwards.
 */
import type { Graph } from '../ir/graph.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';

/** The runtime calls a node of the blocked layout after the value it makes. */
const BLOCKED_SUFFIX = '_nchwc';

/** Operators that only change how a value lies in memory: inserted ones stand for nothing. */
const REORDERS: ReadonlySet<string> = new Set(['ReorderInput', 'ReorderOutput']);

/** Operators that the runtime inserts before or after others; then they make a value of another node's name. */
const INSERTED: ReadonlySet<string> = new Set(['Transpose', 'Cast']);

export const isReorder = ({ op, domain }: Node): boolean =>
  domain === 'com.microsoft.nchwc' && REORDERS.has(op);

const valuesByName = (graph: Graph): Map<string, Value> => {
  const values = new Map<string, Value>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) if (output.name !== '') values.set(output.name, output);
  }
  graph.slots.forEach(({ name }, i) => {
    const value = graph.outputs[i];
    if (value !== undefined) values.set(name, value);
  });
  return values;
};

/** The names under which a value is known outside. */
const namesOf = (value: Value, graph: Graph): string[] => [
  value.name,
  ...graph.slots.filter((_, i) => graph.outputs[i] === value).map(({ name }) => name),
];

class Origins {
  readonly owners = new Map<Node, Node>();
  readonly #values: ReadonlyMap<string, Value>;
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #runtime: Graph;

  constructor(original: Graph, runtime: Graph) {
    this.#runtime = runtime;
    this.#values = valuesByName(original);
    this.#nodes = new Map(
      original.nodes.filter(({ name }) => name !== '').map((node) => [node.name, node] as const),
    );
  }

  /** The nodes that a runtime node stands for by its names. */
  anchor(node: Node): void {
    if (isReorder(node)) return;
    const byName = this.#nodes.get(node.name) ?? this.#renamed(node);
    if (byName !== undefined) this.#own(byName, node);
    const stem = node.name.endsWith(BLOCKED_SUFFIX) ? [node.name.slice(0, -BLOCKED_SUFFIX.length)] : [];
    for (const name of [...node.outputs.flatMap((output) => namesOf(output, this.#runtime)), ...stem]) {
      const producer = this.#values.get(name)?.producer;
      if (producer === undefined || (INSERTED.has(node.op) && producer.op !== node.op)) continue;
      this.#own(producer, node);
    }
  }

  /** Everything before the anchors of a node that nobody else stands for. */
  claimBackwards(node: Node, anchors: readonly Node[]): void {
    const read = this.#producersOf(node);
    const pending = [...anchors];
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      for (const input of at.inputs) {
        const producer = input?.producer;
        if (producer === undefined || this.owners.has(producer)) continue;
        const before = this.#ownersBefore(producer);
        // It reads what this node does not read: it was fused into one of those that it reads.
        const stranger = before.find((owner) => owner !== node && !read.has(owner));
        const into = before.find((owner) => owner !== node && read.has(owner));
        if (stranger !== undefined && into !== undefined) this.#own(producer, into);
        else {
          this.#own(producer, node);
          pending.push(producer);
        }
      }
    }
  }

  /** QLinearConv `a_token_7` was made of Conv `a`; nodes that the runtime adds may be called after others too. */
  #renamed(node: Node): Node | undefined {
    const stem = node.name.replace(/_token_\d+$/, '');
    const original = stem === node.name ? undefined : this.#nodes.get(stem);
    return original !== undefined && node.op.includes(original.op) ? original : undefined;
  }

  #own(original: Node, runtime: Node): void {
    if (!this.owners.has(original)) this.owners.set(original, runtime);
  }

  #ownersBefore(node: Node): Node[] {
    return node.inputs.flatMap((input) => {
      const owner = input?.producer && this.owners.get(input.producer);
      return owner === undefined ? [] : [owner];
    });
  }

  /** The runtime nodes that a runtime node reads from, through reorders. */
  #producersOf(node: Node): Set<Node> {
    const found = new Set<Node>();
    for (const input of node.inputs) {
      let producer = input?.producer;
      while (producer !== undefined && isReorder(producer)) producer = producer.inputs[0]?.producer;
      if (producer !== undefined) found.add(producer);
    }
    return found;
  }
}

/**
 * @param original the graph of the model.
 * @param runtime what the runtime made of it; both without their subgraphs.
 * @returns the nodes that each runtime node stands for, in the order of the model; none for nodes that it added.
 */
export const originsOf = (original: Graph, runtime: Graph): Map<Node, readonly Node[]> => {
  const origins = new Origins(original, runtime);
  const anchors = new Map<Node, Node[]>();
  for (const node of runtime.nodes) origins.anchor(node);
  for (const [from, to] of origins.owners) {
    const list = anchors.get(to);
    if (list === undefined) anchors.set(to, [from]);
    else list.push(from);
  }
  for (const node of runtime.nodes) origins.claimBackwards(node, anchors.get(node) ?? []);
  const result = new Map<Node, Node[]>();
  for (const node of original.nodes) {
    const owner = origins.owners.get(node);
    if (owner === undefined || node.is('Constant')) continue;
    const list = result.get(owner);
    if (list === undefined) result.set(owner, [node]);
    else list.push(node);
  }
  return result;
};
