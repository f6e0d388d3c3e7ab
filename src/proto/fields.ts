/**
 * The field table of onnx.proto: what the decoder and the encoder walk.
 *
 * A field's `type` is a scalar type of protobuf or the name of a message. Three scalar types are our own: `source`
 * (bytes that may stay in the file), `floats32` and `floats64` (packed fixed-width elements, kept as their bytes).
 */
import type { MessageName, Messages } from './schema.ts';

export type ScalarType =
  | 'int32'
  | 'int64'
  | 'uint64'
  | 'float'
  | 'string'
  | 'bytes'
  | 'source'
  | 'floats32'
  | 'floats64';

export interface Field {
  readonly number: number;
  /** Property of the TypeScript interface. */
  readonly key: string;
  readonly type: ScalarType | MessageName;
  readonly repeated: boolean;
  /** Written packed; both forms are read. */
  readonly packed: boolean;
  /** Members of one oneof exclude each other. */
  readonly oneof: string | undefined;
  /** The wire type of a single element. */
  readonly wireType: 0 | 1 | 2 | 5;
  /** The table of the message type, if this is one. */
  readonly message: MessageTable | undefined;
}

export interface MessageTable {
  readonly name: MessageName;
  /** In the order of field numbers. */
  readonly fields: readonly Field[];
  /** By field number. */
  readonly byNumber: readonly (Field | undefined)[];
  /** A message without any field: clone it. */
  readonly empty: Readonly<Record<string, unknown>>;
}

type FieldSpec = readonly [number, ScalarType | MessageName, ('repeated' | 'packed' | { oneof: string })?];
type KeysOf<M> = Exclude<keyof M, 'unknown'>;

const entries = (number: number): FieldSpec => [number, 'StringStringEntryProto', 'repeated'];

const SPECS: { readonly [N in MessageName]: Readonly<Record<KeysOf<Messages[N]>, FieldSpec>> } = {
  ModelProto: {
    irVersion: [1, 'int64'],
    producerName: [2, 'string'],
    producerVersion: [3, 'string'],
    domain: [4, 'string'],
    modelVersion: [5, 'int64'],
    docString: [6, 'string'],
    graph: [7, 'GraphProto'],
    opsetImport: [8, 'OperatorSetIdProto', 'repeated'],
    metadataProps: entries(14),
    trainingInfo: [20, 'TrainingInfoProto', 'repeated'],
    functions: [25, 'FunctionProto', 'repeated'],
    configuration: [26, 'DeviceConfigurationProto', 'repeated'],
  },
  OperatorSetIdProto: { domain: [1, 'string'], version: [2, 'int64'] },
  StringStringEntryProto: { key: [1, 'string'], value: [2, 'string'] },
  DeviceConfigurationProto: {
    name: [1, 'string'],
    numDevices: [2, 'int32'],
    device: [3, 'string', 'repeated'],
  },
  TrainingInfoProto: {
    initialization: [1, 'GraphProto'],
    algorithm: [2, 'GraphProto'],
    initializationBinding: entries(3),
    updateBinding: entries(4),
  },
  FunctionProto: {
    name: [1, 'string'],
    input: [4, 'string', 'repeated'],
    output: [5, 'string', 'repeated'],
    attribute: [6, 'string', 'repeated'],
    node: [7, 'NodeProto', 'repeated'],
    docString: [8, 'string'],
    opsetImport: [9, 'OperatorSetIdProto', 'repeated'],
    domain: [10, 'string'],
    attributeProto: [11, 'AttributeProto', 'repeated'],
    valueInfo: [12, 'ValueInfoProto', 'repeated'],
    overload: [13, 'string'],
    metadataProps: entries(14),
  },
  GraphProto: {
    node: [1, 'NodeProto', 'repeated'],
    name: [2, 'string'],
    initializer: [5, 'TensorProto', 'repeated'],
    docString: [10, 'string'],
    input: [11, 'ValueInfoProto', 'repeated'],
    output: [12, 'ValueInfoProto', 'repeated'],
    valueInfo: [13, 'ValueInfoProto', 'repeated'],
    quantizationAnnotation: [14, 'TensorAnnotation', 'repeated'],
    sparseInitializer: [15, 'SparseTensorProto', 'repeated'],
    metadataProps: entries(16),
  },
  TensorAnnotation: { tensorName: [1, 'string'], quantParameterTensorNames: entries(2) },
  ValueInfoProto: {
    name: [1, 'string'],
    type: [2, 'TypeProto'],
    docString: [3, 'string'],
    metadataProps: entries(4),
  },
  NodeProto: {
    input: [1, 'string', 'repeated'],
    output: [2, 'string', 'repeated'],
    name: [3, 'string'],
    opType: [4, 'string'],
    attribute: [5, 'AttributeProto', 'repeated'],
    docString: [6, 'string'],
    domain: [7, 'string'],
    overload: [8, 'string'],
    metadataProps: entries(9),
    deviceConfigurations: [10, 'NodeDeviceConfigurationProto', 'repeated'],
  },
  NodeDeviceConfigurationProto: {
    configurationId: [1, 'string'],
    shardingSpec: [2, 'ShardingSpecProto', 'repeated'],
    pipelineStage: [3, 'int32'],
  },
  ShardingSpecProto: {
    tensorName: [1, 'string'],
    device: [2, 'int64', 'repeated'],
    indexToDeviceGroupMap: [3, 'IntIntListEntryProto', 'repeated'],
    shardedDim: [4, 'ShardedDimProto', 'repeated'],
  },
  IntIntListEntryProto: { key: [1, 'int64'], value: [2, 'int64', 'repeated'] },
  ShardedDimProto: { axis: [1, 'int64'], simpleSharding: [2, 'SimpleShardedDimProto', 'repeated'] },
  SimpleShardedDimProto: {
    dimValue: [1, 'int64', { oneof: 'dim' }],
    dimParam: [2, 'string', { oneof: 'dim' }],
    numShards: [3, 'int64'],
  },
  AttributeProto: {
    name: [1, 'string'],
    f: [2, 'float'],
    i: [3, 'int64'],
    s: [4, 'bytes'],
    t: [5, 'TensorProto'],
    g: [6, 'GraphProto'],
    floats: [7, 'float', 'repeated'],
    ints: [8, 'int64', 'repeated'],
    strings: [9, 'bytes', 'repeated'],
    tensors: [10, 'TensorProto', 'repeated'],
    graphs: [11, 'GraphProto', 'repeated'],
    docString: [13, 'string'],
    tp: [14, 'TypeProto'],
    typeProtos: [15, 'TypeProto', 'repeated'],
    type: [20, 'int32'],
    refAttrName: [21, 'string'],
    sparseTensor: [22, 'SparseTensorProto'],
    sparseTensors: [23, 'SparseTensorProto', 'repeated'],
  },
  TensorProto: {
    dims: [1, 'int64', 'repeated'],
    dataType: [2, 'int32'],
    segment: [3, 'TensorSegment'],
    floatData: [4, 'floats32', 'packed'],
    int32Data: [5, 'int32', 'packed'],
    stringData: [6, 'bytes', 'repeated'],
    int64Data: [7, 'int64', 'packed'],
    name: [8, 'string'],
    rawData: [9, 'source'],
    doubleData: [10, 'floats64', 'packed'],
    uint64Data: [11, 'uint64', 'packed'],
    docString: [12, 'string'],
    externalData: entries(13),
    dataLocation: [14, 'int32'],
    metadataProps: entries(16),
  },
  TensorSegment: { begin: [1, 'int64'], end: [2, 'int64'] },
  SparseTensorProto: {
    values: [1, 'TensorProto'],
    indices: [2, 'TensorProto'],
    dims: [3, 'int64', 'repeated'],
  },
  TensorShapeProto: { dim: [1, 'Dimension', 'repeated'] },
  Dimension: {
    dimValue: [1, 'int64', { oneof: 'value' }],
    dimParam: [2, 'string', { oneof: 'value' }],
    denotation: [3, 'string'],
  },
  TypeProto: {
    tensorType: [1, 'TensorTypeProto', { oneof: 'value' }],
    sequenceType: [4, 'ElementTypeProto', { oneof: 'value' }],
    mapType: [5, 'MapTypeProto', { oneof: 'value' }],
    denotation: [6, 'string'],
    opaqueType: [7, 'OpaqueTypeProto', { oneof: 'value' }],
    sparseTensorType: [8, 'TensorTypeProto', { oneof: 'value' }],
    optionalType: [9, 'ElementTypeProto', { oneof: 'value' }],
  },
  TensorTypeProto: { elemType: [1, 'int32'], shape: [2, 'TensorShapeProto'] },
  ElementTypeProto: { elemType: [1, 'TypeProto'] },
  MapTypeProto: { keyType: [1, 'int32'], valueType: [2, 'TypeProto'] },
  OpaqueTypeProto: { domain: [1, 'string'], name: [2, 'string'] },
};

const WIRE_TYPES = {
  int32: 0,
  int64: 0,
  uint64: 0,
  float: 5,
  string: 2,
  bytes: 2,
  source: 2,
  floats32: 5,
  floats64: 1,
} as const satisfies Record<ScalarType, Field['wireType']>;

const NONE: readonly never[] = Object.freeze([]);

/** What a field holds before anything is read into it. */
const emptyOf = (type: Field['type'], repeated: boolean, packed: boolean): unknown => {
  if (packed && type === 'int32') return new Int32Array(0);
  if (packed && type === 'int64') return new BigInt64Array(0);
  if (packed && type === 'uint64') return new BigUint64Array(0);
  if (type === 'floats32' || type === 'floats64') return undefined;
  if (repeated) return type === 'float' ? new Float32Array(0) : NONE;
  return undefined;
};

const build = (): Record<MessageName, MessageTable> => {
  type Mutable<T> = { -readonly [K in keyof T]: T[K] };
  const tables = Object.create(null) as Record<MessageName, Mutable<MessageTable>>;
  const names = Object.keys(SPECS) as MessageName[];
  for (const name of names) tables[name] = { name, fields: [], byNumber: [], empty: {} };
  for (const name of names) {
    const empty: Record<string, unknown> = {};
    const fields: Field[] = [];
    const byNumber: (Field | undefined)[] = [];
    for (const [key, [number, type, label]] of Object.entries<FieldSpec>(SPECS[name])) {
      const packed = label === 'packed';
      const repeated = packed || label === 'repeated';
      const message = type in SPECS ? tables[type as MessageName] : undefined;
      const wireType = message ? 2 : WIRE_TYPES[type as ScalarType];
      const oneof = typeof label === 'object' ? label.oneof : undefined;
      const field: Field = { number, key, type, repeated, packed, oneof, wireType, message };
      fields.push(field);
      while (byNumber.length < number) byNumber.push(undefined);
      byNumber[number] = field;
      empty[key] = emptyOf(type, repeated, packed);
    }
    empty.unknown = undefined;
    Object.assign(tables[name], { fields, byNumber, empty });
  }
  return tables;
};

/** The table of every message type. */
export const TABLES: Readonly<Record<MessageName, MessageTable>> = build();

/** A message with these fields set and all others absent. */
export const createMessage = <N extends MessageName>(
  name: N,
  fields: Partial<Messages[N]> = {},
): Messages[N] => ({ ...TABLES[name].empty, ...fields }) as unknown as Messages[N];

/** `opType` → `op_type`: the name of a field in onnx.proto. */
export const protoName = (key: string): string =>
  key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
