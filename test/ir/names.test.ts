/** Whatever values are called, what is written reads back as the same graph. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import { int64Tensor } from '../../src/core/tensor.ts';
import { graph as graphAttribute } from '../../src/ir/attribute.ts';
import { modelFromProto } from '../../src/ir/from-proto.ts';
import { allNodes, Graph } from '../../src/ir/graph.ts';
import { Model } from '../../src/ir/model.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { tensorType } from '../../src/ir/type.ts';
import type { Value } from '../../src/ir/value.ts';
import { decodeModel } from '../../src/proto/decode.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { joinSegments } from '../../src/proto/segments.ts';

const NAMES = ['', 'a', 'b', 'a_1', 'x0', 'op_output_1', 'y0'];

/** Draws from a list of numbers, then zeros: makes a graph a function of plain data. */
class Draw {
  #at = 0;
  readonly #numbers: readonly number[];

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  next(below: number): number {
    return (this.#numbers[this.#at++] ?? 0) % below;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.next(items.length)] as T;
  }
}

const buildGraph = (draw: Draw, outer: readonly Value[], depth: number): Graph => {
  const graph = new Graph('g');
  const visible = [...outer];
  const inputs = depth === 0 ? 2 : draw.next(2);
  for (let i = 0; i < inputs; i++) {
    visible.push(graph.addInput(depth === 0 ? `x${i}` : draw.pick(NAMES), tensorType('int64', [1])));
  }
  for (let i = draw.next(3); i > 0; i--) {
    visible.push(graph.addInitializer(draw.pick(NAMES), int64Tensor([1], [i])));
  }
  for (let i = draw.next(5); i > 0; i--) {
    const body = depth < 3 && draw.next(3) === 0 ? buildGraph(draw, visible, depth + 1) : undefined;
    const node = graph.add({
      op: 'op',
      inputs: Array.from({ length: draw.next(3) }, () =>
        draw.next(6) === 0 ? undefined : draw.pick(visible),
      ),
      outputs: Array.from({ length: 1 + draw.next(2) }, () => draw.pick(NAMES)),
      attributes: body ? { body: graphAttribute(body) } : {},
    });
    visible.push(...node.outputs);
  }
  for (let i = draw.next(4); i > 0 && visible.length > 0; i--) {
    graph.addOutput(depth === 0 ? `y${i}` : draw.pick(NAMES.slice(1)), draw.pick(visible));
  }
  return graph;
};

/** The graph with values numbered in the order they are defined, Identity nodes seen through, names left out. */
const structureOf = (graph: Graph, ids = new Map<Value, string>(), path = ''): unknown => {
  const idOf = (value: Value | undefined): string => (value ? (ids.get(value) ?? 'UNKNOWN') : '-');
  for (const [i, value] of graph.inputs.entries()) ids.set(value, `${path}in${i}`);
  for (const [i, value] of graph.initializers.entries()) ids.set(value, `${path}init${i}`);
  const nodes = graph.nodes.filter(({ op }) => op !== 'Identity');
  nodes.forEach((node, n) => {
    node.outputs.forEach((value, i) => {
      ids.set(value, `${path}node${n}.${i}`);
    });
  });
  for (const node of graph.nodes) if (node.op === 'Identity') ids.set(node.output, idOf(node.inputs[0]));
  return {
    nodes: nodes.map((node, n) => [
      node.inputs.map(idOf),
      node.outputs.length,
      node.subgraphs.map((inner) => structureOf(inner, ids, `${path}node${n}/`)),
    ]),
    outputs: graph.outputs.map(idOf),
  };
};

describe('names', () => {
  it('any graph survives writing and reading, and twice gives the same bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 20, maxLength: 120 }), (numbers) => {
        const graph = buildGraph(new Draw(numbers), [], 0);
        const model = new Model(graph);
        model.opsets.set('', 17);
        const bytes = joinSegments(encodeModel(modelToProto(model)));
        const again = modelFromProto(decodeModel(new BytesSource(bytes)));
        expect(structureOf(again.graph)).toEqual(structureOf(graph));
        expect(again.graph.outputNames).toEqual(graph.outputNames);
        expect(again.graph.inputs.map(({ name }) => name)).toEqual(['x0', 'x1']);
        const twice = joinSegments(encodeModel(modelToProto(again)));
        expect(Buffer.from(twice).equals(bytes)).toBe(true);

        const draw = new Draw([...numbers].reverse());
        for (const node of allNodes(again.graph))
          for (const value of node.outputs) value.name = draw.pick(NAMES);
        const renamed = modelFromProto(modelToProto(again));
        expect(structureOf(renamed.graph)).toEqual(structureOf(graph));
        expect(renamed.graph.outputNames).toEqual(graph.outputNames);
      }),
      { numRuns: 800, seed: 13 },
    );
  });
});
