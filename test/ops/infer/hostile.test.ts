/** Whatever a model says, inference ends, soon, and without throwing: extreme attributes, types and constants. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { DType } from '../../../src/core/dtype.ts';
import { createRng, type Rng } from '../../../src/core/rng.ts';
import { BytesSource } from '../../../src/core/source.ts';
import { float32Tensor, int64Tensor } from '../../../src/core/tensor.ts';
import { type Attribute, float, int, ints, string } from '../../../src/ir/attribute.ts';
import { modelFromProto } from '../../../src/ir/from-proto.ts';
import type { Model } from '../../../src/ir/model.ts';
import { type Dim, tensorType, type ValueType } from '../../../src/ir/type.ts';
import { decodeModel } from '../../../src/proto/decode.ts';
import { repository } from '../../support/golden.ts';
import { infer, inferText } from './support.ts';

const cases = JSON.parse(readFileSync(`${repository}test/golden/inference-cases.json`, 'utf8')) as {
  name: string;
  model: string;
}[];

const INTS = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  -2n,
  7n,
  64n,
  1000n,
  1n << 31n,
  1n << 40n,
  (1n << 53n) + 1n,
  (1n << 63n) - 1n,
  -(1n << 63n),
];
const DIMS: readonly Dim[] = [0, 1, 2, 3, 4, 7, 'N', 'M', null, 2 ** 31, 2 ** 53 - 1];
const DTYPES: readonly DType[] = ['float32', 'int64', 'bool', 'string', 'uint8', 'float16', 'int4'];

const pick = <T>(rng: Rng, list: readonly T[]): T => list[rng.integer(list.length)]!;
const some = <T>(rng: Rng, list: readonly T[], most: number): T[] =>
  Array.from({ length: rng.integer(most + 1) }, () => pick(rng, list));

const oddType = (rng: Rng): ValueType | undefined =>
  pick<() => ValueType | undefined>(rng, [
    () => tensorType(pick(rng, DTYPES), some(rng, DIMS, 6)),
    () => tensorType(pick(rng, DTYPES)),
    () => ({ kind: 'sequence', element: tensorType(pick(rng, DTYPES), some(rng, DIMS, 3)) }),
    () => ({ kind: 'optional', element: undefined }),
    () => undefined,
  ])();

const oddAttribute = (rng: Rng): Attribute =>
  pick<() => Attribute>(rng, [
    () => int(pick(rng, INTS)),
    () => ints(some(rng, INTS, 5)),
    () => float(pick(rng, [0, -1, 1e30, NaN, Infinity])),
    () => string(pick(rng, ['', 'SAME_UPPER', 'none', 'ij,jk->ik', '...ij->...', '->', ',,', '\0'])),
    () => ({ kind: 'reference', to: 'nowhere', type: 'int' }),
  ])();

const oddConstant = (rng: Rng) =>
  rng.integer(3) > 0
    ? int64Tensor(...((values: bigint[]) => [[values.length], values] as const)(some(rng, INTS, 5)))
    : pick(rng, [
        int64Tensor([], [pick(rng, INTS)]),
        float32Tensor([2], [NaN, -1e30]),
        float32Tensor([0, 3], []),
      ]);

const mutate = (model: Model, rng: Rng): void => {
  const [node] = model.graph.nodes;
  if (node === undefined) return;
  model.opsets.set('', 1 + rng.integer(28));
  for (const name of node.attributes.keys()) {
    if (rng.integer(2) === 0) node.setAttribute(name, oddAttribute(rng));
  }
  for (const [i, value] of node.inputs.entries()) {
    const choice = rng.integer(4);
    if (choice === 0) node.setInput(i, model.graph.addInitializer(`odd${i}`, oddConstant(rng)));
    if (choice === 1) node.setInput(i, model.graph.addInput(`free${i}`, oddType(rng)));
    if (choice === 2 && rng.integer(4) === 0) node.setInput(i, undefined);
    if (choice === 3 && value?.inputOf) value.type = oddType(rng);
  }
};

test('mutated operators never throw, and no dimension is negative or beyond 2^53', () => {
  const rng = createRng(20);
  let refused = 0;
  for (const item of cases) {
    const proto = decodeModel(new BytesSource(Buffer.from(item.model, 'base64')));
    for (let round = 0; round < 12; round++) {
      const model = modelFromProto(proto);
      mutate(model, rng);
      const { problems } = infer(model);
      if (problems.length > 0) refused++;
      for (const value of model.graph.nodes.flatMap(({ outputs }) => outputs)) {
        for (const dim of value.shape ?? []) {
          if (typeof dim === 'number') expect(Number.isSafeInteger(dim) && dim >= 0, item.name).toBe(true);
        }
      }
    }
  }
  expect(refused).toBeGreaterThan(1000);
});

test('a huge axis beside an empty one costs nothing', () => {
  const last = (nodes: string): readonly Dim[] | undefined => {
    const { model, problems } = inferText(
      `g () => (float[] y) <int64[2] s = {2147483647, 0}, int64[2] r = {5, 2147483647}> { z = ConstantOfShape (s) ${nodes} }`,
    );
    expect(problems).toEqual([]);
    return model.graph.outputs[0]?.shape;
  };
  expect(last('y = Concat <axis = 1> (z, z)')).toEqual([2147483647, 0]);
  expect(last('y = Tile (z, r)')).toEqual([10737418235, 0]);
  expect(last('t = Transpose (z) y = Add (t, t)')).toEqual([0, 2147483647]);
});
