/**
 * Models that show what a machine can do: a large matrix product of floats or of bytes, and additions of two vectors into
 * a third, of several sizes. They are made here and run like any other.
 */
import { float32Tensor, int64Tensor, type Tensor, typedTensor } from '../core/tensor.ts';
import { int } from '../ir/attribute.ts';
import { Graph } from '../ir/graph.ts';
import { Model } from '../ir/model.ts';
import { tensorType } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';

export interface ProbeModel {
  readonly model: Model;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

const OPSET = 17;

/**
 * Rows and columns of both matrices: large enough that starting costs nothing, small enough that some of many products
 * are not disturbed.
 */
export const MATRIX = 512;

/** The name that tells the kernels that count. */
export const PROBE = 'probe';

const modelOf = (graph: Graph): Model => {
  const model = new Model(graph);
  model.opsets.set('', OPSET);
  return model;
};

/** [n, n] · [n, n], the second a constant as weights are. */
export const matrixProbe = (arithmetic: 'float' | 'int8'): ProbeModel => {
  const graph = new Graph('matrix');
  const isFloat = arithmetic === 'float';
  const dims = [MATRIX, MATRIX];
  const count = MATRIX * MATRIX;
  const left = isFloat
    ? float32Tensor(dims, new Float32Array(count).fill(0.5))
    : typedTensor('uint8', dims, new Uint8Array(count).fill(3));
  const right = isFloat
    ? float32Tensor(dims, new Float32Array(count).fill(0.25))
    : typedTensor('int8', dims, new Int8Array(count).fill(2));
  const x = graph.addInput('x', tensorType(left.dtype, dims));
  const product = graph.add({
    op: isFloat ? 'MatMul' : 'MatMulInteger',
    name: PROBE,
    inputs: [x, graph.addInitializer('w', right)],
    outputs: ['y'],
  });
  graph.addOutput('y', product.output, tensorType(isFloat ? 'float32' : 'int32', dims));
  return { model: modelOf(graph), feeds: new Map([['x', left]]) };
};

/** Elements of each vector, and how many additions: times are whole microseconds, so small ones are repeated. */
const VECTORS = [
  { elements: 1 << 10, repeats: 16 },
  { elements: 1 << 13, repeats: 16 },
  { elements: 1 << 16, repeats: 4 },
  { elements: 1 << 19, repeats: 1 },
  { elements: 1 << 21, repeats: 1 },
  { elements: 1 << 23, repeats: 1 },
] as const;

/** Name of a kernel that adds vectors of this size. */
export const additionName = (elements: number, repeat: number): string => `${PROBE}_${elements}_${repeat}`;

/** Bytes that one addition reads and writes, with the names of its kernels. */
export const ADDITIONS: readonly { readonly bytes: number; readonly names: readonly string[] }[] =
  VECTORS.map(({ elements, repeats }) => ({
    bytes: 3 * 4 * elements,
    names: Array.from({ length: repeats }, (_, i) => additionName(elements, i)),
  }));

/**
 * For each size: two vectors are made of one number each, and added. That both are read again afterwards, at an index
 * that the sum gives, keeps the runtime from adding in place.
 */
export const additionProbe = (): ProbeModel => {
  const graph = new Graph('additions');
  const scalar = tensorType('float32', [1]);
  const seeds = ['a', 'b'].map((name) => graph.addInput(name, scalar));
  const zero = graph.addInitializer('zero', int64Tensor([], [0]));
  for (const { elements, repeats } of VECTORS) {
    const dims = graph.addInitializer(`dims_${elements}`, int64Tensor([1], [elements]));
    const operands = seeds.map(
      (seed) =>
        graph.add({ op: 'Expand', inputs: [seed, dims], outputs: [`${seed.name}_${elements}`] }).output,
    );
    let sum: Value = operands[0]!;
    for (let i = 0; i < repeats; i++) {
      sum = graph.add({
        op: 'Add',
        name: additionName(elements, i),
        inputs: [sum, operands[1]],
        outputs: [`sum_${elements}_${i}`],
      }).output;
    }
    const first = graph.add({ op: 'Gather', inputs: [sum, zero], outputs: [`first_${elements}`] }).output;
    const index = graph.add({
      op: 'Cast',
      inputs: [first],
      outputs: [`index_${elements}`],
      attributes: { to: int(7) },
    }).output;
    for (const operand of operands) {
      const name = `again_${operand.name}`;
      const again = graph.add({ op: 'Gather', inputs: [operand, index], outputs: [name] }).output;
      graph.addOutput(name, again, tensorType('float32', []));
    }
  }
  const feed = float32Tensor([1], [0]);
  return {
    model: modelOf(graph),
    feeds: new Map([
      ['a', feed],
      ['b', feed],
    ]),
  };
};
