/** inspect: the numbers first, then inputs and outputs of a model, or what weights are made of. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatBytes, formatCount, formatOps, formatShape, NONE } from '../format.ts';
import type { InspectData, InspectOnnxData } from '../schemas/inspect.ts';
import { formatElements, optional, weightBlocks } from './inspect-weights.ts';

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

export const inspectLayout: Layout<InspectData> = (data, options) =>
  data.format === 'onnx' ? onnxBlocks(data) : weightBlocks(data, options);
