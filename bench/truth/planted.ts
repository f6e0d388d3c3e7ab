/**
 * Models with a planted difference in speed: a chain of equal MatMuls, and the same chain with a few more.
 *
 * The extra weights are permutation matrices of one cycle as long as there are extra MatMuls, so their product is the
 * identity, exactly: both models give the same bytes, and parity cannot tell them apart.
 */
import { createRng } from '../../src/core/rng.ts';
import { float32Tensor, type Tensor } from '../../src/core/tensor.ts';
import { Graph } from '../../src/ir/graph.ts';
import { Model } from '../../src/ir/model.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { tensorType } from '../../src/ir/type.ts';
import type { Value } from '../../src/ir/value.ts';
import { encodeModel } from '../../src/proto/encode.ts';

/** MatMuls of a chain: each extra one is half a percent more work. */
export const CHAIN = 200;

/** Rows and columns of the MatMul of each chain, by the time that the chain takes on two cores of 2022, about. */
export const NETS = {
  '0.1ms': { rows: 4, width: 32 },
  '1ms': { rows: 48, width: 80 },
  '10ms': { rows: 120, width: 192 },
} as const satisfies Record<string, { rows: number; width: number }>;
export type NetName = keyof typeof NETS;

/** A permutation that shifts the first `length` columns by one, round and round. */
const cycleMatrix = (width: number, length: number): Float32Array => {
  const matrix = new Float32Array(width * width);
  for (let row = 0; row < width; row++) {
    const column = row < length ? (row + 1) % length : row;
    matrix[row * width + column] = 1;
  }
  return matrix;
};

/**
 * The bytes of a model.
 * @param extra MatMuls more than the plain chain has; at most as many as the net is wide.
 */
export const plantedModel = (net: NetName, extra: number): Uint8Array => {
  const { rows, width } = NETS[net];
  const graph = new Graph('chain');
  const weight = (name: string, values: Float32Array): Value =>
    graph.addInitializer(name, float32Tensor([width, width], values));
  const plain = weight('weight', cycleMatrix(width, width));
  const cycle = extra > 0 ? weight('extra', cycleMatrix(width, extra)) : plain;
  let value = graph.addInput('x', tensorType('float32', [rows, width]));
  for (let i = 0; i < CHAIN + extra; i++) {
    const factor = i < CHAIN ? plain : cycle;
    value = graph.add({ op: 'MatMul', inputs: [value, factor], outputs: [`product${i}`] }).output;
  }
  graph.addOutput('y', value, tensorType('float32', [rows, width]));
  const model = new Model(graph);
  model.opsets.set('', 17);
  const parts = encodeModel(modelToProto(model)).map((segment) =>
    segment instanceof Uint8Array ? segment : segment.read(0, segment.size),
  );
  return Buffer.concat(parts);
};

export const plantedFeeds = (net: NetName): ReadonlyMap<string, Tensor> => {
  const { rows, width } = NETS[net];
  const rng = createRng(1);
  return new Map([
    [
      'x',
      float32Tensor(
        [rows, width],
        Float32Array.from({ length: rows * width }, () => rng.normal()),
      ),
    ],
  ]);
};
