/**
 * Operator rules about types: every input has a type that the operator's schema allows, and inputs that share a type
 * constraint agree. Types come from shape inference; what it finds wrong itself is passed on.
 */
import { dtypeInfo } from '../core/dtype.ts';
import { type FindingList, qualifiedName, Where } from '../ir/check-context.ts';
import { allNodes, type Graph } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { Node } from '../ir/node.ts';
import type { ValueType } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import { quoted } from '../proto/quote.ts';
import type { NodeProto } from '../proto/schema.ts';
import { ValueChecker } from './check-values.ts';
import { inferShapes } from './infer/index.ts';
import { schemaOf } from './schemas.ts';

/** `tensor(float)`, `seq(tensor(int64))`: a type as schemas spell it; undefined where a part is unknown. */
const typeText = (type: ValueType | undefined): string | undefined => {
  const wrap = (name: string, inner: string | undefined): string | undefined =>
    inner === undefined ? undefined : `${name}(${inner})`;
  const text = (dtype: Parameters<typeof dtypeInfo>[0] | undefined): string | undefined =>
    dtype && dtypeInfo(dtype).text;
  switch (type?.kind) {
    case 'tensor':
      return wrap('tensor', text(type.dtype));
    case 'sparse-tensor':
      return wrap('sparse_tensor', text(type.dtype));
    case 'sequence':
      return wrap('seq', typeText(type.element));
    case 'optional':
      return wrap('optional', typeText(type.element));
    case 'map': {
      // Schemas write map(string,float), and mean a map to scalar tensors.
      const value = typeText(type.value)?.replace(/^tensor\((.*)\)$/, '$1');
      return wrap('map', type.key && value && `${text(type.key)},${value}`);
    }
    default:
      return undefined;
  }
};

/** Where each node of a model stands, as messages say it: by its place in the file. */
const placesOf = (model: Model): Map<Node, { readonly place: string; readonly name: string }> => {
  const places = new Map<Node, { readonly place: string; readonly name: string }>();
  const pending: { readonly graph: Graph; readonly where: Where }[] = [
    { graph: model.graph, where: Where.graph },
    ...model.functions.map(({ domain, name, overload, body }) => ({
      graph: body,
      where: Where.ofFunction(qualifiedName(domain, name, overload)),
    })),
  ];
  for (let at = 0; at < pending.length; at++) {
    const { graph, where } = pending[at]!;
    const { nodes } = graph;
    // Reading sorts the nodes: the file's own order is that of the messages they came from.
    const origin = graph.origin as { readonly node?: readonly NodeProto[] } | undefined;
    const order = new Map(origin?.node?.map((proto, index) => [proto as object, index]));
    nodes.forEach((node, position) => {
      const index = (node.origin && order.get(node.origin)) ?? position;
      const place = where.node(index);
      places.set(node, { place, name: node.name || place });
      for (const [attribute, value] of node.attributes) {
        const shown = quoted(attribute).slice(1, -1);
        const graphs = value.kind === 'graph' ? [value.value] : value.kind === 'graphs' ? value.value : [];
        for (const inner of graphs) pending.push({ graph: inner, where: where.subgraph(index, shown) });
      }
    });
  }
  return places;
};

/** Types that messages list. */
const LISTED_TYPES = 12;

const listTypes = (allowed: ReadonlySet<string>): string => {
  const texts = [...allowed].sort();
  const shown = texts.length > LISTED_TYPES ? texts.filter((text) => text.startsWith('tensor')) : texts;
  const list = shown.slice(0, LISTED_TYPES).join(', ');
  const left = texts.length - Math.min(shown.length, LISTED_TYPES);
  return left === 0 ? list : `${list} and ${left} more`;
};

const checkNodeTypes = (
  node: Node,
  place: string,
  opset: number,
  typeOf: (value: Value) => ValueType | undefined,
  findings: FindingList,
): void => {
  const lookup = schemaOf(node.domain, node.op, opset);
  if (lookup.status !== 'found') return;
  const { inputs, outputs, typeConstraints } = lookup.schema;
  const bound = new Map<string, { readonly text: string; readonly index: number; readonly name: string }>();
  const given = new Set<string>();
  const at = { node: node.name || place };
  for (let index = 0; index < node.inputs.length; index++) {
    const value = node.inputs[index];
    const formal = inputs[Math.min(index, inputs.length - 1)];
    if (value === undefined || formal === undefined) continue;
    if (index >= inputs.length && formal.option !== 'variadic') break;
    const text = typeText(typeOf(value));
    if (text === undefined) continue;
    const allowed = typeConstraints.get(formal.type);
    given.add(formal.type);
    const fits = allowed === undefined ? formal.type === text : allowed.has(text);
    if (!fits) {
      const expected = allowed === undefined ? formal.type : listTypes(allowed);
      findings.error(
        'input-type',
        () =>
          `${place} ${node.qualifiedOp}: input ${index} (${formal.name}) is ${text}, expected ${expected}`,
        { ...at, value: value.name },
      );
      continue;
    }
    if (allowed === undefined || (formal.option === 'variadic' && !formal.homogeneous)) continue;
    const first = bound.get(formal.type);
    if (first === undefined) bound.set(formal.type, { text, index, name: formal.name });
    else if (first.text !== text) {
      findings.error(
        'input-type',
        () =>
          `${place} ${node.qualifiedOp}: input ${index} (${formal.name}) is ${text}, input ${first.index} (${first.name}) is ${first.text}: they must agree`,
        { ...at, value: value.name },
      );
    }
  }
  node.outputs.forEach((value, index) => {
    const formal = outputs[Math.min(index, outputs.length - 1)];
    const allowed = formal && typeConstraints.get(formal.type);
    const text = allowed && typeText(typeOf(value));
    // What the inputs' own types lead to was told of there.
    if (text === undefined || allowed!.has(text) || given.has(formal!.type)) return;
    findings.error(
      'output-type',
      () =>
        `${place} ${node.qualifiedOp}: output ${index} (${formal!.name}) is ${text}, expected ${listTypes(allowed!)}`,
      { ...at, value: value.name },
    );
  });
};

const isEmpty = (type: ValueType | undefined): boolean | undefined =>
  type?.kind === 'tensor' && type.shape ? type.shape.includes(0) : undefined;

/** Whether a slice takes nothing from something: legal, and hardly ever meant. */
const isEmptied = (node: Node, typeOf: (value: Value) => ValueType | undefined): boolean => {
  const [data] = node.inputs;
  const [result] = node.outputs;
  return Boolean(data && result && isEmpty(typeOf(data)) === false && isEmpty(typeOf(result)));
};

/** Faults that the structural and the schema rules have reported in their own words. */
const TOLD_ELSEWHERE: ReadonlySet<string> = new Set([
  'attribute-kind',
  'missing-attribute',
  'missing-input',
  'function-cycle',
]);

/**
 * Checks types and shapes of a model; the model stays as it is.
 * @returns multiply–accumulates of one run, which inference tells on the way; null when a shape is unknown
 */
export const checkTypes = (model: Model, findings: FindingList): number | null => {
  const places = placesOf(model);
  const outputs = new Set(model.graph.outputNames);
  const told = new Set<string>();
  const owners = new Map(model.functions.map(({ body, opsets }) => [body, opsets]));
  const checkedBodies = new Set<string>();
  const inference = inferShapes(model, {
    dryRun: true,
    onBody: (body, typeIn) => {
      const opsets = owners.get(body);
      for (const node of allNodes(body)) {
        const place = places.get(node)?.place;
        const opset = opsets?.get(node.domain);
        if (place === undefined || opset === undefined || checkedBodies.has(place)) continue;
        const before = findings.errorCount;
        checkNodeTypes(node, place, opset, typeIn, findings);
        if (findings.errorCount > before) checkedBodies.add(place);
      }
    },
    report: ({ level, rule, message, node, value }) => {
      if (TOLD_ELSEWHERE.has(rule)) return;
      const place = node && places.get(node);
      // Names in messages are escaped here; a graph output is called by what the user sees.
      const isOutput = value !== undefined && rule.startsWith('declared-') && outputs.has(value);
      const said = isOutput
        ? message.replace(/^[^"]*".*" is declared/s, `graph.output ${quoted(value)} is declared`)
        : message;
      const text = place === undefined || isOutput ? said : `${place.place} ${said}`;
      // A function body is inferred once a call: its faults are told once.
      if (told.has(text)) return;
      told.add(text);
      const at = { ...(place && { node: place.name }), ...(value !== undefined && { value }) };
      // A limit of ours is no fault of the model.
      findings.add(rule === 'inference-limit' ? 'warning' : level, rule, text, at);
    },
  });
  const { typeOf, macs } = inference;
  const values = new ValueChecker(inference, findings);
  for (const [node, { place }] of places) {
    let graph = node.graph;
    while (graph?.owner?.graph) graph = graph.owner.graph;
    const opsets = (graph && owners.get(graph)) ?? model.opsets;
    const opset = opsets.get(node.domain);
    if (opset !== undefined) {
      checkNodeTypes(node, place, opset, typeOf, findings);
      values.check(node, place, opset);
    }
    if (node.is('Slice') && isEmptied(node, typeOf)) {
      findings.note('empty-result', `${place} Slice: empty result`, { node: node.name || place });
    }
  }
  return macs;
};
