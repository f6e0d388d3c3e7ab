/** One node as the rules about values see it: with what inference knows around it, and how to say what is wrong. */
import type { FindingList } from '../ir/check-context.ts';
import type { Node } from '../ir/node.ts';
import type { ValueType } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import type { Inference } from './infer/index.ts';
import { schemaOf } from './schemas.ts';

const decoder = new TextDecoder();

export class Look {
  readonly node: Node;
  readonly #inference: Inference;
  readonly #findings: FindingList;
  readonly #place: string;
  /** Version of the standard operator set in force. */
  readonly opset: number;

  constructor(node: Node, place: string, opset: number, inference: Inference, findings: FindingList) {
    this.node = node;
    this.opset = opset;
    this.#place = place;
    this.#inference = inference;
    this.#findings = findings;
  }

  report(level: 'error' | 'warning', rule: string, message: string): void {
    const text = `${this.#place} ${this.node.qualifiedOp}: ${message}`;
    this.#findings.add(level, rule, text, { node: this.node.name || this.#place });
  }

  error(rule: string, message: string): void {
    this.report('error', rule, message);
  }

  type(index: number): ValueType | undefined {
    const value = this.node.inputs[index];
    return value && this.#inference.typeOf(value);
  }

  /** What the schema calls an input. */
  inputName(index: number): string {
    const lookup = schemaOf(this.node.domain, this.node.op, this.opset);
    return (lookup.status === 'found' && lookup.schema.inputs[index]?.name) || `input ${index}`;
  }

  outputType(index: number): ValueType | undefined {
    const value = this.node.outputs[index];
    return value && this.#inference.typeOf(value);
  }

  typeOf(value: Value): ValueType | undefined {
    return this.#inference.typeOf(value);
  }

  /** Dimensions of a tensor input of known shape; unknown dimensions are undefined. */
  dims(index: number): readonly (number | undefined)[] | undefined {
    const type = this.type(index);
    return type?.kind === 'tensor'
      ? type.shape?.map((dim) => (typeof dim === 'number' ? dim : undefined))
      : undefined;
  }

  /** Elements of a small input that constants lead to; those that are not known are left out. */
  elements(index: number): (number | bigint)[] {
    const value = this.node.inputs[index];
    const known = value && this.#inference.knownOf(value);
    return (
      known?.elements.filter((element) => typeof element === 'number' || typeof element === 'bigint') ?? []
    );
  }

  has(index: number): boolean {
    return this.node.inputs[index] !== undefined;
  }

  string(name: string): string | undefined {
    const attribute = this.node.attributes.get(name);
    return attribute?.kind === 'string' ? decoder.decode(attribute.value) : undefined;
  }

  strings(name: string): string[] {
    const attribute = this.node.attributes.get(name);
    return attribute?.kind === 'strings' ? attribute.value.map((text) => decoder.decode(text)) : [];
  }

  int(name: string): bigint | undefined {
    const attribute = this.node.attributes.get(name);
    return attribute?.kind === 'int' ? attribute.value : undefined;
  }

  ints(name: string): readonly bigint[] {
    const attribute = this.node.attributes.get(name);
    return attribute?.kind === 'ints' ? attribute.value : [];
  }
}
