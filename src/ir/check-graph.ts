/**
 * Rules about graphs: names exist, every value is defined once and before it is read, subgraphs see what was made
 * before their node and shadow nothing, outputs are produced. One pass collects definitions, one checks reads;
 * subgraphs wait in a list, so that nesting costs no stack.
 */

import { dtypeFromOnnx, dtypeInfo } from '../core/dtype.ts';
import type { Place } from '../core/errors.ts';
import { quoted } from '../proto/quote.ts';
import type { GraphProto, NodeProto, TensorProto, ValueInfoProto } from '../proto/schema.ts';
import { checkAttribute } from './check-attribute.ts';
import { canonicalDomain, type FindingList, type Where } from './check-context.ts';
import { judgeOrder, type Read } from './check-cycle.ts';
import { checkDevices } from './check-devices.ts';
import { checkEntries } from './check-header.ts';
import { checkName } from './check-names.ts';
import {
  BEFORE,
  createScope,
  describeDefinition,
  nodeLabel,
  outerDefinition,
  outerScope,
  type Scope,
  type Surroundings,
} from './check-scope.ts';
import { checkSparse, checkTensor } from './check-tensor.ts';
import { checkType } from './check-type.ts';
import { misfit } from './check-unknown.ts';

/** No operator has a list of graphs; this many are looked at. */
const GRAPHS_LIMIT = 10_000;

class GraphChecker {
  readonly #around: Surroundings;
  readonly #findings: FindingList;
  readonly #scopes: Scope[] = [];

  constructor(around: Surroundings) {
    this.#around = around;
    this.#findings = around.findings;
  }

  /** Checks a graph with all its subgraphs. @returns the names it defines */
  check(graph: GraphProto, where: Where, outer?: ReadonlyMap<string, number>): Map<string, number> {
    const parent = outer && outerScope(outer);
    const root = this.#open(graph, where, parent, parent ? 0 : BEFORE, '');
    for (let at = 0; at < this.#scopes.length; at++) this.#checkScope(this.#scopes[at]!);
    for (const scope of this.#scopes) if (scope.hasLateRead) this.#checkOrder(scope);
    return root.definitions;
  }

  #open(graph: GraphProto, where: Where, parent: Scope | undefined, owner: number, attribute: string): Scope {
    const scope = createScope({ where, graph, parent, owner, attribute });
    this.#scopes.push(scope);
    this.#defineInputs(scope);
    this.#defineInitializers(scope);
    this.#defineOutputs(scope);
    return scope;
  }

  #noteShadow(scope: Scope, what: string, name: string): void {
    const outer = outerDefinition(scope, name);
    if (outer === undefined) return;
    this.#findings.note(
      'shadowed-value',
      () => `${what} in ${scope.where.path} shadows outer value ${quoted(name)}`,
      { value: name },
    );
  }

  #defineInputs(scope: Scope): void {
    const { graph, where, definitions } = scope;
    const isMain = scope.parent === undefined && !where.isFunction;
    graph.input.forEach((input, index) => {
      const { name = '' } = input;
      const what = `${where.path}.input`;
      if (name === '') {
        this.#findings.error('value-name', () => `${what}[${index}] has no name`);
      } else if (definitions.has(name)) {
        this.#findings.error('duplicate-value', () => `${what} ${quoted(name)} is listed twice`, {
          value: name,
        });
      } else {
        definitions.set(name, BEFORE);
        this.#noteShadow(scope, 'an input', name);
      }
      if (name === '' && input.type === undefined) return;
      this.#checkValueInfo(input, name === '' ? `${what}[${index}]` : `${what} ${quoted(name)}`, isMain);
      if (isMain && input.type === undefined) {
        this.#findings.error('type-missing', () => `${what} ${quoted(name)} has no type`, { value: name });
      }
    });
  }

  #checkValueInfo(info: ValueInfoProto, what: string, required: boolean): void {
    const { name = '', type } = info;
    checkName(this.#findings, 'value name', name);
    checkEntries(info.metadataProps, `metadata_props of ${what}`, this.#findings);
    if (type) checkType(type, what, required, this.#findings, { value: name });
  }

  #defineInitializers(scope: Scope): void {
    const { graph, where, definitions } = scope;
    const inputs = new Map(graph.input.map((input) => [input.name ?? '', input]));
    const seen = new Set<string>();
    const define = (name: string, what: string): void => {
      if (name === '') this.#findings.error('value-name', () => `${what} has no name`);
      else if (seen.has(name)) {
        this.#findings.error('duplicate-value', () => `${what} ${quoted(name)} is listed twice`, {
          value: name,
        });
      } else {
        seen.add(name);
        checkName(this.#findings, 'initializer name', name);
        if (!definitions.has(name)) this.#noteShadow(scope, 'an initializer', name);
        definitions.set(name, BEFORE);
      }
    };
    const { findings, files, irVersion } = this.#around;
    graph.initializer.forEach((tensor, index) => {
      const { name = '' } = tensor;
      define(name, `${where.path}.initializer${name === '' ? `[${index}]` : ''}`);
      const what = `${where.prefix}initializer ${name === '' ? `[${index}]` : quoted(name)}`;
      checkTensor(tensor, what, findings, files, { value: name });
      checkEntries(tensor.metadataProps, `metadata_props of ${what}`, findings);
      const input = inputs.get(name);
      if (input) this.#checkDeclared(tensor, input, `${where.path}.input ${quoted(name)}`);
      else if (irVersion < 4n && irVersion > 0n && scope.parent === undefined && name !== '') {
        findings.warning(
          'initializer-not-input',
          () => `initializer ${quoted(name)} is not a graph input, as IR version ${irVersion} requires`,
          { value: name },
        );
      }
    });
    graph.sparseInitializer.forEach((sparse, index) => {
      const name = sparse.values?.name ?? '';
      define(name, `${where.path}.sparse_initializer${name === '' ? `[${index}]` : ''}`);
      const what = `${where.prefix}sparse initializer ${name === '' ? `[${index}]` : quoted(name)}`;
      checkSparse(sparse, what, findings, files, { value: name });
    });
  }

  /** An overridable initializer must fit the input that it is the default of. */
  #checkDeclared(tensor: TensorProto, input: ValueInfoProto, what: string): void {
    const declared = input.type?.tensorType;
    const at: Place = { value: input.name ?? '' };
    const text = (elemType: number): string => {
      const dtype = dtypeFromOnnx(elemType);
      return dtype === undefined ? String(elemType) : dtypeInfo(dtype).text;
    };
    if (declared === undefined) return;
    const { elemType = 0, shape } = declared;
    if (elemType !== 0 && tensor.dataType !== undefined && elemType !== tensor.dataType) {
      this.#findings.error(
        'initializer-type',
        `${what} is declared ${text(elemType)}, its initializer is ${text(tensor.dataType)}`,
        at,
      );
    }
    if (shape === undefined) return;
    const { dim } = shape;
    const fits =
      dim.length === tensor.dims.length &&
      dim.every(
        ({ dimValue }, axis) => dimValue === undefined || dimValue < 0n || dimValue === tensor.dims[axis],
      );
    if (fits) return;
    const declaredDims = dim.map(({ dimValue, dimParam }) => dimValue ?? (dimParam ? quoted(dimParam) : '?'));
    this.#findings.error(
      'initializer-type',
      `${what} is declared [${declaredDims.join(', ')}], its initializer is [${tensor.dims.join(', ')}]`,
      at,
    );
  }

  #defineOutputs(scope: Scope): void {
    const { graph, where, definitions } = scope;
    graph.node.forEach(({ output }, index) => {
      for (const name of output) {
        if (name === '') continue;
        checkName(this.#findings, 'value name', name);
        const earlier = definitions.get(name);
        if (earlier === undefined) {
          definitions.set(name, index);
          this.#checkShadow(scope, index, name);
        } else {
          this.#findings.error(
            'duplicate-value',
            () =>
              earlier === index
                ? `${where.node(index)} lists output ${quoted(name)} twice`
                : `${quoted(name)} is ${describeDefinition(scope, name, earlier)} and ${earlier === BEFORE ? 'the output of' : 'of'} node ${index}${where.path === 'graph' ? '' : ` in ${where.path}`}`,
            { value: name },
          );
        }
      }
    });
  }

  #checkShadow(scope: Scope, index: number, name: string): void {
    const outer = outerDefinition(scope, name);
    if (outer === undefined) return;
    const message = (): string => `node ${index} in ${scope.where.path} shadows outer value ${quoted(name)}`;
    // A name that the outer graph gives later hides nothing from this subgraph; readers take it without complaint.
    if (outer.maker < outer.reader) this.#findings.error('shadowed-value', message, { value: name });
    else this.#findings.note('shadowed-value', message, { value: name });
  }

  #checkScope(scope: Scope): void {
    const { graph, where } = scope;
    const findings = this.#findings;
    if (!where.isFunction || scope.parent) {
      if (!graph.name) findings.warning('graph-name', () => `${where.path} has no name`);
      checkName(findings, 'graph name', graph.name);
      checkEntries(graph.metadataProps, `metadata_props of ${where.path}`, findings);
    }
    const names = new Map<string, number>();
    graph.node.forEach((node, index) => {
      this.#checkNode(scope, index, node);
      if (!node.name) return;
      const earlier = names.get(node.name);
      if (earlier === undefined) names.set(node.name, index);
      else {
        findings.warning(
          'duplicate-node-name',
          () => `${where.node(earlier)} and ${where.node(index)} are both named ${quoted(node.name!)}`,
          { node: node.name },
        );
      }
    });
    this.#checkGraphOutputs(scope);
    this.#checkValueInfos(scope);
    this.#checkAnnotations(scope);
  }

  #checkNode(scope: Scope, index: number, node: NodeProto): void {
    const { where } = scope;
    const findings = this.#findings;
    const { opType = '' } = node;
    if (opType === '') {
      findings.error(
        'node-op-type',
        () => `${where.node(index)} has no op_type${misfit(node, 4, 2)}`,
        where.at(index, node),
      );
    }
    if (node.name) checkName(findings, 'node name', node.name);
    checkName(findings, 'op_type', opType);
    checkName(findings, 'domain', node.domain);
    if (opType !== '') this.#checkDomain(scope, index, node);
    if (opType !== '' && node.input.length === 0 && node.output.length === 0) {
      findings.error(
        'node-empty',
        () => `${nodeLabel(where, index, node)} has neither inputs nor outputs`,
        where.at(index, node),
      );
    }
    for (const name of node.input) if (name !== '') this.#read(scope, index, node, name);
    if (node.metadataProps.length > 0) {
      checkEntries(node.metadataProps, `metadata_props of ${where.node(index)}`, findings);
    }
    if (node.attribute.length > 0) this.#checkAttributes(scope, index, node);
    if (node.deviceConfigurations.length > 0) checkDevices(node, index, where, this.#around);
  }

  #checkDomain(scope: Scope, index: number, node: NodeProto): void {
    const { opsets } = this.#around;
    const domain = canonicalDomain(node.domain);
    if (opsets === undefined || opsets.has(domain)) return;
    const importer = this.#around.function ? `function ${this.#around.function.name}` : 'the model';
    this.#findings.error(
      'opset-undeclared',
      () =>
        `${nodeLabel(scope.where, index, node)}: ${importer} imports no opset of domain ${quoted(domain === '' ? 'ai.onnx' : domain)}`,
      scope.where.at(index, node),
    );
  }

  #read(scope: Scope, index: number, node: NodeProto, name: string): void {
    const maker = scope.definitions.get(name);
    if (maker !== undefined && maker < index) return;
    const outer = outerDefinition(scope, name);
    if (maker !== undefined && outer === undefined) {
      scope.hasLateRead = true;
      return;
    }
    if (outer !== undefined) {
      if (outer.maker === BEFORE) return;
      outer.scope.captures.push({ reader: outer.reader, maker: outer.maker, name });
      if (outer.maker >= outer.reader) outer.scope.hasLateRead = true;
      return;
    }
    const { function: owner } = this.#around;
    const at: Place = { ...scope.where.at(index, node), value: name };
    if (owner?.outer.has(name)) {
      this.#findings.error(
        'undefined-value',
        () => `function ${owner.name} reads ${quoted(name)}: functions do not see outer values`,
        at,
      );
      return;
    }
    this.#findings.error(
      'undefined-value',
      () =>
        `${nodeLabel(scope.where, index, node)} reads ${quoted(name)}, which nothing defines${owner ? ' (functions do not see outer values)' : ''}`,
      at,
    );
  }

  #checkAttributes(scope: Scope, index: number, node: NodeProto): void {
    const { findings, files, function: owner } = this.#around;
    const { where } = scope;
    const label = nodeLabel(where, index, node);
    const at = where.at(index, node);
    const seen = new Set<string>();
    for (const attribute of node.attribute) {
      const { name = '' } = attribute;
      if (seen.has(name) && name !== '') {
        findings.error('duplicate-attribute', () => `${label}: attribute ${quoted(name)} is given twice`, at);
      }
      seen.add(name);
      if (name === '' && attribute.type === undefined && attribute.g === undefined) {
        findings.error('attribute-name', () => `${label} has an attribute without a name`, at);
        continue;
      }
      const context = {
        where,
        nodeIndex: index,
        owner: label,
        at,
        formals: owner?.formals,
        functionName: owner?.name,
      };
      checkAttribute(attribute, context, findings, files);
      const shown = quoted(name).slice(1, -1);
      if (attribute.g) this.#open(attribute.g, where.subgraph(index, shown), scope, index, shown);
      if (attribute.graphs.length > GRAPHS_LIMIT) {
        findings.error(
          'limit',
          () =>
            `${label}: attribute ${shown} holds ${attribute.graphs.length} graphs (limit ${GRAPHS_LIMIT})`,
          at,
        );
        continue;
      }
      attribute.graphs.forEach((graph, position) => {
        const part = `${shown}[${position}]`;
        this.#open(graph, where.subgraph(index, part), scope, index, part);
      });
    }
  }

  #checkGraphOutputs(scope: Scope): void {
    const { graph, where, definitions } = scope;
    const findings = this.#findings;
    const isMain = scope.parent === undefined && !where.isFunction;
    if (isMain && graph.output.length === 0) findings.warning('no-outputs', `${where.path} has no outputs`);
    const seen = new Set<string>();
    graph.output.forEach((output, index) => {
      const { name = '' } = output;
      const what = name === '' ? `${where.path}.output[${index}]` : `${where.path}.output ${quoted(name)}`;
      this.#checkValueInfo(output, what, false);
      if (name === '') {
        findings.error('value-name', () => `${what} has no name`);
        return;
      }
      // Outputs of a subgraph are taken by position: a loop may carry a value and collect it as well.
      if (seen.has(name) && isMain) {
        findings.error('duplicate-output', () => `${what} is listed twice`, { value: name });
      }
      seen.add(name);
      if (isMain && output.type === undefined) {
        findings.warning('type-missing', () => `${what} has no type`, { value: name });
      }
      if (definitions.has(name)) return;
      const isOuter = outerDefinition(scope, name) !== undefined;
      findings.error(
        'output-not-produced',
        () =>
          isOuter
            ? `${what} is an outer value: a subgraph must make its outputs itself (with Identity)`
            : `${what} is not produced by any node`,
        { value: name },
      );
    });
  }

  #checkValueInfos(scope: Scope): void {
    const { graph, where, definitions } = scope;
    const seen = new Set<string>();
    graph.valueInfo.forEach((info, index) => {
      const { name = '' } = info;
      const what = `${where.path}.value_info`;
      this.#checkValueInfo(info, name === '' ? `${what}[${index}]` : `${what} ${quoted(name)}`, false);
      if (name === '') this.#findings.warning('value-info', () => `${what}[${index}] has no name`);
      else if (seen.has(name)) {
        this.#findings.warning('value-info', () => `${what} ${quoted(name)} is listed twice`, {
          value: name,
        });
      } else if (!definitions.has(name)) {
        this.#findings.note('value-info', () => `${what} ${quoted(name)} describes no value of the graph`, {
          value: name,
        });
      }
      seen.add(name);
    });
  }

  #checkAnnotations(scope: Scope): void {
    const { graph, where, definitions } = scope;
    const has = (name: string): boolean =>
      definitions.has(name) || outerDefinition(scope, name) !== undefined;
    graph.quantizationAnnotation.forEach(({ tensorName = '', quantParameterTensorNames }, index) => {
      const what = `${where.path}.quantization_annotation[${index}]`;
      if (!has(tensorName)) {
        this.#findings.warning(
          'quantization-annotation',
          () => `${what} names ${quoted(tensorName)}, not a value of the graph`,
          { value: tensorName },
        );
      }
      checkEntries(quantParameterTensorNames, `${what}.quant_parameter_tensor_names`, this.#findings);
      for (const { key = '', value = '' } of quantParameterTensorNames) {
        if (has(value)) continue;
        this.#findings.warning(
          'quantization-annotation',
          () => `${what}: ${quoted(key)} names ${quoted(value)}, not a value of the graph`,
          { value },
        );
      }
    });
  }

  #checkOrder(scope: Scope): void {
    const { graph, where, definitions, captures } = scope;
    // What is made later here but exists outside is read from outside (and was reported as shadowed).
    const isOutside = (name: string): boolean => outerDefinition(scope, name) !== undefined;
    const { cycles, late } = judgeOrder(graph.node.length, readsOf(graph, definitions, captures, isOutside));
    const place = where.path === 'graph' ? '' : ` (in ${where.path})`;
    for (const names of cycles) {
      const shown = names.length > 13 ? [...names.slice(0, 6), '…', ...names.slice(-6)] : names;
      this.#findings.error(
        'cycle',
        `cycle: ${shown.map((name) => quoted(name).slice(1, -1)).join(' -> ')}${place}`,
        { value: names[0]! },
      );
    }
    for (const { reader, maker, name } of late) {
      this.#findings.error(
        'unsorted',
        () => `${where.node(reader)} reads ${quoted(name)} which ${where.node(maker)} makes later`,
        { ...where.at(reader, graph.node[reader]!), value: name },
        'sort the nodes topologically',
      );
    }
  }
}

function* readsOf(
  graph: GraphProto,
  definitions: ReadonlyMap<string, number>,
  captures: readonly Read[],
  isOutside: (name: string) => boolean,
): Generator<Read> {
  for (let reader = 0; reader < graph.node.length; reader++) {
    for (const name of graph.node[reader]!.input) {
      const maker = definitions.get(name);
      if (maker === undefined || maker === BEFORE || (maker >= reader && isOutside(name))) continue;
      yield { reader, maker, name };
    }
  }
  yield* captures;
}

/**
 * Checks a graph with all its subgraphs.
 * @param outer what is defined around it (training graphs see the model's graph)
 * @returns the names it defines: the index of the node that makes each, -1 for inputs and initializers
 */
export const checkGraph = (
  graph: GraphProto,
  where: Where,
  around: Surroundings,
  outer?: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> => new GraphChecker(around).check(graph, where, outer);
