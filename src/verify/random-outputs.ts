/**
 * Which outputs of a model follow from random numbers: two right runs of the same model differ in them.
 */
import { toBigInts } from '../core/tensor.ts';
import { allGraphs, Graph } from '../ir/graph.ts';
import type { Model, ModelFunction } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import type { Value } from '../ir/value.ts';

const RANDOM_OPS = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
]);

/** A Dropout that drops: it has its mode as an input from opset 12, as an attribute (`is_test`) below 7. */
const isTrainingDropout = (node: Node, opset: number): boolean => {
  if (opset < 7) return node.int('is_test', 0) === 0;
  const mode = node.inputs[2];
  if (mode === undefined) return false;
  const tensor = mode.constant;
  return tensor === undefined || toBigInts(tensor).some((value) => value !== 0n);
};

const isRandomNode = (node: Node, opset: number): boolean =>
  node.domain === '' &&
  (RANDOM_OPS.has(node.op) || (node.op === 'Dropout' && isTrainingDropout(node, opset)));

const keyOf = (domain: string, name: string, overload: string): string =>
  JSON.stringify([domain, name, overload]);

/** The functions that make random numbers, themselves or in what they call. */
const randomFunctions = (functions: readonly ModelFunction[]): Set<string> => {
  const random = new Set<string>();
  for (let before = -1; before !== random.size; ) {
    before = random.size;
    for (const { domain, name, overload, body, opsets } of functions) {
      const calls = (node: Node): boolean =>
        isRandomNode(node, opsets.get('') ?? 0) || random.has(keyOf(node.domain, node.op, node.overload));
      if ([...allGraphs(body)].some(({ nodes }) => nodes.some(calls)))
        random.add(keyOf(domain, name, overload));
    }
  }
  return random;
};

/** Random operators of a model, nested graphs and functions included. */
export const countRandomNodes = (model: Model): number => {
  const bodies: [Graph, number][] = [
    [model.graph, model.opset],
    ...model.functions.map(({ body, opsets }): [Graph, number] => [body, opsets.get('') ?? 0]),
  ];
  let count = 0;
  for (const [body, opset] of bodies) {
    for (const { nodes } of allGraphs(body))
      count += nodes.filter((node) => isRandomNode(node, opset)).length;
  }
  return count;
};

/** The names of the outputs that random numbers reach. */
export const randomOutputs = ({ graph, functions, opset }: Model): Set<string> => {
  const random = randomFunctions(functions);
  const tainted = new Set<Value>();
  const isSource = (node: Node): boolean =>
    isRandomNode(node, opset) || random.has(keyOf(node.domain, node.op, node.overload));
  const pending: Value[] = [];
  const taint = (node: Node): void => {
    for (const output of node.outputs) {
      if (tainted.has(output)) continue;
      tainted.add(output);
      pending.push(output);
    }
  };
  /** What happens inside a nested graph shows at the node that holds it, at any depth. */
  const taintOutwards = (start: Node): void => {
    for (let node: Node | undefined = start; node !== undefined; node = node.graph?.owner) {
      taint(node);
      taintInputsOf(node);
    }
  };
  /** A loop hands its random results to the formal inputs of its body. */
  const taintInputsOf = (node: Node): void => {
    for (const body of node.subgraphs) {
      for (const input of body.inputs) {
        if (tainted.has(input)) continue;
        tainted.add(input);
        pending.push(input);
      }
    }
  };
  for (const { nodes } of allGraphs(graph)) for (const node of nodes) if (isSource(node)) taintOutwards(node);
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    for (const { user } of value.uses) {
      const node = user instanceof Graph ? user.owner : user;
      if (node !== undefined) taintOutwards(node);
    }
  }
  return new Set(graph.outputNames.filter((_, i) => tainted.has(graph.outputs[i]!)));
};
