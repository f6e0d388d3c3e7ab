/**
 * What a pass is, and the helper for the commonest kind.
 *
 * A pass edits a graph in place and says how many changes it made. It keeps every output (name, type, values) and
 * every input, is at its fixed point when it returns (running it again changes nothing), and leaves alone what it
 * does not understand. Where it sees a near match that it must not touch, it says why: `context.decline`.
 */
import { allNodes, type Graph } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';

export interface PassContext {
  readonly model: Model;
  /** Version of the standard operators in the graph: the model's, or that of the function whose body it is. */
  readonly opset: number;
  /**
   * Records why a near match was left alone. The reason is a constant text: equal reasons are counted.
   * @returns false, as `apply` does when it changes nothing
   */
  decline(reason: string, node?: Node): false;
  /** True for values that a quantisation annotation or training info names: they must keep existing as they are. */
  isPinned(value: Value): boolean;
}

export interface Pass {
  /** Verb and object, kebab-case: `eliminate-identity`. */
  readonly name: string;
  readonly summary: string;
  /** False for passes that make initializers: the body of a function cannot hold any. */
  readonly worksInFunctions: boolean;
  /**
   * Edits a whole graph, its nested graphs included.
   * @param graph the graph of a model or the body of a function.
   * @returns the number of changes.
   */
  run(graph: Graph, context: PassContext): number;
}

/** A pass that looks at one operator at a time. */
export interface RewriteSpec {
  readonly name: string;
  readonly summary: string;
  readonly worksInFunctions: boolean;
  /** Operators of the standard domain. */
  readonly ops: readonly string[];
  /** Edits around one node. True when something changed; the node may be gone then. */
  apply(node: Node, context: PassContext): boolean;
}

/** Walks all nodes, those of nested graphs too, until a whole walk changes nothing. */
export const rewrite = ({ name, summary, worksInFunctions, ops, apply }: RewriteSpec): Pass => ({
  name,
  summary,
  worksInFunctions,
  run(graph, context) {
    let changes = 0;
    for (let before = -1; before !== changes; ) {
      before = changes;
      // Reasons count for the last walk only: a near match that an earlier change resolved is none.
      const declined: (() => void)[] = [];
      const quiet: PassContext = {
        ...context,
        decline: (reason, node) => {
          declined.push(() => context.decline(reason, node));
          return false;
        },
      };
      for (const node of [...allNodes(graph)]) {
        if (node.graph === undefined || node.domain !== '' || !ops.includes(node.op)) continue;
        if (apply(node, quiet)) changes++;
      }
      if (before === changes) for (const say of declined) say();
    }
    return changes;
  },
});
