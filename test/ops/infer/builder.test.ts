/** Nodes inferred one by one while a graph grows, as a builder does it. */
import { expect, test } from 'vitest';
import { int64Tensor } from '../../../src/core/tensor.ts';
import { int } from '../../../src/ir/attribute.ts';
import { Graph } from '../../../src/ir/graph.ts';
import type { NodeSpec } from '../../../src/ir/node.ts';
import { tensorType } from '../../../src/ir/type.ts';
import type { Value } from '../../../src/ir/value.ts';
import { inferenceContext } from '../../../src/ops/infer/index.ts';
import { inferNode } from '../../../src/ops/infer/infer-node.ts';

test('types are read from the values, known values are remembered from node to node', () => {
  const graph = new Graph('g');
  const problems: string[] = [];
  const context = inferenceContext(new Map([['', 17]]), ({ message }) => problems.push(message));
  const append = (op: string, inputs: Value[], attributes: NodeSpec['attributes'] = {}): Value => {
    const node = graph.add({ op, inputs, outputs: [`${op}_${graph.nodeCount}`], attributes });
    const [type] = inferNode(node, context);
    node.output.type = type;
    return node.output;
  };
  const x = graph.addInput('x', tensorType('float32', ['N', 4, 6]));
  const rest = graph.addInitializer('rest', int64Tensor([1], [-1]));
  const first = graph.addInitializer('first', int64Tensor([1], [0]));
  const shape = append('Shape', [x]);
  const batch = append('Gather', [shape, first]);
  const target = append('Concat', [batch, rest], { axis: int(0) });
  const flat = append('Reshape', [x, target]);
  expect(flat.type).toEqual(tensorType('float32', ['N', 24]));
  expect(problems).toEqual([]);
  expect(append('Concat', [flat, flat]).type).toBeUndefined();
  expect(problems).toEqual(['Concat: axis is missing']);
});
