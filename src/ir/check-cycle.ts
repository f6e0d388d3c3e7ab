/**
 * Order of nodes: which reads of a later output close a cycle, and which merely break the topological order.
 *
 * Strongly connected components of the graph "node needs node" by Tarjan's algorithm (SIAM J. Comput. 1, 1972), as a
 * loop over an explicit stack: linear in nodes and reads, whatever the depth.
 */

/** One read: node `reader` (or a subgraph in it) needs the value `name`, an output of node `maker` of the same graph. */
export interface Read {
  readonly reader: number;
  readonly maker: number;
  readonly name: string;
}

/** Component number of each node. */
const componentsOf = (count: number, reads: readonly (readonly Read[])[]): Int32Array => {
  const component = new Int32Array(count).fill(-1);
  const order = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const next = new Int32Array(count);
  const stack: number[] = [];
  const path: number[] = [];
  let visited = 0;
  let components = 0;
  const enter = (node: number): void => {
    order[node] = low[node] = visited++;
    stack.push(node);
    path.push(node);
  };
  for (let root = 0; root < count; root++) {
    if (order[root] !== -1) continue;
    enter(root);
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const read = reads[node]?.[next[node]!];
      if (read !== undefined) {
        next[node] = next[node]! + 1;
        const { maker } = read;
        if (order[maker] === -1) enter(maker);
        else if (component[maker] === -1) low[node] = Math.min(low[node]!, order[maker]!);
        continue;
      }
      path.pop();
      const caller = path.at(-1);
      if (caller !== undefined) low[caller] = Math.min(low[caller]!, low[node]!);
      if (low[node] !== order[node]) continue;
      for (let member = -1; member !== node; ) {
        member = stack.pop()!;
        component[member] = components;
      }
      components++;
    }
  }
  return component;
};

/** Value names along a shortest chain of needs from `start` back to `goal`, within one component. */
const chain = (
  start: number,
  goal: number,
  reads: readonly (readonly Read[])[],
  component: Int32Array,
): string[] => {
  const cameBy = new Map<number, Read | undefined>([[start, undefined]]);
  const queue = [start];
  for (let at = 0; at < queue.length && !cameBy.has(goal); at++) {
    for (const read of reads[queue[at]!] ?? []) {
      if (component[read.maker] !== component[start] || cameBy.has(read.maker)) continue;
      cameBy.set(read.maker, read);
      queue.push(read.maker);
    }
  }
  const names: string[] = [];
  for (let read = cameBy.get(goal); read !== undefined; read = cameBy.get(read.reader)) names.push(read.name);
  return names.reverse();
};

/**
 * Splits late reads (those of an output made at the same node or later).
 * @param count nodes of the graph
 * @param reads every read between two of its nodes, the late ones included
 * @returns `cycles`: the value names around one cycle of each component, each needing the next, the first repeated at
 *   the end; `late`: the late reads that close no cycle
 */
export const judgeOrder = (
  count: number,
  reads: Iterable<Read>,
): { readonly cycles: string[][]; readonly late: Read[] } => {
  const byReader: Read[][] = new Array(count);
  const suspects: Read[] = [];
  for (const read of reads) {
    const list = byReader[read.reader];
    if (list) list.push(read);
    else byReader[read.reader] = [read];
    if (read.maker >= read.reader) suspects.push(read);
  }
  const component = componentsOf(count, byReader);
  const cycles: string[][] = [];
  const late: Read[] = [];
  const told = new Set<number>();
  for (const read of suspects) {
    const own = component[read.reader]!;
    if (own !== component[read.maker]) late.push(read);
    else if (!told.has(own)) {
      told.add(own);
      const names = [read.name, ...chain(read.maker, read.reader, byReader, component)];
      cycles.push([names.at(-1)!, ...names]);
    }
  }
  return { cycles, late };
};
