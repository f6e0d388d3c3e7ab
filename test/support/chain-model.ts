/** Models whose time is a matter of a number: chains of MatMuls by the identity. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { float32Tensor } from '../../src/core/tensor.ts';
import { Graph } from '../../src/ir/graph.ts';
import { Model } from '../../src/ir/model.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { tensorType } from '../../src/ir/type.ts';
import { encodeModel } from '../../src/proto/encode.ts';

const WIDTH = 16;

/** Writes y = x · I · … · I · `scale` and gives its path. */
export const writeChain = (
  folder: string,
  name: string,
  { matMuls = 1, scale = 1, rows = 4, output = 'y' } = {},
): string => {
  const graph = new Graph('chain');
  const identity = (by: number) =>
    float32Tensor(
      [WIDTH, WIDTH],
      Float32Array.from({ length: WIDTH * WIDTH }, (_, i) => (i % (WIDTH + 1) === 0 ? by : 0)),
    );
  const plain = graph.addInitializer('identity', identity(1));
  const last = graph.addInitializer('scale', identity(scale));
  let value = graph.addInput('x', tensorType('float32', [rows, WIDTH]));
  for (let i = 0; i < matMuls; i++) {
    const inputs = [value, i === matMuls - 1 ? last : plain];
    value = graph.add({ op: 'MatMul', inputs, outputs: [`product${i}`] }).output;
  }
  graph.addOutput(output, value, tensorType('float32', [rows, WIDTH]));
  const model = new Model(graph);
  model.opsets.set('', 17);
  const path = join(folder, name);
  const parts = encodeModel(modelToProto(model)).map((part) =>
    part instanceof Uint8Array ? part : part.read(0, part.size),
  );
  writeFileSync(path, Buffer.concat(parts));
  return path;
};
