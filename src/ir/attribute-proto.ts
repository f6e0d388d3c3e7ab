/** AttributeProto to Attribute and back; graphs inside are read and written by the caller's functions. */
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { createMessage } from '../proto/fields.ts';
import { quoted } from '../proto/quote.ts';
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  type GraphProto,
  type SparseTensorProto,
  type TensorProto,
} from '../proto/schema.ts';
import type { Attribute, AttributeKind, SparseTensor } from './attribute.ts';
import type { Graph } from './graph.ts';
import { protoOfSparse, sparseFromProto, type TensorContext, tensorFromProto } from './tensor-from-proto.ts';
import type { ValueType } from './type.ts';
import { sameType, typeFromProto, typeToProto } from './type-proto.ts';

type Fail = (message: string) => never;

const KINDS = new Map<number, AttributeKind>(
  (Object.keys(ATTRIBUTE_TYPES) as (AttributeKind | 'undefined')[])
    .filter((kind) => kind !== 'undefined')
    .map((kind) => [ATTRIBUTE_TYPES[kind], kind]),
);

const filledKinds = (proto: AttributeProto): AttributeKind[] => {
  const filled: [AttributeKind, boolean][] = [
    ['float', proto.f !== undefined],
    ['int', proto.i !== undefined],
    ['string', proto.s !== undefined],
    ['tensor', proto.t !== undefined],
    ['graph', proto.g !== undefined],
    ['sparse_tensor', proto.sparseTensor !== undefined],
    ['type_proto', proto.tp !== undefined],
    ['floats', proto.floats.length > 0],
    ['ints', proto.ints.length > 0],
    ['strings', proto.strings.length > 0],
    ['tensors', proto.tensors.length > 0],
    ['graphs', proto.graphs.length > 0],
    ['sparse_tensors', proto.sparseTensors.length > 0],
    ['type_protos', proto.typeProtos.length > 0],
  ];
  return filled.filter(([, has]) => has).map(([kind]) => kind);
};

/** The kind that `type` names; models of IR 1 and some writers leave `type` out, then the field that is set decides. */
const kindOf = (proto: AttributeProto, fail: Fail): AttributeKind => {
  const filled = filledKinds(proto);
  const declared = KINDS.get(proto.type ?? 0);
  if (declared === undefined && proto.type) fail(`has the unknown type ${proto.type}`);
  const kind = declared ?? (filled.length === 1 ? filled[0] : undefined);
  if (kind === undefined) return fail('has no type');
  const wrong = filled.find((other) => other !== kind);
  if (wrong) fail(`says ${kind.toUpperCase()} but holds ${/^[aeiou]/.test(wrong) ? 'an' : 'a'} ${wrong}`);
  return kind;
};

/** How the graphs inside an attribute are read, and where tensors find their external data. */
export interface AttributeReading extends TensorContext {
  /** `graph.node[3]`, for messages. */
  readonly where: string;
  readonly graph: (proto: GraphProto, where: string) => Graph;
}

/** @throws OrthoError model/invalid when type and content contradict each other. */
export const attributeFromProto = (proto: AttributeProto, reading: AttributeReading): Attribute => {
  const name = proto.name ?? '';
  const fail: Fail = (message) => {
    throw new OrthoError('model/invalid', `${reading.where}: attribute ${quoted(name)} ${message}`, {
      hint: 'export the model again',
    });
  };
  const kind = kindOf(proto, fail);
  if (proto.refAttrName) return { kind: 'reference', to: proto.refAttrName, type: kind, origin: proto };
  const context = { ...reading, what: `${reading.where} ${name}` };
  const tensorOf = (tensor: TensorProto): Tensor => tensorFromProto(tensor, context);
  const sparseOf = (sparse: SparseTensorProto): SparseTensor => sparseFromProto(sparse, context);
  const graphOf = (graph: GraphProto, index?: number): Graph =>
    reading.graph(graph, `${reading.where} ${name}${index === undefined ? '' : `[${index}]`}`);
  const origin = proto;
  const missing = (): never => fail(`of type ${kind.toUpperCase()} holds nothing`);
  switch (kind) {
    case 'float':
      return { kind, value: proto.f ?? 0, origin };
    case 'int':
      return { kind, value: proto.i ?? 0n, origin };
    case 'string':
      return { kind, value: proto.s ?? new Uint8Array(0), origin };
    case 'tensor':
      return { kind, value: tensorOf(proto.t ?? missing()), origin };
    case 'graph':
      return { kind, value: graphOf(proto.g ?? missing()), origin };
    case 'sparse_tensor':
      return { kind, value: sparseOf(proto.sparseTensor ?? missing()), origin };
    case 'type_proto':
      return { kind, value: typeFromProto(proto.tp ?? missing()) ?? fail('holds an empty type'), origin };
    case 'floats':
      return { kind, value: Array.from(proto.floats), origin };
    case 'ints':
      return { kind, value: proto.ints, origin };
    case 'strings':
      return { kind, value: proto.strings, origin };
    case 'tensors':
      return { kind, value: proto.tensors.map(tensorOf), origin };
    case 'graphs':
      return { kind, value: proto.graphs.map(graphOf), origin };
    case 'sparse_tensors':
      return { kind, value: proto.sparseTensors.map(sparseOf), origin };
    case 'type_protos':
      return {
        kind,
        value: proto.typeProtos.map((type) => typeFromProto(type) ?? fail('holds an empty type')),
        origin,
      };
  }
};

/** How the tensors and graphs inside an attribute are written. */
export interface AttributeWriting {
  readonly tensor: (tensor: Tensor) => TensorProto;
  readonly graph: (graph: Graph) => GraphProto;
}

const sparseToProto = (sparse: SparseTensor, writing: AttributeWriting): SparseTensorProto => {
  const origin = protoOfSparse(sparse);
  return createMessage('SparseTensorProto', {
    ...origin,
    values: writing.tensor(sparse.values),
    indices: writing.tensor(sparse.indices),
    dims: origin?.dims ?? sparse.dims.map(BigInt),
  });
};

const typeLike = (type: ValueType, origin: AttributeProto['tp']): NonNullable<AttributeProto['tp']> =>
  origin !== undefined && sameType(type, typeFromProto(origin)) ? origin : typeToProto(type);

/** What a kind's field must hold; values that equal the origin's stay the origin's, bit for bit. */
const contentOf = (
  attribute: Exclude<Attribute, { kind: 'reference' }>,
  origin: AttributeProto | undefined,
  writing: AttributeWriting,
): Partial<AttributeProto> => {
  switch (attribute.kind) {
    case 'float':
      return { f: origin && Object.is(origin.f ?? 0, attribute.value) ? origin.f : attribute.value };
    case 'int':
      return { i: (origin?.i ?? 0n) === attribute.value && origin ? origin.i : attribute.value };
    case 'string':
      return {
        s: origin && origin.s === undefined && attribute.value.length === 0 ? undefined : attribute.value,
      };
    case 'tensor':
      return { t: writing.tensor(attribute.value) };
    case 'graph':
      return { g: writing.graph(attribute.value) };
    case 'sparse_tensor':
      return { sparseTensor: sparseToProto(attribute.value, writing) };
    case 'type_proto':
      return { tp: typeLike(attribute.value, origin?.tp) };
    case 'floats': {
      const { value } = attribute;
      const isSame =
        origin?.floats.length === value.length && value.every((item, i) => Object.is(item, origin.floats[i]));
      return { floats: isSame ? origin.floats : Float32Array.from(value) };
    }
    case 'ints':
      return { ints: attribute.value };
    case 'strings':
      return { strings: attribute.value };
    case 'tensors':
      return { tensors: attribute.value.map(writing.tensor) };
    case 'graphs':
      return { graphs: attribute.value.map(writing.graph) };
    case 'sparse_tensors':
      return { sparseTensors: attribute.value.map((sparse) => sparseToProto(sparse, writing)) };
    case 'type_protos':
      return { typeProtos: attribute.value.map((type, i) => typeLike(type, origin?.typeProtos[i])) };
  }
};

/**
 * The message of an attribute. Doc string and unknown fields come from its origin, as long as that is of the same
 * kind; everything else is written from the attribute itself, so a copy with a new value is written right.
 */
export const attributeToProto = (
  name: string,
  attribute: Attribute,
  writing: AttributeWriting,
): AttributeProto => {
  const kind = attribute.kind === 'reference' ? attribute.type : attribute.kind;
  const read = attribute.origin as AttributeProto | undefined;
  const holds = (proto: AttributeProto): boolean =>
    proto.type ? KINDS.get(proto.type) === kind : filledKinds(proto)[0] === kind;
  const isReference = attribute.kind === 'reference';
  const origin =
    read !== undefined && Boolean(read.refAttrName) === isReference && holds(read) ? read : undefined;
  const kept = {
    docString: origin?.docString,
    unknown: origin?.unknown,
    type: origin ? origin.type : ATTRIBUTE_TYPES[kind],
  };
  if (isReference) {
    return createMessage('AttributeProto', { ...origin, ...kept, name, refAttrName: attribute.to });
  }
  return createMessage('AttributeProto', {
    ...kept,
    name,
    refAttrName: origin?.refAttrName,
    ...contentOf(attribute, origin, writing),
  });
};
