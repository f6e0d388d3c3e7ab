/** What passes must respect that ONNX text cannot say, and tensors too large for a fixture. */
import { describe, expect, test } from 'vitest';
import { float32Tensor } from '../../src/core/tensor.ts';
import { graph as graphAttribute } from '../../src/ir/attribute.ts';
import { modelFromProto } from '../../src/ir/from-proto.ts';
import { Graph } from '../../src/ir/graph.ts';
import { Model } from '../../src/ir/model.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { tensorType } from '../../src/ir/type.ts';
import { passes } from '../../src/passes/index.ts';
import type { Pass } from '../../src/passes/pass.ts';
import { runPipeline } from '../../src/passes/pipeline.ts';
import { createMessage } from '../../src/proto/fields.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { modelFromText } from '../support/model-text.ts';

const branch = (name: string, weight: Float32Array): Graph => {
  const graph = new Graph(name);
  const w = graph.addInitializer('w', float32Tensor([weight.length], weight));
  const node = graph.add({ op: 'Neg', inputs: [w], outputs: ['out'] });
  graph.addOutput('out', node.output, tensorType('float32', [weight.length]));
  return graph;
};

/** An If whose two branches each hold a weight. */
const branches = (then: Float32Array, other: Float32Array, irVersion = 8): Model => {
  const model = new Model();
  model.irVersion = irVersion;
  model.opsets.set('', 17);
  const c = model.graph.addInput('c', tensorType('bool', []));
  const node = model.graph.add({
    op: 'If',
    inputs: [c],
    outputs: ['y'],
    attributes: {
      then_branch: graphAttribute(branch('then', then)),
      else_branch: graphAttribute(branch('else', other)),
    },
  });
  model.graph.addOutput('y', node.output, tensorType('float32', [null]));
  return model;
};

const ramp = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i);
const countOf = (model: Model, pass: Pass): number => runPipeline(model, [pass]).changes;

describe('deduplicate-initializers', () => {
  const pass = passes['deduplicate-initializers'];

  test('a large tensor of two branches moves out of them', () => {
    const model = branches(ramp(256), ramp(256));
    expect(countOf(model, pass)).toBe(1);
    expect(model.graph.initializers.map(({ name, useCount }) => [name, useCount])).toEqual([['w', 2]]);
    expect(model.graph.nodes[0]!.subgraphs.map(({ initializers }) => initializers.length)).toEqual([0, 0]);
    expect(countOf(model, pass)).toBe(0);
  });

  test('small ones, different ones, and those of a main graph that cannot hold them stay', () => {
    expect(countOf(branches(ramp(255), ramp(255)), pass)).toBe(0);
    expect(countOf(branches(ramp(256), ramp(256).fill(1, 255)), pass)).toBe(0);
    expect(countOf(branches(ramp(256), ramp(256), 3), pass)).toBe(0);
  });
});

describe('what annotations and training info name stays', () => {
  const annotated = (): Model => {
    const proto = parseModelText(`<ir_version: 8, opset_import: ["": 17]>
      agraph (float[2] x) => (float[2] y) <float scale = {0.5}, float scale2 = {0.5}, float other = {0.5}> {
        a = Identity (x)
        y = Relu (a)
      }`);
    const entry = createMessage('StringStringEntryProto', { key: 'SCALE_TENSOR', value: 'scale' });
    const annotation = createMessage('TensorAnnotation', {
      tensorName: 'a',
      quantParameterTensorNames: [entry],
    });
    return modelFromProto({ ...proto, graph: { ...proto.graph!, quantizationAnnotation: [annotation] } });
  };

  test('an annotated value and its parameters', () => {
    const model = annotated();
    const { perPass } = runPipeline(model, Object.values(passes));
    expect(model.graph.nodes.map(({ op }) => op)).toEqual(['Identity', 'Relu']);
    expect(model.graph.initializers.map(({ name }) => name)).toEqual(['scale']);
    expect(perPass.find(({ name }) => name === 'eliminate-identity')?.declined).toEqual([
      { reason: 'an annotation refers to the output', count: 1 },
    ]);
    expect(modelToProto(model).graph?.quantizationAnnotation).toHaveLength(1);
  });

  test('a value that a training binding updates', () => {
    const proto = parseModelText(`<ir_version: 8, opset_import: ["": 17]>
      agraph (float[2] x) => (float[2] y) <float[2] state = {1, 2}, float[2] unused = {3, 4}> { y = Relu (x) }`);
    const binding = createMessage('StringStringEntryProto', { key: 'state', value: 'next' });
    const training = createMessage('TrainingInfoProto', { updateBinding: [binding] });
    const model = modelFromProto({ ...proto, trainingInfo: [training] });
    expect(countOf(model, passes['eliminate-dead-nodes'])).toBe(1);
    expect(model.graph.initializers.map(({ name }) => name)).toEqual(['state']);
  });
});

describe('fuse-bn-into-conv', () => {
  test('declines a batch norm of the opsets where training was the default', () => {
    const model = modelFromText(`<ir_version: 8, opset_import: ["": 6]>
      agraph (float[1, 1, 2] x) => (float[1, 1, 2] y)
      <float[1, 1, 1] w = {2}, float[1] one = {1}, float[1] zero = {0}> {
        c = Conv (x, w)
        y = BatchNormalization (c, one, zero, zero, one)
      }`);
    const { changes, perPass } = runPipeline(model, [passes['fuse-bn-into-conv']]);
    expect(changes).toBe(0);
    expect(perPass[0]?.declined).toEqual([{ reason: 'the batch norm is in training mode', count: 1 }]);
  });
});

describe('runPipeline', () => {
  const text = `agraph (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
    a = Identity (x)
    dead = Add (a, w)
    y = Relu (a)
  }`;

  test('goes round until nothing changes and adds up by pass', () => {
    const seen: string[] = [];
    const result = runPipeline(
      modelFromText(text),
      [passes['eliminate-dead-nodes'], passes['eliminate-identity']],
      {
        onPass: ({ name }, round) => seen.push(`${round} ${name}`),
        verifyEach: ({ name }) => seen.push(name),
      },
    );
    expect(result).toMatchObject({ changes: 3, rounds: 2 });
    expect(result.perPass.map(({ name, changes }) => [name, changes])).toEqual([
      ['eliminate-dead-nodes', 2],
      ['eliminate-identity', 1],
    ]);
    expect(seen).toEqual([
      '0 eliminate-dead-nodes',
      'eliminate-dead-nodes',
      '0 eliminate-identity',
      'eliminate-identity',
      '1 eliminate-dead-nodes',
      '1 eliminate-identity',
    ]);
  });

  test('stops after the given rounds', () => {
    const restless: Pass = { name: 'restless', summary: '', worksInFunctions: true, run: () => 1 };
    expect(runPipeline(modelFromText(text), [restless], { maxRounds: 4 })).toMatchObject({
      changes: 4,
      rounds: 4,
    });
  });
});
