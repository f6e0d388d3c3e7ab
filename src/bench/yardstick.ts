/**
 * A model to measure others against: numbers that are stored are ratios to it, taken in pairs in the same process, so
 * that a machine that is slower today than yesterday (heat, power, neighbours) does not look like a slower model.
 */
import { float32Tensor, type Tensor } from '../core/tensor.ts';
import { Graph } from '../ir/graph.ts';
import { Model } from '../ir/model.ts';
import { tensorType } from '../ir/type.ts';

/** Products by the identity: a few tenths of a millisecond of what networks mostly do. */
const PRODUCTS = 24;
const SIZE = 96;

/** Never changed without need: stored numbers hold for one yardstick only. */
export const yardstick = (): { readonly model: Model; readonly feeds: ReadonlyMap<string, Tensor> } => {
  const dims = [SIZE, SIZE];
  const identity = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Number(i % (SIZE + 1) === 0));
  const graph = new Graph('yardstick');
  const weight = graph.addInitializer('w', float32Tensor(dims, identity));
  let value = graph.addInput('x', tensorType('float32', dims));
  for (let i = 0; i < PRODUCTS; i++) {
    value = graph.add({ op: 'MatMul', inputs: [value, weight], outputs: [`product${i}`] }).output;
  }
  graph.addOutput('y', value, tensorType('float32', dims));
  const model = new Model(graph);
  model.opsets.set('', 17);
  const x = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i));
  return { model, feeds: new Map([['x', float32Tensor(dims, x)]]) };
};
