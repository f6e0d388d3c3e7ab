/** Rules about TypeProto: what a declared type must say. Nesting is capped by the decoder; the walk is a loop. */

import { dtypeFromOnnx, dtypeInfo } from '../core/dtype.ts';
import type { Place } from '../core/errors.ts';
import type { MapTypeProto, TensorShapeProto, TypeProto } from '../proto/schema.ts';
import type { FindingList } from './check-context.ts';
import { checkName } from './check-names.ts';

/** Beyond this many dimensions few runtimes follow. */
export const HIGH_RANK = 32;

const checkShape = (
  shape: TensorShapeProto | undefined,
  what: string,
  findings: FindingList,
  at: Place,
): void => {
  if (shape === undefined) return;
  if (shape.dim.length > HIGH_RANK) {
    findings.warning('high-rank', `${what} has rank ${shape.dim.length}`, at);
  }
  shape.dim.forEach(({ dimValue, dimParam }, index) => {
    if (dimValue !== undefined && dimValue < 0n) {
      findings.warning(
        'type-dims',
        `${what}: dim ${index} is ${dimValue}`,
        at,
        'an unknown dimension has no value',
      );
    }
    checkName(findings, 'dim_param', dimParam);
  });
};

/** A message of elem_type: undefined and 0 are missing, others may be unknown. */
const checkElementType = (
  elemType: number | undefined,
  what: string,
  required: boolean,
  findings: FindingList,
  at: Place,
): void => {
  if (elemType === undefined || elemType === 0) {
    if (required) findings.error('type-missing', `${what} has no element type`, at);
  } else if (dtypeFromOnnx(elemType) === undefined) {
    findings.error('type-unknown', `${what}: unknown element type ${elemType}`, at);
  }
};

const isMapKey = (keyType: number | undefined): boolean => {
  const dtype = keyType === undefined ? undefined : dtypeFromOnnx(keyType);
  if (dtype === undefined) return false;
  const { kind, bits } = dtypeInfo(dtype);
  return kind === 'string' || ((kind === 'int' || kind === 'uint') && bits >= 8);
};

/** @param required whether a type without content is an error (inputs of the model) or merely says nothing */
export const checkType = (
  type: TypeProto,
  what: string,
  required: boolean,
  findings: FindingList,
  at: Place,
): void => {
  let current: TypeProto | undefined = type;
  let inside = what;
  while (current !== undefined) {
    const tensor = current.tensorType ?? current.sparseTensorType;
    if (tensor !== undefined) {
      checkElementType(tensor.elemType, inside, required, findings, at);
      checkShape(tensor.shape, inside, findings, at);
      return;
    }
    const mapType: MapTypeProto | undefined = current.mapType;
    const holder = current.sequenceType ?? current.optionalType;
    if (mapType !== undefined) {
      if (!isMapKey(mapType.keyType)) {
        const found = mapType.keyType ?? 0;
        const name = dtypeFromOnnx(found);
        findings.error(
          'type-map-key',
          `${inside}: a map's key must be an integer or a string, found ${name ?? `type ${found}`}`,
          at,
        );
      }
      if (mapType.valueType === undefined) {
        findings.error('type-missing', `${inside}: the map has no value type`, at);
      }
      inside = `${what} (value of a map)`;
      current = mapType.valueType;
    } else if (holder !== undefined) {
      const kind = current.sequenceType ? 'sequence' : 'optional';
      if (kind === 'optional' && holder.elemType?.optionalType !== undefined) {
        findings.warning('type-nesting', `${inside} is an optional of an optional`, at);
      }
      if (holder.elemType === undefined) {
        findings.error('type-missing', `${inside}: the ${kind} has no element type`, at);
      }
      inside = `${what} (element of a ${kind})`;
      current = holder.elemType;
    } else {
      if (current.opaqueType === undefined && (required || inside !== what)) {
        findings.error('type-missing', `${inside} has an empty type`, at);
      }
      return;
    }
  }
};
