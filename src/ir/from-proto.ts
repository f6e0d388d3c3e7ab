/**
 * ModelProto to Model: names become references.
 *
 * Every graph is read in two steps, first everything that defines a name, then everything that uses one; so nodes may
 * come in any order (they are sorted afterwards) and subgraphs may capture what is defined later. Each object keeps
 * its message as `origin`: to-proto.ts writes from it what the graph does not model.
 */
import { OrthoError } from '../core/errors.ts';
import { createMessage } from '../proto/fields.ts';
import { quoted } from '../proto/quote.ts';
import type {
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  OperatorSetIdProto,
  TensorAnnotation,
  ValueInfoProto,
} from '../proto/schema.ts';
import { attributeFromProto } from './attribute-proto.ts';
import { ExternalReader } from './external-reader.ts';
import { Graph } from './graph.ts';
import { type GraphMemory, rememberGraph } from './memory.ts';
import { Model, type ModelFunction } from './model.ts';
import { Node } from './node.ts';
import { sparseFromProto, tensorFromProto } from './tensor-from-proto.ts';
import { sortTopologically } from './topological.ts';
import { typeFromProto } from './type-proto.ts';
import type { Value } from './value.ts';

/** `ai.onnx` and the empty string are the same domain. */
export const normalDomain = (domain: string | undefined): string =>
  domain === undefined || domain === 'ai.onnx' ? '' : domain;

const fail: (message: string) => never = (message) => {
  throw new OrthoError('model/invalid', message, { hint: 'export the model again' });
};

/** The names of one graph, and of the graphs around it. */
class Scope {
  readonly #values = new Map<string, Value>();
  readonly #outer: Scope | undefined;

  constructor(outer: Scope | undefined) {
    this.#outer = outer;
  }

  own(name: string): Value | undefined {
    return this.#values.get(name);
  }

  find(name: string): Value | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.#outer) {
      const value = scope.#values.get(name);
      if (value) return value;
    }
    return undefined;
  }

  define(name: string, value: Value): void {
    this.#values.set(name, value);
  }
}

class GraphReader {
  readonly #proto: GraphProto;
  readonly #where: string;
  readonly #scope: Scope;
  readonly #external: ExternalReader;
  readonly #graph: Graph;
  readonly #isSubgraph: boolean;

  constructor(proto: GraphProto, where: string, outer: Scope | undefined, external: ExternalReader) {
    this.#proto = proto;
    this.#where = where;
    this.#scope = new Scope(outer);
    this.#isSubgraph = outer !== undefined;
    this.#external = external;
    this.#graph = new Graph(proto.name ?? '');
  }

  read(): Graph {
    const graph = this.#graph;
    graph.docString = this.#proto.docString ?? '';
    graph.origin = this.#proto;
    this.#readInputs();
    this.#readInitializers();
    const nodes = this.#proto.node.map((node, index) => this.#defineNode(node, index));
    const looseInfos = this.#readInfos();
    nodes.forEach((node, index) => {
      this.#connectNode(node, this.#proto.node[index] as NodeProto, index);
    });
    this.#readOutputs();
    const annotations = this.#readAnnotations();
    rememberGraph(graph, { looseInfos, annotations });
    sortTopologically(graph);
    return graph;
  }

  #readInputs(): void {
    for (const [index, info] of this.#proto.input.entries()) {
      const { name } = info;
      if (!name) fail(`${this.#where}.input[${index}] has no name`);
      if (this.#scope.own(name)) fail(`${this.#where}.input ${quoted(name)} is listed twice`);
      const value = this.#graph.addInput(name, typeFromProto(info.type));
      value.docString = info.docString ?? '';
      value.origin = info;
      this.#scope.define(name, value);
    }
  }

  #readInitializers(): void {
    const graph = this.#graph;
    const external = this.#external;
    const prefix = this.#where === 'graph' ? '' : `${this.#where} `;
    const checkName = (name: string | undefined, place: string): string => {
      if (!name) fail(`${this.#where}.${place} has no name`);
      if (this.#scope.own(name)?.initializer || this.#scope.own(name)?.sparseInitializer) {
        fail(`${this.#where}.initializer ${quoted(name)} is listed twice`);
      }
      return name;
    };
    this.#proto.initializer.forEach((proto, index) => {
      const name = checkName(proto.name, `initializer[${index}]`);
      const tensor = tensorFromProto(proto, { what: `${prefix}initializer ${quoted(name)}`, external });
      const input = this.#scope.own(name);
      if (input) {
        graph.setInitializer(input, tensor);
        return;
      }
      const value = graph.addInitializer(name, tensor);
      value.docString = proto.docString ?? '';
      this.#scope.define(name, value);
    });
    this.#proto.sparseInitializer.forEach((proto, index) => {
      const name = checkName(proto.values?.name, `sparse_initializer[${index}]`);
      const what = `${prefix}sparse initializer ${quoted(name)}`;
      const sparse = sparseFromProto(proto, { what, external });
      const input = this.#scope.own(name);
      if (input) graph.setSparseInitializer(input, sparse);
      else this.#scope.define(name, graph.addSparseInitializer(name, sparse));
    });
  }

  #defineNode(proto: NodeProto, index: number): Node {
    if (!proto.opType) {
      const more = this.#proto.node.filter((node) => !node.opType).length - 1;
      const also = more > 0 ? ` (and ${more.toLocaleString('en-US')} more)` : '';
      fail(`${this.#where}.node[${index}] has no op_type${also}`);
    }
    const node = new Node({
      domain: normalDomain(proto.domain),
      op: proto.opType,
      overload: proto.overload ?? '',
      name: proto.name ?? '',
      inputs: [],
      outputs: proto.output,
    });
    node.docString = proto.docString ?? '';
    node.origin = proto;
    for (const value of node.outputs) {
      const { name } = value;
      if (name === '') continue;
      const other = this.#scope.own(name);
      if (other) {
        const what = other.producer
          ? `the output of two nodes`
          : other.isGraphInput
            ? 'an input'
            : 'an initializer';
        fail(
          other.producer === node
            ? `${this.#where}.node[${index}] lists output ${quoted(name)} twice`
            : `${quoted(name)} is ${what}${other.producer ? '' : ` and the output of node ${index}`}`,
        );
      }
      this.#scope.define(name, value);
    }
    this.#graph.add(node);
    return node;
  }

  /** Gives values their types; what describes no value is returned. */
  #readInfos(): ReadonlySet<ValueInfoProto> {
    const loose = new Set<ValueInfoProto>();
    for (const info of this.#proto.valueInfo) {
      const value = info.name ? this.#scope.own(info.name) : undefined;
      if (value === undefined || value.origin !== undefined) {
        loose.add(info);
        continue;
      }
      value.origin = info;
      value.docString ||= info.docString ?? '';
      if (!value.initializer && !value.sparseInitializer) value.type = typeFromProto(info.type) ?? value.type;
    }
    return loose;
  }

  #connectNode(node: Node, proto: NodeProto, index: number): void {
    const where = `${this.#where}.node[${index}]`;
    proto.input.forEach((name, i) => {
      const value = name === '' ? undefined : this.#scope.find(name);
      if (value === undefined && name !== '')
        fail(`${where} ${node.qualifiedOp} reads ${quoted(name)}, which nothing defines`);
      node.setInput(i, value);
    });
    for (const attribute of proto.attribute) {
      const { name } = attribute;
      if (!name) fail(`${where} ${node.qualifiedOp} has an attribute without a name`);
      if (node.attributes.has(name))
        fail(`${where} ${node.qualifiedOp} lists attribute ${quoted(name)} twice`);
      const reading = {
        where,
        external: this.#external,
        graph: (inner: GraphProto, place: string) =>
          new GraphReader(inner, place, this.#scope, this.#external).read(),
      };
      node.setAttribute(name, attributeFromProto(attribute, reading));
    }
  }

  #readOutputs(): void {
    const graph = this.#graph;
    const names = new Set<string>();
    for (const [index, info] of this.#proto.output.entries()) {
      const { name } = info;
      if (!name) fail(`${this.#where}.output[${index}] has no name`);
      const value =
        this.#scope.find(name) ?? fail(`${this.#where}.output ${quoted(name)}: nothing defines it`);
      // Outputs of a subgraph are taken by position: a loop may carry a value and collect it as well.
      if (names.has(name) && !this.#isSubgraph) {
        fail(`${this.#where}.output ${quoted(name)} is listed twice`);
      }
      names.add(name);
      const type = typeFromProto(info.type);
      graph.addOutput(name, value, type);
      const slot = graph.slots.at(-1);
      if (slot) Object.assign(slot, { docString: info.docString ?? '', origin: info });
      if (value.producer?.graph === graph) value.type ??= type;
    }
  }

  #readAnnotations(): GraphMemory['annotations'] {
    const annotations = new Map<
      TensorAnnotation,
      { value: Value | undefined; parameters: (Value | undefined)[] }
    >();
    for (const annotation of this.#proto.quantizationAnnotation) {
      const parameters = annotation.quantParameterTensorNames.map(({ value: name }) =>
        name ? this.#scope.find(name) : undefined,
      );
      for (const parameter of parameters) if (parameter) parameter.isPinned = true;
      const { tensorName } = annotation;
      annotations.set(annotation, {
        value: tensorName ? this.#scope.find(tensorName) : undefined,
        parameters,
      });
    }
    return annotations;
  }
}

const opsetsFromProto = (imports: readonly OperatorSetIdProto[], where: string): Map<string, number> => {
  const opsets = new Map<string, number>();
  for (const { domain, version = 0n } of imports) {
    const number = Number(version);
    if (!Number.isSafeInteger(number) || number < 0) {
      fail(`${where}: opset ${version} of ${quoted(domain ?? '')} is out of range`);
    }
    const key = normalDomain(domain);
    opsets.set(key, Math.max(opsets.get(key) ?? 0, number));
  }
  return opsets;
};

const functionFromProto = (proto: FunctionProto, index: number, external: ExternalReader): ModelFunction => {
  const { name } = proto;
  if (!name) fail(`functions[${index}] has no name`);
  const where = `function ${quoted(`${proto.domain ?? ''}.${name}`)}`;
  const formal = (formals: readonly string[]): ValueInfoProto[] =>
    formals.map((formalName) => createMessage('ValueInfoProto', { name: formalName }));
  const body = createMessage('GraphProto', {
    name,
    node: proto.node,
    input: formal(proto.input),
    output: formal(proto.output),
    valueInfo: proto.valueInfo,
  });
  const defaults = new Map(
    proto.attributeProto.map((attribute) => {
      const reading = {
        where,
        external,
        graph: () => fail(`${where}: a default attribute cannot hold a graph`),
      };
      return [attribute.name ?? '', attributeFromProto(attribute, reading)];
    }),
  );
  return {
    domain: normalDomain(proto.domain),
    name,
    overload: proto.overload ?? '',
    docString: proto.docString ?? '',
    attributes: [...proto.attribute],
    defaults,
    opsets: opsetsFromProto(proto.opsetImport, where),
    body: new GraphReader(body, where, undefined, external).read(),
    origin: proto,
  };
};

/** Initializers that training bindings name are used, though by no node. */
const pinTrainingValues = (proto: ModelProto, graph: Graph): void => {
  const names = new Set(
    proto.trainingInfo.flatMap(({ initializationBinding, updateBinding }) =>
      [...initializationBinding, ...updateBinding].map(({ key }) => key),
    ),
  );
  if (names.size === 0) return;
  for (const value of graph.initializers) if (names.has(value.name)) value.isPinned = true;
};

/** What a missing graph looks like when its field is there with a wrong wire type. */
const missingGraph = (proto: ModelProto): never => {
  const hasVarint = proto.unknown?.some((run) => run.size > 0 && run.read(0, 1)[0] === 0x38);
  return fail(`the model has no graph${hasVarint ? ' (field 7 has wire type 0, expected 2)' : ''}`);
};

/**
 * Builds the graph of a decoded model. Tensors stay lazy; external data is looked for beside `path`, when it is read.
 * @throws OrthoError model/invalid naming the place, when names, types or tensors do not fit together.
 */
export const modelFromProto = (proto: ModelProto, options: { readonly path?: string } = {}): Model => {
  const external = new ExternalReader(options.path);
  const graph = new GraphReader(proto.graph ?? missingGraph(proto), 'graph', undefined, external).read();
  const model = new Model(graph);
  const irVersion = Number(proto.irVersion ?? 0n);
  if (!Number.isSafeInteger(irVersion)) fail(`IR version ${proto.irVersion} is out of range`);
  model.irVersion = irVersion;
  for (const [domain, version] of opsetsFromProto(proto.opsetImport, 'opset_import')) {
    model.opsets.set(domain, version);
  }
  model.producerName = proto.producerName ?? '';
  model.producerVersion = proto.producerVersion ?? '';
  model.domain = proto.domain ?? '';
  model.modelVersion = proto.modelVersion ?? 0n;
  model.docString = proto.docString ?? '';
  for (const { key = '', value = '' } of proto.metadataProps) model.metadata.set(key, value);
  model.functions = proto.functions.map((item, index) => functionFromProto(item, index, external));
  model.origin = proto;
  model.sources.push(external);
  pinTrainingValues(proto, graph);
  return model;
};
