/**
 * Writes nodes, weights and constants into a graph under torch-like names: a node by the path of its module
 * (`/features.0.0/Conv`, then `…_1`), a weight by its state-dict key, a constant by its value.
 */
import { float32Tensor, int64Tensor, type Tensor } from '../core/tensor.ts';
import type { Attribute } from '../ir/attribute.ts';
import { Graph } from '../ir/graph.ts';
import { type Shape, tensorType } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import type { Parameters } from './parameters.ts';

export type Attributes = Readonly<Record<string, Attribute>>;

export class GraphWriter {
  readonly graph: Graph;
  readonly parameters: Parameters;
  readonly opset: number;
  readonly #names = new Map<string, number>();
  readonly #initializers = new Map<string, Value>();

  constructor(name: string, parameters: Parameters, opset: number) {
    this.graph = new Graph(name);
    this.parameters = parameters;
    this.opset = opset;
  }

  /** Appends a node with one float32 output of this shape. */
  node(
    op: string,
    path: string,
    inputs: readonly Value[],
    shape: Shape | undefined,
    attributes: Attributes = {},
  ): Value {
    const base = path === '' ? `/${op}` : `/${path}/${op}`;
    const count = this.#names.get(base) ?? 0;
    this.#names.set(base, count + 1);
    const name = count === 0 ? base : `${base}_${count}`;
    const outputs = [{ name: `${name}_output_0`, type: tensorType('float32', shape) }];
    return this.graph.add({ op, name, inputs, outputs, attributes }).output;
  }

  /** The weight of this key as the state dict has it; `initial` as in Parameters.take. */
  parameter(key: string, shape: readonly number[], initial?: number): Value {
    return this.weight(key, this.parameters.take(key, shape, initial));
  }

  /** A weight in another form than the state dict has it; a module that is called twice shares its weights. */
  weight(key: string, tensor: Tensor): Value {
    return this.#shared(key, () => tensor);
  }

  /** A float32 scalar. */
  scalar(number: number): Value {
    return this.#shared(`constant.${number}`, () => float32Tensor([], [number]));
  }

  /** A list of int64. */
  int64s(numbers: readonly number[]): Value {
    return this.#shared(`constant.int64.${numbers.join('_')}`, () => int64Tensor([numbers.length], numbers));
  }

  #shared(name: string, make: () => Tensor): Value {
    const known = this.#initializers.get(name);
    if (known !== undefined) return known;
    const value = this.graph.addInitializer(name, make());
    this.#initializers.set(name, value);
    return value;
  }
}
