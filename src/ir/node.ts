/** An operator application: owns its outputs, reads its inputs. */
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { type Attribute, graphsOf } from './attribute.ts';
import type { Graph } from './graph.ts';
import type { ValueType } from './type.ts';
import { Operands, Value } from './value.ts';

export interface NodeSpec {
  /** '' is the standard domain (ai.onnx). */
  readonly domain?: string;
  readonly op: string;
  readonly overload?: string;
  readonly name?: string;
  /** undefined = an omitted optional input. */
  readonly inputs: readonly (Value | undefined)[];
  /** Names ('' = an omitted optional output) or names with types. */
  readonly outputs: readonly (string | { readonly name: string; readonly type?: ValueType | undefined })[];
  readonly attributes?: Readonly<Record<string, Attribute>> | ReadonlyMap<string, Attribute>;
}

const decoder = new TextDecoder();

export class Node {
  readonly domain: string;
  readonly op: string;
  readonly overload: string;
  name: string;
  docString = '';
  /** The decoded message this came from: serde writes from it what the graph does not model. */
  origin: object | undefined;
  readonly outputs: readonly Value[];
  readonly #inputs = new Operands(this);
  readonly #attributes = new Map<string, Attribute>();
  /** @internal set by Graph: the graph that holds the node, and its neighbours there */
  graph: Graph | undefined;
  /** @internal */
  previous: Node | undefined;
  /** @internal */
  next: Node | undefined;

  constructor(spec: NodeSpec) {
    this.domain = spec.domain ?? '';
    this.op = spec.op;
    this.overload = spec.overload ?? '';
    this.name = spec.name ?? '';
    this.outputs = spec.outputs.map((output) =>
      typeof output === 'string'
        ? new Value(output, undefined, this)
        : new Value(output.name, output.type, this),
    );
    spec.inputs.forEach((value, index) => {
      this.#inputs.set(index, value);
    });
    const { attributes = {} } = spec;
    for (const [name, value] of attributes instanceof Map ? attributes : Object.entries(attributes)) {
      this.setAttribute(name, value as Attribute);
    }
  }

  /** `Conv`, or `com.microsoft.FusedConv` outside the standard domain. */
  get qualifiedOp(): string {
    return this.domain === '' ? this.op : `${this.domain}.${this.op}`;
  }

  /** True for operator `op` of the standard domain. */
  is(op: string): boolean {
    return this.op === op && this.domain === '';
  }

  get inputs(): readonly (Value | undefined)[] {
    return this.#inputs.view;
  }

  /** The single output most operators have. @throws internal/bug for a node without outputs. */
  get output(): Value {
    const output = this.outputs[0];
    if (output === undefined)
      throw new OrthoError('internal/bug', `${this.qualifiedOp} "${this.name}" has no output`);
    return output;
  }

  setInput(index: number, value: Value | undefined): void {
    this.#inputs.set(index, value);
  }

  /** The same as setInput: what Value.replaceAllUsesWith calls on every user. */
  setOperand(index: number, value: Value | undefined): void {
    this.#inputs.set(index, value);
  }

  /** Drops the inputs from `length` on. */
  truncateInputs(length: number): void {
    this.#inputs.truncate(length);
  }

  get attributes(): ReadonlyMap<string, Attribute> {
    return this.#attributes;
  }

  setAttribute(name: string, value: Attribute): void {
    for (const graph of graphsOf(value)) graph.owner = this;
    this.#attributes.set(name, value);
  }

  deleteAttribute(name: string): void {
    this.#attributes.delete(name);
  }

  /** Graphs held by attributes (branches of If, bodies of Loop and Scan), in attribute order. */
  get subgraphs(): Graph[] {
    return [...this.#attributes.values()].flatMap((attribute) => [...graphsOf(attribute)]);
  }

  #expect<K extends Attribute['kind']>(name: string, kind: K): Extract<Attribute, { kind: K }> | undefined {
    const attribute = this.#attributes.get(name);
    if (attribute === undefined) return undefined;
    if (attribute.kind !== kind) {
      throw new OrthoError(
        'model/invalid',
        `${this.qualifiedOp} "${this.name}": attribute ${name} must be of kind ${kind}, found ${attribute.kind}`,
        { at: { node: this.name } },
      );
    }
    return attribute as Extract<Attribute, { kind: K }>;
  }

  #safe(name: string, value: bigint): number {
    const number = Number(value);
    if (Number.isSafeInteger(number)) return number;
    throw new OrthoError(
      'model/invalid',
      `${this.qualifiedOp} "${this.name}": attribute ${name} = ${value} is out of range`,
      {
        at: { node: this.name },
      },
    );
  }

  /** An int attribute as a safe integer. @throws model/invalid for another kind or beyond 2^53. */
  int(name: string): number | undefined;
  int(name: string, fallback: number): number;
  int(name: string, fallback?: number): number | undefined {
    const value = this.#expect(name, 'int')?.value;
    return value === undefined ? fallback : this.#safe(name, value);
  }

  ints(name: string): readonly number[] | undefined {
    return this.#expect(name, 'ints')?.value.map((value) => this.#safe(name, value));
  }

  float(name: string): number | undefined;
  float(name: string, fallback: number): number;
  float(name: string, fallback?: number): number | undefined {
    return this.#expect(name, 'float')?.value ?? fallback;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#expect(name, 'floats')?.value;
  }

  string(name: string): string | undefined;
  string(name: string, fallback: string): string;
  string(name: string, fallback?: string): string | undefined {
    const value = this.#expect(name, 'string')?.value;
    return value === undefined ? fallback : decoder.decode(value);
  }

  tensor(name: string): Tensor | undefined {
    return this.#expect(name, 'tensor')?.value;
  }
}
