/** Models made for measuring: valid, of a given size, seeded. */
import { createRng } from '../src/core/rng.ts';
import { float32Tensor } from '../src/core/tensor.ts';
import { Graph } from '../src/ir/graph.ts';
import { Model } from '../src/ir/model.ts';
import { modelToProto } from '../src/ir/to-proto.ts';
import { tensorType } from '../src/ir/type.ts';
import { encodeModel } from '../src/proto/encode.ts';

const WIDTH = 512;

const encoded = (graph: Graph): Uint8Array => {
  const model = new Model(graph);
  model.opsets.set('', 17);
  const parts = encodeModel(modelToProto(model)).map((segment) =>
    segment instanceof Uint8Array ? segment : segment.read(0, segment.size),
  );
  return Buffer.concat(parts);
};

/** Relu of four floats: what a run costs beside its operators. */
export const oneNodeModel = (): Uint8Array => {
  const graph = new Graph('one');
  const x = graph.addInput('x', tensorType('float32', [4]));
  const { output } = graph.add({ op: 'Relu', inputs: [x], outputs: ['r'] });
  graph.addOutput('y', output, tensorType('float32', [4]));
  return encoded(graph);
};

/** A chain of MatMul and Relu with `megabytes` MB (10^6 bytes) of float32 weights as raw_data. */
export const rawModel = (megabytes: number): Uint8Array => {
  const graph = new Graph('chain');
  const rng = createRng(megabytes);
  let value = graph.addInput('x', tensorType('float32', ['N', WIDTH]));
  const layers = Math.round((megabytes * 1e6) / (WIDTH * WIDTH * 4));
  for (let layer = 0; layer < layers; layer++) {
    const weights = Float32Array.from({ length: WIDTH * WIDTH }, () => (rng.next() - 0.5) / 16);
    const weight = graph.addInitializer(`layer${layer}.weight`, float32Tensor([WIDTH, WIDTH], weights));
    const product = graph.add({
      op: 'MatMul',
      inputs: [value, weight],
      outputs: [`layer${layer}.product`],
    }).output;
    value = graph.add({ op: 'Relu', inputs: [product], outputs: [`layer${layer}.relu`] }).output;
  }
  graph.addOutput('y', value, tensorType('float32', ['N', WIDTH]));
  return encoded(graph);
};
