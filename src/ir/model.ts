/** A model: one graph, the operator sets it speaks, local functions and metadata. */
import type { Attribute } from './attribute.ts';
import { Graph } from './graph.ts';

/** A model-local function: its body is a graph whose inputs and outputs are the formal parameters. */
export interface ModelFunction {
  domain: string;
  name: string;
  overload: string;
  docString: string;
  /** Attribute names without a default, in order. */
  attributes: string[];
  /** Attributes with their defaults. */
  defaults: Map<string, Attribute>;
  opsets: Map<string, number>;
  body: Graph;
  origin: object | undefined;
}

export class Model {
  irVersion = 8;
  /** Domain ('' = ai.onnx) to version. */
  readonly opsets: Map<string, number> = new Map();
  producerName = '';
  producerVersion = '';
  domain = '';
  modelVersion = 0n;
  docString = '';
  readonly metadata: Map<string, string> = new Map();
  functions: ModelFunction[] = [];
  graph: Graph;
  /** The decoded message this came from: serde writes from it what the model does not keep. */
  origin: object | undefined;
  /** Open files that lazy tensors read from. */
  readonly sources: { close(): void }[] = [];

  constructor(graph: Graph = new Graph('main')) {
    this.graph = graph;
  }

  /** Closes the files behind lazy tensors, which cannot be read afterwards. */
  close(): void {
    for (const source of this.sources.splice(0)) source.close();
  }

  /** Version of the standard operator set. */
  get opset(): number {
    return this.opsets.get('') ?? 0;
  }
}
