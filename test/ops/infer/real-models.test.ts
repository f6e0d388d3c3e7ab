/** Real models against the shapes that ONNX Runtime computed on real inputs, and their cost against an own count. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FileSource } from '../../../src/core/source.ts';
import { int64Tensor } from '../../../src/core/tensor.ts';
import { modelFromProto } from '../../../src/ir/from-proto.ts';
import { allGraphs } from '../../../src/ir/graph.ts';
import type { Model } from '../../../src/ir/model.ts';
import { tensorType } from '../../../src/ir/type.ts';
import { modelMacs } from '../../../src/ops/cost.ts';
import { decodeModel } from '../../../src/proto/decode.ts';
import { repository } from '../../support/golden.ts';
import { infer } from './support.ts';

interface Measured {
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly macs: number | null;
  readonly values: Readonly<Record<string, readonly number[]>>;
}

const golden = JSON.parse(readFileSync(`${repository}test/golden/runtime-shapes.json`, 'utf8')) as Record<
  string,
  Measured
>;

const load = (file: string): Model => {
  const source = new FileSource(`${repository}node_modules/${file}`);
  const model = modelFromProto(decodeModel(source));
  for (const graph of allGraphs(model.graph)) {
    for (const slot of graph.slots) slot.type = undefined;
    for (const node of graph.nodes) for (const output of node.outputs) output.type = undefined;
  }
  return model;
};

describe.each(Object.entries(golden))('%s', (file, measured) => {
  test('with its declared, dynamic inputs: nothing contradicts the runtime', () => {
    const model = load(file);
    expect(infer(model).problems).toEqual([]);
    const symbols = new Map<string, number>();
    for (const value of model.graph.inputs) {
      value.shape?.forEach((dim, axis) => {
        if (typeof dim === 'string') symbols.set(dim, measured.inputs[value.name]?.[axis] ?? -1);
      });
    }
    for (const node of model.graph.nodes) {
      for (const { name, shape } of node.outputs) {
        const dims = measured.values[name];
        if (!dims || !shape) continue;
        const filled = shape.map((dim, axis) =>
          dim === null ? dims[axis] : typeof dim === 'string' ? symbols.get(dim) : dim,
        );
        expect(filled, name).toEqual(dims);
      }
    }
  });

  test('with fixed inputs: every shape is exact, and so is the cost', () => {
    const model = load(file);
    for (const value of model.graph.inputs) {
      const dims = measured.inputs[value.name];
      if (dims) value.type = tensorType(value.dtype, dims);
      // The sample rate decides which branch runs.
      if (value.name === 'sr') {
        value.replaceAllUsesWith(model.graph.addInitializer('rate', int64Tensor([], [16_000])));
      }
    }
    const { inference } = infer(model);
    let exact = 0;
    for (const node of model.graph.nodes) {
      for (const { name, shape } of node.outputs) {
        const dims = measured.values[name];
        if (!dims) continue;
        expect(shape, name).toEqual(dims);
        exact++;
      }
    }
    expect(exact).toBeGreaterThan(0);
    expect(inference.macs).not.toBeNull();
    if (measured.macs !== null) expect(inference.macs).toBe(measured.macs);
    expect(modelMacs(model)).toBe(inference.macs);
  });
});
