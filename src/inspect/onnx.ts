/**
 * What is in an ONNX model, told from its messages: that works for models with faults as well, as far as they can be
 * read. Nodes and operators are counted with those of subgraphs and local functions, initializers with those of
 * subgraphs.
 */
import { dtypeFromOnnx, dtypeInfo } from '../core/dtype.ts';
import { canonicalDomain, qualifiedName } from '../ir/check-context.ts';
import type { OperatorCheck } from '../ops/check.ts';
import {
  DATA_LOCATION,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from '../proto/schema.ts';
import type { ValueInfoData } from '../report/schemas/common.ts';
import type { InspectOnnxData } from '../report/schemas/inspect.ts';

const valueInfo = ({ name = '', type }: ValueInfoProto): ValueInfoData => {
  const tensor = type?.tensorType ?? type?.sparseTensorType;
  return {
    name,
    dtype: dtypeFromOnnx(tensor?.elemType ?? 0) ?? null,
    shape: tensor?.shape?.dim.map(({ dimValue, dimParam }) => dimOf(dimValue) ?? (dimParam || null)) ?? null,
  };
};

/** What has no name cannot be fed or fetched; the checker tells of it. */
const namedValues = (values: readonly ValueInfoProto[] = []): ValueInfoData[] =>
  values.filter(({ name }) => name).map(valueInfo);

/** A dimension as the report has it: negative ones are unknown. */
const dimOf = (value: bigint | undefined): number | undefined =>
  value === undefined || value < 0n ? undefined : Number(value);

/** Counts over all graphs of a model. */
class Tally {
  readonly ops = new Map<string, number>();
  readonly external = new Map<string, { tensors: number; bytes: number }>();
  nodes = 0;
  initializers = 0;
  parameters = 0;
  parameterBytes = 0;

  add(nodes: readonly NodeProto[], graph?: GraphProto): void {
    const pending = [{ nodes, graph }];
    for (let current = pending.pop(); current; current = pending.pop()) {
      this.#addInitializers(current.graph);
      for (const node of current.nodes) {
        const name = `${canonicalDomain(node.domain)}${canonicalDomain(node.domain) === '' ? '' : '.'}${node.opType ?? ''}`;
        this.nodes++;
        this.ops.set(name, (this.ops.get(name) ?? 0) + 1);
        for (const { t, tensors, g, graphs } of node.attribute) {
          if (t) this.#addExternal(t);
          for (const tensor of tensors) this.#addExternal(tensor);
          for (const inner of g ? [g, ...graphs] : graphs) {
            if (inner.node.length + inner.initializer.length + inner.sparseInitializer.length === 0) continue;
            pending.push({ nodes: inner.node, graph: inner });
          }
        }
      }
    }
  }

  #addInitializers(graph: GraphProto | undefined): void {
    for (const tensor of graph?.initializer ?? []) this.#addTensor(tensor);
    for (const { values } of graph?.sparseInitializer ?? []) if (values) this.#addTensor(values);
  }

  #addTensor(tensor: TensorProto): void {
    const { elements, bytes } = sizeOf(tensor);
    this.initializers++;
    this.parameters += elements;
    this.parameterBytes += bytes;
    this.#addExternal(tensor);
  }

  #addExternal(tensor: TensorProto): void {
    if (tensor.dataLocation !== DATA_LOCATION.external) return;
    const location = tensor.externalData.find(({ key }) => key === 'location')?.value ?? '';
    const entry = this.external.get(location) ?? { tensors: 0, bytes: 0 };
    entry.tensors++;
    entry.bytes += sizeOf(tensor).bytes;
    this.external.set(location, entry);
  }
}

/** Elements and bytes by dtype and dims; what is beyond 2^53 or faulty counts as nothing. */
const sizeOf = ({ dims, dataType, stringData }: TensorProto): { elements: number; bytes: number } => {
  const elements = dims.reduce((product, dim) => product * Number(dim), 1);
  if (!Number.isSafeInteger(elements) || elements < 0) return { elements: 0, bytes: 0 };
  const dtype = dtypeFromOnnx(dataType ?? 0);
  const bits = dtype === undefined ? 0 : dtypeInfo(dtype).bits;
  const text = stringData.reduce((sum, bytes) => sum + bytes.length, 0);
  const bytes = bits === 0 ? text : Math.ceil((elements * bits) / 8);
  return { elements, bytes: Number.isSafeInteger(bytes) ? bytes : 0 };
};

const sorted = (counts: ReadonlyMap<string, number>): Record<string, number> =>
  Object.fromEntries([...counts].sort(([nameA, a], [nameB, b]) => b - a || (nameA < nameB ? -1 : 1)));

/**
 * The `data` of an inspect report for a model.
 * @param counted what the checker learnt on the way
 */
export const inspectOnnx = (
  proto: ModelProto,
  { macs, census }: Pick<OperatorCheck, 'macs' | 'census'>,
): InspectOnnxData => {
  const { graph } = proto;
  const tally = new Tally();
  tally.add(graph?.node ?? [], graph);
  for (const { node } of proto.functions) tally.add(node);
  return {
    format: 'onnx',
    irVersion: Number(proto.irVersion ?? 0n),
    opsets: Object.fromEntries(
      proto.opsetImport.map(({ domain, version = 0n }) => [canonicalDomain(domain), Number(version)]),
    ),
    producer: [proto.producerName, proto.producerVersion].filter(Boolean).join(' '),
    inputs: namedValues(graph?.input),
    outputs: namedValues(graph?.output),
    nodes: tally.nodes,
    ops: sorted(tally.ops),
    initializers: tally.initializers,
    parameters: tally.parameters,
    parameterBytes: tally.parameterBytes,
    macs,
    subnormals: census?.subnormals ?? null,
    nonFinite: census?.nonFinite ?? null,
    externalData: [...tally.external].map(([location, { tensors, bytes }]) => ({ location, tensors, bytes })),
    ...(proto.functions.length > 0 && {
      functions: proto.functions
        .filter(({ name }) => name)
        .map(({ domain, name, overload }) => qualifiedName(canonicalDomain(domain), name, overload)),
    }),
    ...(proto.metadataProps.length > 0 && {
      metadata: Object.fromEntries(proto.metadataProps.map(({ key = '', value = '' }) => [key, value])),
    }),
  };
};
