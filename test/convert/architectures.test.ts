import { describe, expect, test } from 'vitest';
import type { Architecture } from '../../src/convert/architecture.ts';
import { architectures } from '../../src/convert/architectures/index.ts';
import { buildNetwork, dryBuild } from '../../src/convert/build.ts';
import { rankArchitectures } from '../../src/convert/detect.ts';
import { foldBatchNorms } from '../../src/convert/finish.ts';
import { NEWEST_OPSET, OLDEST_OPSET } from '../../src/convert/opset.ts';
import { Model } from '../../src/ir/model.ts';
import { inferShapes } from '../../src/ops/infer/index.ts';
import { keysOf } from './key-lists.ts';

const all: [string, Architecture][] = Object.entries(architectures);

/** Lists of torch's own keys, and which architecture they belong to. */
const LISTS = [
  ['gdconv', 'gdconv', 312],
  ['gdconv_se', 'gdconv-se', 312],
  ['xl19_small', 'mobilenetv3-xl19-small', 0],
  ['xl19_large', 'mobilenetv3-xl19-large', 0],
  ['tv_mnv2', 'mobilenet_v2', 0],
  ['mobilenetv2_bottleneck', 'mobilenetv2-bottleneck', 0],
] as const;

describe.each(LISTS)('the keys of %s', (list, name, aliases) => {
  const tensors = keysOf(list);

  test(`are those of ${name}, all of them, and nothing else is asked for`, () => {
    const { match } = dryBuild(architectures[name], tensors);
    expect(match).toMatchObject({ missing: [], unexpected: [], mismatched: [] });
    expect(match.matched).toHaveLength(tensors.size);
    expect(match.aliases).toHaveLength(aliases);
    expect(match.unused.every((key) => /num_batches_tracked$|^pretrain_net\.classifier\.1\./.test(key))).toBe(
      true,
    );
  });

  test('are recognised, with a margin to every other architecture', () => {
    const [first, second] = rankArchitectures(tensors);
    expect(first).toMatchObject({ architecture: { name }, score: 1 });
    expect(second?.score).toBeLessThan(1);
  });
});

test('gdconv and its variants are told apart by one shape and by two keys', () => {
  const tensors = keysOf('gdconv');
  const head = tensors.get('linear7.conv.weight')!;
  tensors.set('linear7.conv.weight', { ...head, dims: [1280, 1, 2, 2] });
  expect(rankArchitectures(tensors)[0]).toMatchObject({ architecture: { name: 'gdconv56' }, score: 1 });
});

test('the width of a head follows from the checkpoint', () => {
  const tensors = keysOf('tv_mnv2');
  tensors.set('classifier.1.weight', { ...tensors.get('classifier.1.weight')!, dims: [7, 1280] });
  tensors.set('classifier.1.bias', { ...tensors.get('classifier.1.bias')!, dims: [7] });
  const { graph, match } = dryBuild(architectures.mobilenet_v2, tensors);
  expect(match.mismatched).toEqual([]);
  expect(graph.outputs[0]?.shape).toEqual([1, 7]);
});

describe.each(all)('%s', (name, architecture) => {
  test('is listed under its own name and says what it is', () => {
    expect(architecture.name).toBe(name);
    expect(architecture.summary).not.toBe('');
    expect(architecture.module).not.toBe('');
  });

  test.each([OLDEST_OPSET, NEWEST_OPSET])('has the shapes that shape inference finds, opset %d', (opset) => {
    const { graph } = buildNetwork(architecture, new Map(), { opset });
    foldBatchNorms(graph);
    expect(graph.nodes.some((node) => node.is('BatchNormalization'))).toBe(false);
    const built = graph.nodes.map(({ output }) => [output.name, output.shape] as const);
    for (const node of graph.nodes) node.output.type = undefined;
    const model = new Model(graph);
    model.opsets.set('', opset);
    inferShapes(model);
    for (const [i, [value, shape]] of built.entries()) {
      const inferred = graph.nodes[i]?.output.shape;
      expect(inferred, value).toHaveLength(shape!.length);
      shape!.forEach((dim, axis) => {
        // Where the builder does not know, inference may: it gives symbols to sums and products.
        if (dim !== null) expect(inferred?.[axis], `${value}, axis ${axis}`).toBe(dim);
      });
    }
  });

  test('names no two values the same', () => {
    const { graph } = buildNetwork(architecture, new Map(), { opset: 17 });
    const names = [...graph.inputs, ...graph.initializers, ...graph.nodes.map(({ output }) => output)].map(
      (value) => value.name,
    );
    expect(new Set(names).size).toBe(names.length);
  });
});
