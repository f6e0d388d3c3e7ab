/**
 * Rules about model-local functions: signatures, bodies that see nothing outside, calls that fit, no recursion, and
 * how many nodes inlining would make (counted through the call graph, never by inlining).
 */
import { createMessage } from '../proto/fields.ts';
import { quoted } from '../proto/quote.ts';
import {
  ATTRIBUTE_TYPES,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
} from '../proto/schema.ts';
import { checkAttribute } from './check-attribute.ts';
import { canonicalDomain, type FindingList, qualifiedName, Where } from './check-context.ts';
import { judgeOrder, type Read } from './check-cycle.ts';
import { checkGraph } from './check-graph.ts';
import { checkEntries, checkOpsetImports } from './check-header.ts';
import { checkName } from './check-names.ts';
import type { Surroundings } from './check-scope.ts';

/** A model that inlines to more nodes than this is refused: every tool that inlines would build them. */
export const INLINED_NODES_LIMIT = 1_000_000;

interface Known {
  readonly proto: FunctionProto;
  readonly name: string;
  readonly index: number;
  /** Formal attributes, those with a default included. */
  readonly formals: ReadonlySet<string>;
  /** Attributes that the body refers to, with the type it takes them for. */
  readonly references: ReadonlyMap<string, number | undefined>;
}

const keyOf = (domain: string | undefined, name: string | undefined, overload: string | undefined): string =>
  JSON.stringify([canonicalDomain(domain), name ?? '', overload ?? '']);

/** Nodes of a list and of all graphs inside their attributes, each with the place of its list. */
function* nodesIn(
  nodes: readonly NodeProto[],
  where: Where,
): Generator<{ readonly node: NodeProto; readonly index: number; readonly where: Where }> {
  const pending = [{ nodes, where }];
  for (let current = pending.pop(); current; current = pending.pop()) {
    const { nodes: list, where: place } = current;
    for (let index = 0; index < list.length; index++) {
      const node = list[index]!;
      yield { node, index, where: place };
      for (const { g, graphs, name = '' } of node.attribute) {
        for (const graph of g ? [g, ...graphs] : graphs) {
          if (graph.node.length === 0) continue;
          pending.push({ nodes: graph.node, where: place.subgraph(index, quoted(name).slice(1, -1)) });
        }
      }
    }
  }
}

/** `FLOAT`, as onnx.proto spells attribute types. */
const typeName = (type: number): string =>
  Object.entries(ATTRIBUTE_TYPES)
    .find(([, number]) => number === type)?.[0]
    .toUpperCase() ?? `type ${type}`;

const checkCall = (
  callee: Known,
  { node, index, where }: { readonly node: NodeProto; readonly index: number; readonly where: Where },
  findings: FindingList,
): void => {
  const { proto, name } = callee;
  const at = where.at(index, node);
  const label = `${where.node(index)} ${name}`;
  if (node.input.length > proto.input.length) {
    findings.error(
      'function-arity',
      `${label} takes ${proto.input.length} inputs, found ${node.input.length}`,
      at,
    );
  }
  if (node.output.length > proto.output.length) {
    findings.error(
      'function-arity',
      `${label} has ${proto.output.length} outputs, found ${node.output.length}`,
      at,
    );
  }
  const given = new Set(node.attribute.map((attribute) => attribute.name ?? ''));
  for (const needed of proto.attribute) {
    if (given.has(needed)) continue;
    // Exporters list attributes that their bodies never look at; only a reference makes one necessary.
    const level = callee.references.has(needed) ? 'error' : 'note';
    const message = `${where.node(index)}: ${name} needs attribute ${quoted(needed)}`;
    findings.add(level, 'function-attribute', message, at);
  }
  for (const { name: formal = '', type, refAttrName } of node.attribute) {
    const expected = callee.references.get(formal);
    if (expected === undefined || type === undefined || type === expected || refAttrName) continue;
    findings.error(
      'function-attribute',
      `${where.node(index)}: attribute ${quoted(formal)} of ${name} is ${typeName(type)}, its body takes ${typeName(expected)}`,
      at,
    );
  }
  for (const extra of given) {
    if (callee.formals.has(extra)) continue;
    findings.warning(
      'function-attribute',
      `${where.node(index)}: ${name} has no attribute ${quoted(extra)}`,
      at,
    );
  }
};

const checkSignature = (known: Known, around: Surroundings): void => {
  const { proto, name } = known;
  const { findings, files } = around;
  const what = `function ${name}`;
  checkName(findings, 'function name', proto.name);
  checkName(findings, 'function domain', proto.domain);
  checkEntries(proto.metadataProps, `metadata_props of ${what}`, findings);
  const attributes = new Set<string>();
  for (const attribute of [...proto.attribute, ...proto.attributeProto.map((entry) => entry.name ?? '')]) {
    if (attribute === '') findings.error('function-signature', `${what} has an attribute without a name`);
    else if (attributes.has(attribute)) {
      findings.error('function-signature', `${what} lists attribute ${quoted(attribute)} twice`);
    }
    attributes.add(attribute);
  }
  for (const attribute of proto.attributeProto) {
    checkAttribute(
      attribute,
      {
        where: Where.ofFunction(name),
        nodeIndex: 0,
        owner: what,
        at: {},
        formals: known.formals,
        functionName: name,
      },
      findings,
      files,
    );
  }
  const outputs = new Set<string>();
  for (const output of proto.output) {
    if (outputs.has(output))
      findings.error('function-signature', `${what} lists output ${quoted(output)} twice`);
    outputs.add(output);
  }
};

/** The body as a graph: formal parameters have names and no types. */
const bodyOf = (proto: FunctionProto): GraphProto => {
  const values = (names: readonly string[]) => names.map((name) => createMessage('ValueInfoProto', { name }));
  return createMessage('GraphProto', {
    node: proto.node,
    input: values(proto.input),
    output: values([...new Set(proto.output)]),
    valueInfo: proto.valueInfo,
  });
};

const checkBody = (
  known: Known,
  model: ModelProto,
  around: Surroundings,
  outer: ReadonlySet<string>,
): void => {
  const { proto, name, formals } = known;
  const { findings } = around;
  const opsets = checkOpsetImports(proto.opsetImport, `function ${name}: `, findings);
  if (opsets.size === 0 && proto.node.length > 0) {
    findings.error('opset-missing', `function ${name}: opset_import is empty`);
  }
  for (const { domain, version } of model.opsetImport) {
    const own = opsets.get(canonicalDomain(domain));
    if (own === undefined || own === version) continue;
    const shown = quoted(canonicalDomain(domain) || 'ai.onnx');
    findings.note(
      'function-opset',
      `function ${name} imports opset ${own} of ${shown}, the model ${version}: inlining must convert`,
    );
  }
  checkGraph(
    bodyOf(proto),
    Where.ofFunction(name),
    { ...around, opsets: opsets.size === 0 ? undefined : opsets, function: { name, formals, outer } },
    undefined,
  );
};

/** Nodes that inlining makes of each function, callees first; members of a cycle count as one node. */
const inlinedSizes = (
  functions: readonly Known[],
  calls: readonly (readonly Known[])[],
  ownNodes: readonly number[],
): Float64Array => {
  const sizes = new Float64Array(functions.length);
  const state = new Uint8Array(functions.length);
  for (const root of functions) {
    const path = [root.index];
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      if (state[at] === 0) {
        state[at] = 1;
        for (const callee of new Set(calls[at])) if (state[callee.index] === 0) path.push(callee.index);
        continue;
      }
      path.pop();
      if (state[at] === 2) continue;
      state[at] = 2;
      let size = ownNodes[at]! - calls[at]!.length;
      for (const callee of calls[at]!)
        size += state[callee.index] === 2 && callee.index !== at ? sizes[callee.index]! : 1;
      sizes[at] = size;
    }
  }
  return sizes;
};

const checkCalls = (
  model: ModelProto,
  functions: readonly Known[],
  byKey: ReadonlyMap<string, Known>,
  findings: FindingList,
): void => {
  const calls: Known[][] = functions.map(() => []);
  const ownNodes: number[] = functions.map(() => 0);
  const reads: Read[] = [];
  for (const { proto, name, index: reader } of functions) {
    for (const call of nodesIn(proto.node, Where.ofFunction(name))) {
      ownNodes[reader] = ownNodes[reader]! + 1;
      const callee = byKey.get(keyOf(call.node.domain, call.node.opType, call.node.overload));
      if (callee === undefined) continue;
      checkCall(callee, call, findings);
      calls[reader]!.push(callee);
      reads.push({ reader, maker: callee.index, name: callee.name });
    }
  }
  for (const names of judgeOrder(functions.length, reads).cycles) {
    const shown = names.length > 13 ? [...names.slice(0, 6), '…', ...names.slice(-6)] : names;
    findings.error('function-recursion', `functions call each other: ${shown.join(' -> ')}`);
  }
  const sizes = inlinedSizes(functions, calls, ownNodes);
  const called = new Set(calls.flat());
  let total = 0;
  for (const call of nodesIn(model.graph?.node ?? [], Where.graph)) {
    const callee = byKey.get(keyOf(call.node.domain, call.node.opType, call.node.overload));
    if (callee) {
      checkCall(callee, call, findings);
      called.add(callee);
    }
    total += callee ? sizes[callee.index]! : 1;
  }
  const largest = sizes.reduce((most, size) => Math.max(most, size), total);
  if (largest > INLINED_NODES_LIMIT) {
    const count = largest < Number.MAX_SAFE_INTEGER ? String(largest) : largest.toExponential(1);
    findings.error(
      'function-inlining',
      `inlining makes ${count} nodes (limit ${INLINED_NODES_LIMIT})`,
      undefined,
      'the functions call each other in a way that doubles at every level; flatten them in the exporter',
    );
  }
  for (const known of functions) {
    if (!called.has(known)) findings.note('function-unused', `function ${known.name} is never called`);
  }
};

/** @param outer names of the values of the model's graph */
export const checkFunctions = (model: ModelProto, around: Surroundings, outer: ReadonlySet<string>): void => {
  if (model.functions.length === 0) return;
  const { findings } = around;
  const byKey = new Map<string, Known>();
  const functions: Known[] = [];
  model.functions.forEach((proto, position) => {
    const name = qualifiedName(canonicalDomain(proto.domain), proto.name, proto.overload);
    if (!proto.name) {
      findings.error('function-signature', () => `functions[${position}] has no name`);
      return;
    }
    const key = keyOf(proto.domain, proto.name, proto.overload);
    if (byKey.has(key)) {
      findings.error('function-duplicate', () => `function ${name} is defined twice`);
      return;
    }
    const formals = new Set([...proto.attribute, ...proto.attributeProto.map((entry) => entry.name ?? '')]);
    const references = new Map<string, number | undefined>();
    for (const { node } of nodesIn(proto.node, Where.ofFunction(name))) {
      for (const { refAttrName, type } of node.attribute) {
        if (refAttrName) references.set(refAttrName, references.get(refAttrName) ?? type);
      }
    }
    const known = { proto, name, index: functions.length, formals, references };
    byKey.set(key, known);
    functions.push(known);
  });
  for (const known of functions) {
    checkSignature(known, around);
    checkBody(known, model, around, outer);
  }
  checkCalls(model, functions, byKey, findings);
};
