/**
 * The messages of onnx.proto (IR 14) as TypeScript interfaces.
 *
 * Names are those of onnx.proto in camel case. Optional scalars are undefined when absent (proto2 presence is kept);
 * repeated fields are never undefined. int64 is bigint. Tensor payloads are byte sources or typed arrays, so that no
 * element of a weight ever becomes a JS number on the way through. Fields that the schema does not know, and known
 * ones with a wire type that does not fit, are kept as raw bytes in `unknown`.
 *
 * Source: onnx/onnx.proto of ONNX 1.23 (Apache-2.0), https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
import type { ByteSource } from '../core/source.ts';

export interface Message {
  /** Runs of raw fields (tag and payload) in the order they came; see unknownFieldsOf. */
  unknown?: readonly ByteSource[] | undefined;
}

export interface ModelProto extends Message {
  irVersion?: bigint | undefined;
  producerName?: string | undefined;
  producerVersion?: string | undefined;
  domain?: string | undefined;
  modelVersion?: bigint | undefined;
  docString?: string | undefined;
  graph?: GraphProto | undefined;
  opsetImport: readonly OperatorSetIdProto[];
  metadataProps: readonly StringStringEntryProto[];
  trainingInfo: readonly TrainingInfoProto[];
  functions: readonly FunctionProto[];
  configuration: readonly DeviceConfigurationProto[];
}

export interface OperatorSetIdProto extends Message {
  domain?: string | undefined;
  version?: bigint | undefined;
}

export interface StringStringEntryProto extends Message {
  key?: string | undefined;
  value?: string | undefined;
}

export interface DeviceConfigurationProto extends Message {
  name?: string | undefined;
  numDevices?: number | undefined;
  device: readonly string[];
}

export interface TrainingInfoProto extends Message {
  initialization?: GraphProto | undefined;
  algorithm?: GraphProto | undefined;
  initializationBinding: readonly StringStringEntryProto[];
  updateBinding: readonly StringStringEntryProto[];
}

export interface FunctionProto extends Message {
  name?: string | undefined;
  input: readonly string[];
  output: readonly string[];
  attribute: readonly string[];
  node: readonly NodeProto[];
  docString?: string | undefined;
  opsetImport: readonly OperatorSetIdProto[];
  domain?: string | undefined;
  attributeProto: readonly AttributeProto[];
  valueInfo: readonly ValueInfoProto[];
  overload?: string | undefined;
  metadataProps: readonly StringStringEntryProto[];
}

export interface GraphProto extends Message {
  node: readonly NodeProto[];
  name?: string | undefined;
  initializer: readonly TensorProto[];
  docString?: string | undefined;
  input: readonly ValueInfoProto[];
  output: readonly ValueInfoProto[];
  valueInfo: readonly ValueInfoProto[];
  quantizationAnnotation: readonly TensorAnnotation[];
  sparseInitializer: readonly SparseTensorProto[];
  metadataProps: readonly StringStringEntryProto[];
}

export interface TensorAnnotation extends Message {
  tensorName?: string | undefined;
  quantParameterTensorNames: readonly StringStringEntryProto[];
}

export interface ValueInfoProto extends Message {
  name?: string | undefined;
  type?: TypeProto | undefined;
  docString?: string | undefined;
  metadataProps: readonly StringStringEntryProto[];
}

export interface NodeProto extends Message {
  input: readonly string[];
  output: readonly string[];
  name?: string | undefined;
  opType?: string | undefined;
  attribute: readonly AttributeProto[];
  docString?: string | undefined;
  domain?: string | undefined;
  overload?: string | undefined;
  metadataProps: readonly StringStringEntryProto[];
  deviceConfigurations: readonly NodeDeviceConfigurationProto[];
}

export interface NodeDeviceConfigurationProto extends Message {
  configurationId?: string | undefined;
  shardingSpec: readonly ShardingSpecProto[];
  pipelineStage?: number | undefined;
}

export interface ShardingSpecProto extends Message {
  tensorName?: string | undefined;
  device: readonly bigint[];
  indexToDeviceGroupMap: readonly IntIntListEntryProto[];
  shardedDim: readonly ShardedDimProto[];
}

export interface IntIntListEntryProto extends Message {
  key?: bigint | undefined;
  value: readonly bigint[];
}

export interface ShardedDimProto extends Message {
  axis?: bigint | undefined;
  simpleSharding: readonly SimpleShardedDimProto[];
}

export interface SimpleShardedDimProto extends Message {
  dimValue?: bigint | undefined;
  dimParam?: string | undefined;
  numShards?: bigint | undefined;
}

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPES = {
  undefined: 0,
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  sparse_tensor: 11,
  sparse_tensors: 12,
  type_proto: 13,
  type_protos: 14,
} as const;

export interface AttributeProto extends Message {
  name?: string | undefined;
  f?: number | undefined;
  i?: bigint | undefined;
  s?: Uint8Array | undefined;
  t?: TensorProto | undefined;
  g?: GraphProto | undefined;
  floats: Float32Array;
  ints: readonly bigint[];
  strings: readonly Uint8Array[];
  tensors: readonly TensorProto[];
  graphs: readonly GraphProto[];
  docString?: string | undefined;
  tp?: TypeProto | undefined;
  typeProtos: readonly TypeProto[];
  /** One of ATTRIBUTE_TYPES, or a number that no version of ONNX knows. */
  type?: number | undefined;
  refAttrName?: string | undefined;
  sparseTensor?: SparseTensorProto | undefined;
  sparseTensors: readonly SparseTensorProto[];
}

/** TensorProto.DataLocation. */
export const DATA_LOCATION = { default: 0, external: 1 } as const;

export interface TensorProto extends Message {
  dims: readonly bigint[];
  /** TensorProto.DataType: see core/dtype.ts. */
  dataType?: number | undefined;
  segment?: TensorSegment | undefined;
  /** Little-endian float32 elements: 4 bytes each. */
  floatData?: ByteSource | undefined;
  int32Data: Int32Array;
  stringData: readonly Uint8Array[];
  int64Data: BigInt64Array;
  name?: string | undefined;
  rawData?: ByteSource | undefined;
  /** Little-endian float64 elements: 8 bytes each. */
  doubleData?: ByteSource | undefined;
  uint64Data: BigUint64Array;
  docString?: string | undefined;
  externalData: readonly StringStringEntryProto[];
  dataLocation?: number | undefined;
  metadataProps: readonly StringStringEntryProto[];
}

export interface TensorSegment extends Message {
  begin?: bigint | undefined;
  end?: bigint | undefined;
}

/** `values` carries the name; `indices` are linear [nnz] or coordinates [nnz, rank]. */
export interface SparseTensorProto extends Message {
  values?: TensorProto | undefined;
  indices?: TensorProto | undefined;
  dims: readonly bigint[];
}

export interface TensorShapeProto extends Message {
  dim: readonly Dimension[];
}

export interface Dimension extends Message {
  dimValue?: bigint | undefined;
  dimParam?: string | undefined;
  denotation?: string | undefined;
}

/** At most one of the six types is set. */
export interface TypeProto extends Message {
  tensorType?: TensorTypeProto | undefined;
  sequenceType?: ElementTypeProto | undefined;
  mapType?: MapTypeProto | undefined;
  denotation?: string | undefined;
  opaqueType?: OpaqueTypeProto | undefined;
  sparseTensorType?: TensorTypeProto | undefined;
  optionalType?: ElementTypeProto | undefined;
}

/** TypeProto.Tensor and TypeProto.SparseTensor. */
export interface TensorTypeProto extends Message {
  elemType?: number | undefined;
  shape?: TensorShapeProto | undefined;
}

/** TypeProto.Sequence and TypeProto.Optional. */
export interface ElementTypeProto extends Message {
  elemType?: TypeProto | undefined;
}

export interface MapTypeProto extends Message {
  keyType?: number | undefined;
  valueType?: TypeProto | undefined;
}

export interface OpaqueTypeProto extends Message {
  domain?: string | undefined;
  name?: string | undefined;
}

/** Every message type by its name. */
export interface Messages {
  ModelProto: ModelProto;
  OperatorSetIdProto: OperatorSetIdProto;
  StringStringEntryProto: StringStringEntryProto;
  DeviceConfigurationProto: DeviceConfigurationProto;
  TrainingInfoProto: TrainingInfoProto;
  FunctionProto: FunctionProto;
  GraphProto: GraphProto;
  TensorAnnotation: TensorAnnotation;
  ValueInfoProto: ValueInfoProto;
  NodeProto: NodeProto;
  NodeDeviceConfigurationProto: NodeDeviceConfigurationProto;
  ShardingSpecProto: ShardingSpecProto;
  IntIntListEntryProto: IntIntListEntryProto;
  ShardedDimProto: ShardedDimProto;
  SimpleShardedDimProto: SimpleShardedDimProto;
  AttributeProto: AttributeProto;
  TensorProto: TensorProto;
  TensorSegment: TensorSegment;
  SparseTensorProto: SparseTensorProto;
  TensorShapeProto: TensorShapeProto;
  Dimension: Dimension;
  TypeProto: TypeProto;
  TensorTypeProto: TensorTypeProto;
  ElementTypeProto: ElementTypeProto;
  MapTypeProto: MapTypeProto;
  OpaqueTypeProto: OpaqueTypeProto;
}
export type MessageName = keyof Messages;
