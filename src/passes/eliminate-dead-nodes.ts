/**
 * Removes nodes none of whose outputs is used, and initializers that nothing uses.
 *
 * Hazards: inputs stay, and with them the defaults of those that have one; so does what an annotation refers to.
 * Operators of unknown domains may do more than compute (print, write): they stay, and so do calls of functions that
 * contain one. A name that graph-level annotations mention is in use.
 */
import { allGraphs, type Graph } from '../ir/graph.ts';
import type { Model, ModelFunction } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import type { Pass, PassContext } from './pass.ts';

/** Domains all of whose operators only compute. */
const PURE_DOMAINS = new Set([
  '',
  'ai.onnx.ml',
  'ai.onnx.preview.training',
  'ai.onnx.training',
  'com.microsoft',
]);

const functionKey = (domain: string, name: string, overload: string): string =>
  JSON.stringify([domain, name, overload]);

/** Tells whether a node only computes; looks into the bodies of the model's functions, once each. */
const purityOf = (model: Model): ((node: Node) => boolean) => {
  const functions = new Map<string, ModelFunction>(
    model.functions.map((one) => [functionKey(one.domain, one.name, one.overload), one]),
  );
  const impure = new Set<string>();
  const isPure = (node: Node): boolean => {
    const key = functionKey(node.domain, node.op, node.overload);
    return functions.has(key) ? !impure.has(key) : PURE_DOMAINS.has(node.domain);
  };
  // Impurity spreads from callee to caller: repeat until it spreads no further.
  for (let before = -1; before !== impure.size; ) {
    before = impure.size;
    for (const [key, { body }] of functions) {
      if (impure.has(key)) continue;
      for (const graph of allGraphs(body)) if (!graph.nodes.every(isPure)) impure.add(key);
    }
  }
  return isPure;
};

const sweep = (graph: Graph, context: PassContext, isPure: (node: Node) => boolean): number => {
  let changes = 0;
  for (const node of graph.nodes.toReversed()) {
    if (node.outputs.some((output) => output.isUsed || context.isPinned(output))) continue;
    if (!isPure(node) || node.subgraphs.some((inner) => !isPureGraph(inner, isPure))) continue;
    graph.remove(node);
    changes++;
  }
  for (const value of graph.initializers) {
    if (value.isUsed || value.isGraphInput || context.isPinned(value)) continue;
    graph.removeInitializer(value);
    changes++;
  }
  return changes;
};

const isPureGraph = (graph: Graph, isPure: (node: Node) => boolean): boolean => {
  for (const one of allGraphs(graph)) if (!one.nodes.every(isPure)) return false;
  return true;
};

export const eliminateDeadNodes: Pass = {
  name: 'eliminate-dead-nodes',
  summary: 'remove nodes and initializers that no output needs',
  worksInFunctions: true,
  run(graph, context) {
    const isPure = purityOf(context.model);
    let changes = 0;
    for (let before = -1; before !== changes; ) {
      before = changes;
      // Innermost first: what a nested graph no longer captures may be dead outside.
      for (const one of [...allGraphs(graph)].toReversed()) changes += sweep(one, context, isPure);
    }
    for (const one of allGraphs(graph)) {
      for (const node of one.nodes) {
        if (node.outputs.every(({ isUsed }) => !isUsed) && !isPure(node)) {
          context.decline('unused, but an operator of an unknown domain may have side effects', node);
        }
      }
    }
    return changes;
  },
};
