/** TypeProto to ValueType and back. What the two have in common is compared, so that an unchanged type is rewritten as it was read. */
import { type DType, dtypeFromOnnx, dtypeInfo } from '../core/dtype.ts';
import { createMessage } from '../proto/fields.ts';
import type { Dimension, TensorShapeProto, TensorTypeProto, TypeProto } from '../proto/schema.ts';
import type { Dim, Shape, ValueType } from './type.ts';

const dimFromProto = ({ dimValue, dimParam }: Dimension): Dim => {
  if (dimValue !== undefined) {
    const number = Number(dimValue);
    // Negative values occur in the wild for "unknown".
    return Number.isSafeInteger(number) && number >= 0 ? number : null;
  }
  return dimParam ? dimParam : null;
};

const shapeFromProto = (shape: TensorShapeProto | undefined): Shape | undefined =>
  shape?.dim.map(dimFromProto);

const dtypeOf = (number: number | undefined): DType | undefined => dtypeFromOnnx(number ?? 0);

/** The type, or undefined when the message says nothing. Depth is capped by the decoder. */
export const typeFromProto = (type: TypeProto | undefined): ValueType | undefined => {
  if (type === undefined) return undefined;
  const { tensorType, sparseTensorType, sequenceType, optionalType, mapType, opaqueType } = type;
  if (tensorType) {
    return { kind: 'tensor', dtype: dtypeOf(tensorType.elemType), shape: shapeFromProto(tensorType.shape) };
  }
  if (sparseTensorType) {
    const { elemType, shape } = sparseTensorType;
    return { kind: 'sparse-tensor', dtype: dtypeOf(elemType), shape: shapeFromProto(shape) };
  }
  if (sequenceType) return { kind: 'sequence', element: typeFromProto(sequenceType.elemType) };
  if (optionalType) return { kind: 'optional', element: typeFromProto(optionalType.elemType) };
  if (mapType) {
    return { kind: 'map', key: dtypeOf(mapType.keyType), value: typeFromProto(mapType.valueType) };
  }
  if (opaqueType) {
    return { kind: 'opaque', domain: opaqueType.domain ?? '', name: opaqueType.name ?? '' };
  }
  return undefined;
};

const elemTypeOf = (dtype: DType | undefined): { elemType?: number } =>
  dtype === undefined ? {} : { elemType: dtypeInfo(dtype).onnx };

const dimToProto = (dim: Dim): Dimension => {
  if (dim === null) return createMessage('Dimension');
  return createMessage('Dimension', typeof dim === 'string' ? { dimParam: dim } : { dimValue: BigInt(dim) });
};

const tensorTypeToProto = (dtype: DType | undefined, shape: Shape | undefined): TensorTypeProto =>
  createMessage('TensorTypeProto', {
    ...elemTypeOf(dtype),
    ...(shape && { shape: createMessage('TensorShapeProto', { dim: shape.map(dimToProto) }) }),
  });

const elementTypeToProto = (element: ValueType | undefined) =>
  createMessage('ElementTypeProto', element ? { elemType: typeToProto(element) } : {});

export const typeToProto = (type: ValueType): TypeProto => {
  switch (type.kind) {
    case 'tensor':
      return createMessage('TypeProto', { tensorType: tensorTypeToProto(type.dtype, type.shape) });
    case 'sparse-tensor':
      return createMessage('TypeProto', { sparseTensorType: tensorTypeToProto(type.dtype, type.shape) });
    case 'sequence':
      return createMessage('TypeProto', { sequenceType: elementTypeToProto(type.element) });
    case 'optional':
      return createMessage('TypeProto', { optionalType: elementTypeToProto(type.element) });
    case 'map':
      return createMessage('TypeProto', {
        mapType: createMessage('MapTypeProto', {
          ...(type.key && { keyType: dtypeInfo(type.key).onnx }),
          ...(type.value && { valueType: typeToProto(type.value) }),
        }),
      });
    case 'opaque':
      return createMessage('TypeProto', {
        opaqueType: createMessage('OpaqueTypeProto', {
          ...(type.domain && { domain: type.domain }),
          ...(type.name && { name: type.name }),
        }),
      });
  }
};

const sameShape = (a: Shape | undefined, b: Shape | undefined): boolean =>
  a === b || (a !== undefined && a.length === b?.length && a.every((dim, i) => dim === b[i]));

/** Whether two types say the same. */
export const sameType = (a: ValueType | undefined, b: ValueType | undefined): boolean => {
  if (a === undefined || b === undefined) return a === b;
  switch (a.kind) {
    case 'tensor':
    case 'sparse-tensor':
      return a.kind === b.kind && a.dtype === b.dtype && sameShape(a.shape, b.shape);
    case 'sequence':
    case 'optional':
      return a.kind === b.kind && sameType(a.element, b.element);
    case 'map':
      return a.kind === b.kind && a.key === b.key && sameType(a.value, b.value);
    case 'opaque':
      return a.kind === b.kind && a.domain === b.domain && a.name === b.name;
  }
};

/** The message for a type: the one it was read from while it still says the same. */
export const typeToProtoLike = (
  type: ValueType | undefined,
  origin: TypeProto | undefined,
): TypeProto | undefined => {
  if (sameType(type, typeFromProto(origin))) return origin;
  return type && typeToProto(type);
};
