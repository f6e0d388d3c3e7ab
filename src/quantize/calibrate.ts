/**
 * MinMax calibration, streamed: the smallest and largest value that each tensor takes over the samples.
 *
 * The ranges are computed inside the graph (ReduceMin and ReduceMax appended to every tensor), so that one sample at a
 * time is in memory and only two numbers a tensor leave the runtime.
 */
import { OrthoError } from '../core/errors.ts';
import { toFloat32 } from '../core/tensor.ts';
import { int } from '../ir/attribute.ts';
import type { Model } from '../ir/model.ts';
import { tensorType } from '../ir/type.ts';
import type { Session } from '../runtime/session.ts';
import type { Range } from './affine.ts';
import type { SampleSet } from './samples.ts';

/** Names of the outputs that hold the range of a tensor. */
const minimumOf = (tensor: string): string => `${tensor}/calibration-min`;
const maximumOf = (tensor: string): string => `${tensor}/calibration-max`;

/** Replaces the outputs of a model by the minimum and maximum of these tensors of its main graph. */
export const observeRanges = (model: Model, tensors: ReadonlySet<string>): void => {
  const { graph } = model;
  for (let slot = graph.outputs.length - 1; slot >= 0; slot--) graph.removeOutput(slot);
  const values = [...graph.inputs, ...graph.nodes.flatMap((node) => node.outputs)];
  for (const value of values) {
    if (!tensors.has(value.name)) continue;
    for (const [op, name] of [
      ['ReduceMin', minimumOf(value.name)],
      ['ReduceMax', maximumOf(value.name)],
    ] as const) {
      const node = graph.add({ op, inputs: [value], outputs: [name], attributes: { keepdims: int(0) } });
      graph.addOutput(name, node.output, tensorType('float32', []));
    }
  }
};

/**
 * Runs every sample through an observing model.
 * @throws OrthoError quantize/refused when a tensor takes NaN or infinity.
 */
export const collectRanges = async (
  session: Session,
  tensors: ReadonlySet<string>,
  samples: SampleSet,
  onSample: (done: number) => void = () => {},
): Promise<Map<string, Range>> => {
  const ranges = new Map<string, Range>();
  for (let i = 0; i < samples.count; i++) {
    const outputs = await session.run(await samples.load(i));
    for (const tensor of tensors) {
      const scalar = (name: string): number => {
        const output = outputs.get(name);
        const value = output === undefined ? Number.NaN : (toFloat32(output)[0] as number);
        if (Number.isFinite(value)) return value;
        throw new OrthoError(
          'quantize/refused',
          `"${tensor}" is not finite on calibration sample ${i} (${value})`,
          {
            at: { value: tensor },
            hint: 'check the sample, or keep the nodes around this tensor in float with --exclude',
          },
        );
      };
      const before = ranges.get(tensor) ?? { min: Infinity, max: -Infinity };
      ranges.set(tensor, {
        min: Math.min(before.min, scalar(minimumOf(tensor))),
        max: Math.max(before.max, scalar(maximumOf(tensor))),
      });
    }
    onSample(i + 1);
  }
  return ranges;
};
