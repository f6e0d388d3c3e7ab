/** Rules about AttributeProto: one value, of the kind its type says, or a reference inside a function. */
import type { Place } from '../core/errors.ts';
import { quoted } from '../proto/quote.ts';
import { ATTRIBUTE_TYPES, type AttributeProto } from '../proto/schema.ts';
import type { FindingList, Where } from './check-context.ts';
import type { ExternalFiles } from './check-external.ts';
import { checkName } from './check-names.ts';
import { checkSparse, checkTensor } from './check-tensor.ts';
import { checkType } from './check-type.ts';

/** Attribute kinds: how messages call one value of each, and the test whether its field holds something. */
const KINDS: readonly {
  readonly type: number;
  readonly label: string;
  readonly value: string;
  readonly isHeld: (attribute: AttributeProto) => boolean;
}[] = [
  { type: ATTRIBUTE_TYPES.float, label: 'FLOAT', value: 'a float', isHeld: ({ f }) => f !== undefined },
  { type: ATTRIBUTE_TYPES.int, label: 'INT', value: 'an int', isHeld: ({ i }) => i !== undefined },
  { type: ATTRIBUTE_TYPES.string, label: 'STRING', value: 'a string', isHeld: ({ s }) => s !== undefined },
  { type: ATTRIBUTE_TYPES.tensor, label: 'TENSOR', value: 'a tensor', isHeld: ({ t }) => t !== undefined },
  { type: ATTRIBUTE_TYPES.graph, label: 'GRAPH', value: 'a graph', isHeld: ({ g }) => g !== undefined },
  {
    type: ATTRIBUTE_TYPES.sparse_tensor,
    label: 'SPARSE_TENSOR',
    value: 'a sparse tensor',
    isHeld: ({ sparseTensor }) => sparseTensor !== undefined,
  },
  {
    type: ATTRIBUTE_TYPES.type_proto,
    label: 'TYPE_PROTO',
    value: 'a type',
    isHeld: ({ tp }) => tp !== undefined,
  },
  {
    type: ATTRIBUTE_TYPES.floats,
    label: 'FLOATS',
    value: 'floats',
    isHeld: ({ floats }) => floats.length > 0,
  },
  { type: ATTRIBUTE_TYPES.ints, label: 'INTS', value: 'ints', isHeld: ({ ints }) => ints.length > 0 },
  {
    type: ATTRIBUTE_TYPES.strings,
    label: 'STRINGS',
    value: 'strings',
    isHeld: ({ strings }) => strings.length > 0,
  },
  {
    type: ATTRIBUTE_TYPES.tensors,
    label: 'TENSORS',
    value: 'tensors',
    isHeld: ({ tensors }) => tensors.length > 0,
  },
  {
    type: ATTRIBUTE_TYPES.graphs,
    label: 'GRAPHS',
    value: 'graphs',
    isHeld: ({ graphs }) => graphs.length > 0,
  },
  {
    type: ATTRIBUTE_TYPES.sparse_tensors,
    label: 'SPARSE_TENSORS',
    value: 'sparse tensors',
    isHeld: ({ sparseTensors }) => sparseTensors.length > 0,
  },
  {
    type: ATTRIBUTE_TYPES.type_protos,
    label: 'TYPE_PROTOS',
    value: 'types',
    isHeld: ({ typeProtos }) => typeProtos.length > 0,
  },
];

const BY_TYPE = new Map(KINDS.map((kind) => [kind.type, kind]));

/** Kinds that must hold a message; the others have a zero or an empty list that writers may leave out. */
const MESSAGES: ReadonlySet<number> = new Set([
  ATTRIBUTE_TYPES.tensor,
  ATTRIBUTE_TYPES.graph,
  ATTRIBUTE_TYPES.sparse_tensor,
  ATTRIBUTE_TYPES.type_proto,
]);

/** Whether no field of another kind than the attribute's type is set. */
export const holdsWhatItSays = (attribute: AttributeProto): boolean =>
  KINDS.every(({ type, isHeld }) => type === attribute.type || !isHeld(attribute));

/** What the node around an attribute knows. */
export interface AttributeContext {
  readonly where: Where;
  readonly nodeIndex: number;
  /** How messages name the node: `graph.node[0] Conv`. */
  readonly owner: string;
  readonly at: Place;
  /** Formal attributes of the function around the node; undefined outside functions. */
  readonly formals: ReadonlySet<string> | undefined;
  readonly functionName: string | undefined;
}

const checkKind = (attribute: AttributeProto, what: string, findings: FindingList, at: Place): void => {
  const { type } = attribute;
  const held = KINDS.filter(({ isHeld }) => isHeld(attribute));
  const isReference = Boolean(attribute.refAttrName);
  if (isReference && held.length > 0) {
    findings.error('attribute-value', `${what} is a reference and holds ${held[0]!.value}`, at);
    return;
  }
  if (type === undefined || type === ATTRIBUTE_TYPES.undefined) {
    const holds =
      held.length === 0 || isReference ? '' : `; it holds ${held.map(({ value }) => value).join(' and ')}`;
    findings.error('attribute-type', `${what} has no type${holds}`, at);
    return;
  }
  const kind = BY_TYPE.get(type);
  if (kind === undefined) {
    findings.error('attribute-type', `${what}: unknown attribute type ${type}`, at);
    return;
  }
  if (isReference) return;
  const wrong = held.filter((other) => other !== kind);
  if (wrong.length > 0) {
    const also = held.length > wrong.length ? 'also ' : '';
    findings.error(
      'attribute-type',
      `${what} says ${kind.label} but ${also}holds ${wrong.map(({ value }) => value).join(' and ')}`,
      at,
    );
  } else if (held.length === 0 && MESSAGES.has(type)) {
    findings.error('attribute-value', `${what} says ${kind.label} but holds nothing`, at);
  }
};

/** Checks an attribute but not the graphs in it. */
export const checkAttribute = (
  attribute: AttributeProto,
  context: AttributeContext,
  findings: FindingList,
  files: ExternalFiles,
): void => {
  const { where, nodeIndex, owner, at, formals, functionName } = context;
  const { name = '', refAttrName = '' } = attribute;
  const shown = name === '' ? '(without a name)' : quoted(name).slice(1, -1);
  const what = `${owner}: attribute ${shown}`;
  if (name === '') findings.error('attribute-name', `${owner} has an attribute without a name`, at);
  checkName(findings, 'attribute name', name);
  checkKind(attribute, what, findings, at);
  if (refAttrName !== '') {
    if (formals === undefined) {
      findings.error(
        'attribute-reference',
        `${what} refers to ${quoted(refAttrName)} outside a function`,
        at,
      );
    } else if (!formals.has(refAttrName)) {
      findings.error(
        'attribute-reference',
        `${what} refers to ${quoted(refAttrName)}, which function ${functionName} does not declare`,
        at,
      );
    }
  }
  const tensorName = `${where.prefix}node ${nodeIndex} attribute ${shown}`;
  if (attribute.t) checkTensor(attribute.t, tensorName, findings, files, at);
  for (const tensor of attribute.tensors) checkTensor(tensor, tensorName, findings, files, at);
  if (attribute.sparseTensor) checkSparse(attribute.sparseTensor, tensorName, findings, files, at);
  for (const sparse of attribute.sparseTensors) checkSparse(sparse, tensorName, findings, files, at);
  if (attribute.tp) checkType(attribute.tp, what, false, findings, at);
  for (const type of attribute.typeProtos) checkType(type, what, false, findings, at);
};
