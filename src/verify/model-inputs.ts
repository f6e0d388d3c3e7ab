/**
 * What a model says of its inputs that helps to make up feeds: their specs (with unknown ranks told from scalars,
 * which a runtime does not do), and the integers that they are compared with.
 */
import { type Tensor, toBigInts } from '../core/tensor.ts';
import { allGraphs } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { Value } from '../ir/value.ts';
import type { InputSpec } from './inputs.ts';

/** The inputs that a caller must feed: the formal ones without a default. */
export const requiredInputs = ({ graph }: Model): InputSpec[] =>
  graph.inputs
    .filter((input) => input.initializer === undefined && input.sparseInitializer === undefined)
    .map(({ name, dtype, shape }) => ({ name, dtype, shape }));

const constantOf = (value: Value | undefined): Tensor | undefined => {
  if (value?.constant !== undefined) return value.constant;
  return value?.producer?.is('Constant') ? tensorAttribute(value) : undefined;
};

const tensorAttribute = (value: Value): Tensor | undefined => {
  const attribute = value.producer?.attributes.get('value');
  return attribute?.kind === 'tensor' ? attribute.value : undefined;
};

/** The value behind Identity and Cast nodes. */
const sourceOf = (value: Value | undefined): Value | undefined => {
  let current = value;
  while (current?.producer?.is('Identity') || current?.producer?.is('Cast'))
    current = current.producer.inputs[0];
  return current;
};

/**
 * For each integer input, the single integers that the graph compares it with (`Equal`): values that switch a branch
 * (a sampling rate, a mode) and that random numbers would never hit.
 */
export const comparedIntegers = ({ graph }: Model): Map<string, bigint[]> => {
  const found = new Map<string, Set<bigint>>();
  for (const { nodes } of allGraphs(graph)) {
    for (const node of nodes) {
      if (!node.is('Equal')) continue;
      for (const [input, other] of [node.inputs, node.inputs.toReversed()]) {
        const source = sourceOf(input);
        const tensor = constantOf(other);
        if (source?.inputOf !== graph || (source.dtype !== 'int64' && source.dtype !== 'int32')) continue;
        if (tensor === undefined || (tensor.dtype !== 'int64' && tensor.dtype !== 'int32')) continue;
        if (tensor.data.size > 8) continue;
        const values = found.get(source.name) ?? new Set();
        for (const integer of toBigInts(tensor)) values.add(integer);
        found.set(source.name, values);
      }
    }
  }
  return new Map([...found].map(([name, values]) => [name, [...values]]));
};

/** Sizes beyond this are not tried for unknown dimensions; nor are more than so many different ones. */
const LARGEST_SIZE = 2048;
const MOST_SIZES = 24;

/**
 * The small integers that a model computes shapes with, most frequent first. An exporter that was not told of a
 * dynamic dimension leaves its traced size behind in a Reshape; such a model runs at that size only.
 */
export const shapeIntegers = ({ graph }: Model): number[] => {
  const counts = new Map<number, number>();
  const take = (tensor: Tensor | undefined): void => {
    if (tensor?.dtype !== 'int64' || tensor.data.size > 64) return;
    for (const integer of toBigInts(tensor)) {
      const size = Number(integer);
      if (size > 1 && size <= LARGEST_SIZE) counts.set(size, (counts.get(size) ?? 0) + 1);
    }
  };
  for (const { initializers, nodes } of allGraphs(graph)) {
    for (const value of initializers) take(value.constant);
    for (const node of nodes) if (node.is('Constant')) take(constantOf(node.outputs[0]));
  }
  const sorted = [...counts].toSorted(([, a], [, b]) => b - a);
  return sorted.slice(0, MOST_SIZES).map(([size]) => size);
};
