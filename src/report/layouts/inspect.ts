/** inspect: the numbers first, then inputs and outputs or the tensors. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatBytes, formatCount, formatOps, formatScalar, formatShape, NONE } from '../format.ts';
import type { ElementFindings } from '../schemas/common.ts';
import type { InspectData, InspectOnnxData, InspectWeightsData } from '../schemas/inspect.ts';

type Row = readonly [string, string];

const formatElements = (found: ElementFindings | null): string => {
  if (found === null) return 'not counted (--stats counts them)';
  return found.elements === 0 ? 'none' : `${found.elements} in ${found.tensors} tensors`;
};

const optional = (label: string, text: string | undefined): Row[] =>
  text === undefined || text === '' ? [] : [[label, text]];

const formatOpsets = (opsets: InspectOnnxData['opsets']): string =>
  Object.entries(opsets)
    .map(([domain, version]) => `${version} (${domain === '' ? 'ai.onnx' : printable(domain)})`)
    .join(', ');

const onnxBlocks = (data: InspectOnnxData): Block[] => {
  const external = data.externalData.map(
    ({ location, tensors, bytes }) => `${printable(location)} (${tensors} tensors, ${formatBytes(bytes)})`,
  );
  const values = [
    ...data.inputs.map((value) => ['input', value] as const),
    ...data.outputs.map((value) => ['output', value] as const),
  ];
  return [
    facts([
      ['format', `ONNX, IR ${data.irVersion}`],
      ['opset', formatOpsets(data.opsets)],
      ...optional('producer', printable(data.producer)),
      ['nodes', formatCount(data.nodes)],
      ['operators', formatOps(data.ops)],
      ...optional('functions', data.functions?.map(printable).join(', ')),
      ['initializers', formatCount(data.initializers)],
      ['parameters', `${formatCount(data.parameters)} (${formatBytes(data.parameterBytes)})`],
      ['MACs', data.macs === null ? `${NONE} (a shape is unknown)` : formatCount(data.macs)],
      ['subnormals', formatElements(data.subnormals)],
      ['non-finite', formatElements(data.nonFinite)],
      ...optional('external data', external.join(', ')),
    ]),
    table(
      ['', 'name', 'dtype', 'shape'],
      values.map(([role, { name, dtype, shape }]) => [
        role,
        printable(name),
        dtype ?? '?',
        formatShape(shape),
      ]),
    ),
    ...(Object.keys(data.metadata ?? {}).length === 0
      ? []
      : [
          facts(
            Object.entries(data.metadata!).map(([key, text]) => [printable(key), printable(text)]),
            'metadata',
          ),
        ]),
  ];
};

const inline = (value: unknown): string =>
  typeof value === 'object' && value !== null ? printable(JSON.stringify(value)) : formatScalar(value);

const formatGlobal = ({ name, kind }: InspectWeightsData['globals'][number]): string =>
  kind === 'data' ? printable(name) : `${printable(name)} (${kind})`;

const weightBlocks = (data: InspectWeightsData): Block[] => {
  const metadata = Object.entries(data.metadata);
  const hasShared = data.tensors.some(({ sharedWith }) => sharedWith !== undefined);
  return [
    facts([
      ['format', data.format],
      ['architecture', data.architecture === null ? 'none of the known ones' : printable(data.architecture)],
      ['tensors', formatCount(data.tensors.length)],
      ['parameters', `${formatCount(data.parameters)} (${formatBytes(data.bytes)})`],
      ...optional(
        'state dicts',
        data.stateDicts
          .map(({ path, tensors }) => `${path === '' ? '(root)' : printable(path)} (${tensors} tensors)`)
          .join(', '),
      ),
      ['subnormals', formatElements(data.subnormals)],
      ['non-finite', formatElements(data.nonFinite)],
      ...optional('globals', data.globals.map(formatGlobal).join(', ')),
    ]),
    ...(metadata.length === 0
      ? []
      : [
          facts(
            metadata.map(([key, value]) => [printable(key), inline(value)]),
            'metadata',
          ),
        ]),
    table(
      ['tensor', 'dtype', 'shape', '>bytes', ...(hasShared ? ['shared with'] : [])],
      data.tensors.map(({ name, dtype, shape, bytes, sharedWith }) => [
        printable(name),
        dtype,
        formatShape(shape),
        String(bytes),
        ...(hasShared ? [sharedWith === undefined ? '' : printable(sharedWith)] : []),
      ]),
    ),
  ];
};

export const inspectLayout: Layout<InspectData> = (data) =>
  data.format === 'onnx' ? onnxBlocks(data) : weightBlocks(data);
