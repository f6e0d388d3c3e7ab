/**
 * Operator rules that need the node and its schema only: the operator exists in the imported opset, its attributes are
 * known, of the right kind and complete, and it has as many inputs and outputs as it takes. They hold whatever else
 * is wrong with the model, so they are judged on the decoded messages.
 */
import { nearestNames } from '../core/nearest.ts';
import type { AttributeKind } from '../ir/attribute.ts';
import { holdsWhatItSays } from '../ir/check-attribute.ts';
import { canonicalDomain, type FindingList, qualifiedName, Where } from '../ir/check-context.ts';
import { quoted } from '../proto/quote.ts';
import { ATTRIBUTE_TYPES, type AttributeProto, type ModelProto, type NodeProto } from '../proto/schema.ts';
import { type FormalParameter, operatorNames, type Schema, schemaOf } from './schemas.ts';

/** Wrong names that get a suggestion; looking for one costs a pass over all operators. */
const SUGGESTIONS = 20;

const KIND_OF_TYPE = new Map<number, AttributeKind>(
  Object.entries(ATTRIBUTE_TYPES).flatMap(([kind, type]) =>
    kind === 'undefined' ? [] : [[type, kind as AttributeKind]],
  ),
);

const KIND_TEXT: Readonly<Record<AttributeKind, string>> = {
  float: 'a float',
  int: 'an int',
  string: 'a string',
  tensor: 'a tensor',
  graph: 'a graph',
  sparse_tensor: 'a sparse tensor',
  type_proto: 'a type',
  floats: 'a list of floats',
  ints: 'a list of ints',
  strings: 'a list of strings',
  tensors: 'a list of tensors',
  graphs: 'a list of graphs',
  sparse_tensors: 'a list of sparse tensors',
  type_protos: 'a list of types',
};

/** The kind of an attribute; undefined where it says none or lies (the structural rules report that). */
const kindOf = (attribute: AttributeProto): AttributeKind | undefined =>
  holdsWhatItSays(attribute) ? KIND_OF_TYPE.get(attribute.type ?? ATTRIBUTE_TYPES.undefined) : undefined;

/** Attributes of Constant that hold its value. */
const isValueOfConstant = (name: string): boolean => name === 'sparse_value' || /^value(_|$)/.test(name);

/** One node being judged. */
interface Subject {
  readonly node: NodeProto;
  readonly schema: Schema;
  /** `graph.node[0]` */
  readonly place: string;
  readonly at: { readonly node: string };
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

const checkAttributes = ({ node, schema, place, at }: Subject, findings: FindingList): void => {
  const { name: op } = schema;
  const given = new Set<string>();
  for (const attribute of node.attribute) {
    const { name = '' } = attribute;
    given.add(name);
    const formal = schema.attributes.get(name);
    const shown = quoted(name);
    if (formal === undefined) {
      if (name === '') continue;
      const near = nearestNames(name, schema.attributes.keys())[0];
      findings.error(
        'unknown-attribute',
        () => `${place}: ${op} has no attribute ${shown}`,
        at,
        near === undefined ? undefined : `the nearest attribute of ${op}-${schema.since} is ${near}`,
      );
      continue;
    }
    const kind = kindOf(attribute);
    if (kind !== undefined && kind !== formal.type) {
      findings.error(
        'attribute-kind',
        () => `${place} ${op}: ${name} must be ${KIND_TEXT[formal.type]}, found ${KIND_TEXT[kind]}`,
        at,
      );
    }
  }
  for (const formal of schema.attributes.values()) {
    if (!formal.required || given.has(formal.name)) continue;
    findings.error('missing-attribute', () => `${place}: ${op} needs attribute '${formal.name}'`, at);
  }
  if (op === 'Constant' && schema.domain === '') {
    const values = [...given].filter(isValueOfConstant).length;
    if (values !== 1) {
      findings.error(
        'constant-value',
        () => `${place}: Constant needs exactly one value attribute, found ${values}`,
        at,
      );
    }
  }
};

/** Least and greatest number of arguments. */
const arityOf = (formals: readonly FormalParameter[]): readonly [number, number] => {
  const last = formals.at(-1);
  const needed = formals.findLastIndex((formal) => formal.option === 'single' || formal.minArity > 0);
  const least = needed < 0 ? 0 : needed + Math.max(1, formals[needed]!.minArity);
  return [least, last?.option === 'variadic' ? Number.POSITIVE_INFINITY : formals.length];
};

const checkArguments = (
  { schema, place, at }: Subject,
  noun: 'input' | 'output',
  formals: readonly FormalParameter[],
  names: readonly string[],
  findings: FindingList,
): void => {
  const { name: op } = schema;
  const [least, most] = arityOf(formals);
  if (names.length < least || names.length > most) {
    const verb = noun === 'input' ? 'takes' : 'has';
    const range = least === most ? '' : most === Number.POSITIVE_INFINITY ? 'at least ' : `${least} to `;
    const bound = most === Number.POSITIVE_INFINITY ? least : most;
    findings.error(
      'node-arity',
      () => `${place}: ${op} ${verb} ${range}${plural(bound, noun)}, found ${names.length}`,
      at,
    );
  }
  let emptyVariadic = 0;
  let firstEmpty = -1;
  for (let index = 0; index < Math.min(names.length, most); index++) {
    if (names[index] !== '') continue;
    const formal = formals[Math.min(index, formals.length - 1)]!;
    if (formal.option === 'single') {
      findings.error(
        'missing-input',
        () => `${place} ${op}: ${noun} ${index} (${formal.name}) is required`,
        at,
      );
    } else if (formal.option === 'variadic' && noun === 'input') {
      emptyVariadic++;
      if (firstEmpty < 0) firstEmpty = index;
    }
  }
  if (emptyVariadic > 0) {
    const which = emptyVariadic === 1 ? `an empty input (${firstEmpty})` : `${emptyVariadic} empty inputs`;
    findings.error(
      'missing-input',
      () => `${place} ${op} has ${which}; empty is allowed for optional inputs only`,
      at,
    );
  }
};

/** The operator sets in force somewhere, and how messages call who imports them. */
interface Imports {
  readonly versions: ReadonlyMap<string, number>;
  readonly importer: string;
}

class SchemaChecker {
  readonly #findings: FindingList;
  /** The overloads of each model-local function. */
  readonly #functions: ReadonlyMap<string, ReadonlySet<string>>;
  /** Operators without a schema, and how often they occur. */
  readonly #foreign = new Map<
    string,
    { readonly isContrib: boolean; readonly first: string; count: number }
  >();
  #suggested = 0;

  constructor(model: ModelProto, findings: FindingList) {
    this.#findings = findings;
    const functions = new Map<string, Set<string>>();
    for (const { domain, name, overload = '' } of model.functions) {
      const key = callKey(domain, name);
      const known = functions.get(key);
      if (known) known.add(overload);
      else functions.set(key, new Set([overload]));
    }
    this.#functions = functions;
  }

  /** Checks a list of nodes and all graphs in it, in a loop: nesting costs no stack. */
  check(nodes: readonly NodeProto[], where: Where, imports: Imports): void {
    const pending = [{ nodes, where }];
    for (let at = 0; at < pending.length; at++) {
      const { nodes: list, where: place } = pending[at]!;
      list.forEach((node, index) => {
        if (node.opType) this.#checkNode(node, place, index, imports);
        for (const { g, graphs, name = '' } of node.attribute) {
          const shown = quoted(name).slice(1, -1);
          if (g) pending.push({ nodes: g.node, where: place.subgraph(index, shown) });
          for (const graph of graphs)
            pending.push({ nodes: graph.node, where: place.subgraph(index, shown) });
        }
      });
    }
  }

  #checkNode(node: NodeProto, where: Where, index: number, { versions, importer }: Imports): void {
    const domain = canonicalDomain(node.domain);
    const { opType: op = '' } = node;
    const overloads = this.#functions.size > 0 ? this.#functions.get(callKey(domain, op)) : undefined;
    if (overloads?.has(node.overload ?? '')) return;
    if (overloads && schemaOf(domain, op, versions.get(domain) ?? 0).status === 'unknown-domain') {
      this.#findings.error(
        'unknown-overload',
        () =>
          `${where.node(index)}: ${qualifiedName(domain, op)} has no overload ${quoted(node.overload ?? '')}, only ${[...overloads].slice(0, 8).map(quoted).join(', ')}`,
        where.at(index, node),
      );
      return;
    }
    const opset = versions.get(domain);
    if (opset === undefined) return;
    const lookup = schemaOf(domain, op, opset);
    const at = where.at(index, node);
    const of = domain === '' ? '' : `${quoted(domain).slice(1, -1)} `;
    switch (lookup.status) {
      case 'unknown-domain':
        this.#countForeign(domain, op, lookup.contrib, where.node(index));
        return;
      case 'unknown-op':
        this.#findings.error(
          'unknown-operator',
          () => `${where.node(index)}: ${quoted(op)} is not an operator of ${of}opset ${opset}`,
          at,
          this.#suggest(domain, op),
        );
        return;
      case 'too-new':
        this.#findings.error(
          'operator-too-new',
          () =>
            `${where.node(index)}: ${op} exists from ${of}opset ${lookup.since}; ${importer} imports ${opset}`,
          at,
        );
        return;
      case 'deprecated':
        if (lookup.isStillborn) {
          this.#findings.warning(
            'operator-deprecated',
            () => `${where.node(index)}: ${op} of ${of}opset ${lookup.schema.since} is deprecated`,
            at,
            'a later opset defines it anew',
          );
          return;
        }
        this.#findings.error(
          'operator-removed',
          () =>
            `${where.node(index)}: ${op} was removed in ${of}opset ${lookup.schema.since}; ${importer} imports ${opset}`,
          at,
        );
        return;
      case 'found': {
        const subject = {
          node,
          schema: lookup.schema,
          place: where.node(index),
          at: { node: at.node ?? '' },
        };
        checkAttributes(subject, this.#findings);
        checkArguments(subject, 'input', lookup.schema.inputs, node.input, this.#findings);
        checkArguments(subject, 'output', lookup.schema.outputs, node.output, this.#findings);
      }
    }
  }

  #suggest(domain: string, op: string): string | undefined {
    if (this.#suggested >= SUGGESTIONS) return undefined;
    this.#suggested++;
    const near = nearestNames(op, operatorNames(domain))[0];
    return near === undefined ? undefined : `the nearest operator is ${near}`;
  }

  #countForeign(domain: string, op: string, isContrib: boolean, place: string): void {
    const name = qualifiedName(domain, op);
    const known = this.#foreign.get(name);
    if (known === undefined) this.#foreign.set(name, { isContrib, first: place, count: 1 });
    else known.count++;
  }

  reportForeign(): void {
    for (const [name, { isContrib, first, count }] of this.#foreign) {
      const where = count === 1 ? first : `${first} and ${count - 1} more`;
      if (isContrib) {
        this.#findings.note('op/contrib', () => `${name}: an operator of ONNX Runtime only (${where})`);
      } else {
        this.#findings.warning(
          'op/unsupported',
          () => `${name}: no schema; cannot be run or folded (${where})`,
        );
      }
    }
  }
}

const callKey = (domain: string | undefined, name: string | undefined): string =>
  JSON.stringify([canonicalDomain(domain), name ?? '']);

const versionsOf = (imports: ModelProto['opsetImport']): Map<string, number> =>
  new Map(imports.map(({ domain, version = 0n }) => [canonicalDomain(domain), Number(version)]));

/** Judges every node of a model by its operator's schema. */
export const checkSchemas = (model: ModelProto, findings: FindingList): void => {
  const checker = new SchemaChecker(model, findings);
  const versions = versionsOf(model.opsetImport);
  const irVersion = model.irVersion ?? 0n;
  // Before IR version 3 there was one operator set and no way to say so.
  if (versions.size === 0 && irVersion > 0n && irVersion < 3n) versions.set('', 1);
  const imports = { versions, importer: 'the model' };
  checker.check(model.graph?.node ?? [], Where.graph, imports);
  for (const item of model.functions) {
    const name = qualifiedName(canonicalDomain(item.domain), item.name, item.overload);
    checker.check(item.node, Where.ofFunction(name), {
      versions: versionsOf(item.opsetImport),
      importer: `function ${name}`,
    });
  }
  model.trainingInfo.forEach(({ initialization, algorithm }, index) => {
    const part = (name: string): Where => new Where(`training_info[${index}].${name}`, '');
    checker.check(initialization?.node ?? [], part('initialization'), imports);
    checker.check(algorithm?.node ?? [], part('algorithm'), imports);
  });
  checker.reportForeign();
};
