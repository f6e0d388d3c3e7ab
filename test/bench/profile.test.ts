import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { attribute } from '../../src/bench/profile-attribution.ts';
import { readProfile } from '../../src/bench/profile-events.ts';
import { joinWork, type KernelWork } from '../../src/bench/profile-join.ts';
import { profileData, profileFindings } from '../../src/bench/profile-report.ts';
import { timeNodes } from '../../src/bench/profile-timing.ts';
import type { MachinePeaks } from '../../src/bench/roofline.ts';
import { BytesSource } from '../../src/core/source.ts';
import { loadModel } from '../../src/ir/load.ts';
import { profile as profileSchema } from '../../src/report/schemas/bench-profile.ts';

const path = (name: string): string => new URL(`../fixtures/profiles/${name}`, import.meta.url).pathname;
const text = (name: string): string => readFileSync(path(`${name}.profile`), 'utf8');
const source = (content: string): BytesSource => new BytesSource(new TextEncoder().encode(content));
const records = (name: string): ReturnType<typeof readProfile> => readProfile(source(text(name)));

const PEAKS: MachinePeaks = {
  gflops: 100,
  int8Gops: null,
  bandwidth: [
    { bytes: 1000, gbPerS: 1 },
    { bytes: 1e9, gbPerS: 10 },
  ],
};

const residual = (optimized = true): KernelWork[] =>
  joinWork({
    timings: timeNodes(records('residual').runs).nodes,
    model: loadModel(path('residual.onnx')),
    optimized: optimized ? loadModel(path('residual.optimized.onnx')) : undefined,
    feeds: new Map([['x', { dtype: 'float32', dims: [1, 3, 16, 16] }]]),
  });

const controlFlow = (): KernelWork[] =>
  joinWork({
    timings: timeNodes(records('control-flow').runs).nodes,
    model: loadModel(path('control-flow.onnx')),
    optimized: loadModel(path('control-flow.optimized.onnx')),
    feeds: new Map([['x', { dtype: 'float32', dims: [1, 4] }]]),
  });

test('a profile of the runtime is read: runs, kernels, shapes, bytes', () => {
  const { runs, unreadable } = records('residual');
  expect(unreadable).toBe(0);
  expect(runs.length).toBe(3);
  for (const { us, kernels } of runs) {
    expect(kernels.map(({ op }) => op)).toEqual(['Conv', 'Conv', 'Conv', 'ReorderOutput']);
    expect(kernels.every(({ depth, selfUs, totalUs }) => depth === 0 && selfUs === totalUs)).toBe(true);
    expect(kernels.reduce((sum, { selfUs }) => sum + selfUs, 0)).toBeLessThanOrEqual(us);
  }
  const first = runs[0]!.kernels[0]!;
  expect(first.name).toBe('relu_out_nchwc');
  expect(first.provider).toBe('CPUExecutionProvider');
  expect(first.inputs[0]).toEqual({ dtype: 'float32', dims: [1, 3, 16, 16] });
  expect(first.outputs).toEqual([{ dtype: 'float32', dims: [1, 16, 16, 16] }]);
  expect(first.activationBytes).toBe(3 * 256 * 4);
  expect(first.outputBytes).toBe(16 * 256 * 4);
});

test('names that are no JSON are read, and kernels of subgraphs are not counted twice', () => {
  const { runs, unreadable } = records('control-flow');
  expect(unreadable).toBe(0);
  expect(runs.length).toBe(3);
  for (const { us, kernels } of runs) {
    expect(kernels[0]?.name).toBe('q"uo\\te\n<é>');
    const loop = kernels.find(({ op }) => op === 'Loop')!;
    const inLoop = kernels.filter(({ depth, op }) => depth === 1 && (op === 'Sinh' || op === 'Identity'));
    expect(inLoop.length).toBe(6);
    expect(loop.selfUs).toBe(loop.totalUs - inLoop.reduce((sum, { totalUs }) => sum + totalUs, 0));
    expect(kernels.filter(({ depth, op }) => depth === 1 && (op === 'Sqrt' || op === 'Exp')).length).toBe(2);
    expect(kernels.some(({ op }) => op === 'Neg')).toBe(false);
    expect(kernels.reduce((sum, { selfUs }) => sum + selfUs, 0)).toBeLessThanOrEqual(us);
  }
  const { nodes } = timeNodes(runs);
  expect(nodes.find(({ op }) => op === 'Sinh')?.calls).toBe(3);
  expect(nodes.find(({ op }) => op === 'Sqrt')?.depth).toBe(1);
});

test('what is no profile gives nothing, and damaged records are counted', () => {
  expect(readProfile(source(''))).toEqual({ runs: [], unreadable: 0 });
  expect(readProfile(source('{"not": "a profile"}\n[1,2]'))).toEqual({ runs: [], unreadable: 0 });
  const damaged = text('residual').replaceAll('"op_name" : "ReorderOutput"', '"op_name" : Reorder');
  const { runs, unreadable } = readProfile(source(damaged));
  expect([runs.length, unreadable]).toEqual([3, 3]);
  expect(runs[0]?.kernels.length).toBe(3);
  const odd = text('residual').replaceAll('[1,16,16,16]', '[-1,"x"]').replaceAll('"98304"', '"1e99"');
  for (const { kernels } of readProfile(source(odd)).runs) {
    expect(kernels.flatMap(({ outputs }) => outputs).every(({ dims }) => dims.every((d) => d >= 0))).toBe(
      true,
    );
  }
});

test('times are medians over the runs, of all calls of a run', () => {
  const kernel = { ...records('residual').runs[0]!.kernels[0]!, totalUs: 0 };
  const runs = [
    {
      us: 100,
      kernels: [
        { ...kernel, selfUs: 10 },
        { ...kernel, selfUs: 20 },
      ],
    },
    { us: 200, kernels: [{ ...kernel, selfUs: 50 }] },
    { us: 1000, kernels: [{ ...kernel, selfUs: 900 }] },
  ];
  const timing = timeNodes(runs);
  expect(timing).toMatchObject({ runs: 3, runMs: 0.2, kernelMs: 0.05, overheadMs: 0.1 });
  expect(timing.nodes).toMatchObject([
    { calls: 1, ms: 0.05, leastMs: 0.03, quartilesMs: [0.04, expect.closeTo(0.475)] },
  ]);
});

test('fused and renamed nodes are joined with the nodes of the model and their multiply–accumulates', () => {
  const work = residual();
  expect(work.map(({ op }) => op)).toEqual([
    'com.microsoft.nchwc.Conv',
    'com.microsoft.nchwc.Conv',
    'com.microsoft.nchwc.Conv',
    'com.microsoft.nchwc.ReorderOutput',
  ]);
  expect(work.map(({ origins }) => origins?.map(({ name }) => name))).toEqual([
    ['first', 'relu'],
    ['second', 'sum'],
    ['last'],
    [],
  ]);
  // Of the model, not of the padded layout: 16·16²·27, 16·16²·144, 5·16²·144.
  expect(work.map(({ macs }) => macs)).toEqual([110_592, 589_824, 184_320, 0]);
  expect(work.map(({ flops }) => flops)).toEqual([221_184, 1_179_648, 368_640, 0]);
  // Read once, written once, weights and residual included.
  expect(work[1]?.bytes).toBe(4 * (16 * 256 * 3 + 16 * 16 * 9));
});

test('without the graph of the runtime, what cannot be joined says so', () => {
  const work = residual(false);
  expect(work.map(({ origins, macs }) => [origins, macs])).toEqual(Array(4).fill([null, null]));
  const data = profileData({ timing: timeNodes(records('residual').runs), work, unreadable: 0 }, PEAKS);
  expect(data.notJoined).toBe(4);
});

test('nodes without names are joined by their order', () => {
  const work = controlFlow();
  const byOp = (op: string, depth: number): KernelWork | undefined =>
    work.find(({ timing }) => timing.op === op && timing.depth === depth);
  expect(byOp('Exp', 0)?.origins?.map(({ name }) => name)).toEqual(['q"uo\\te\n<é>']);
  expect(byOp('Sin', 0)?.origins?.map(({ op }) => op)).toEqual(['Sin']);
  expect(byOp('If', 0)).toMatchObject({ macs: 0, bytes: 0, flops: 0 });
  expect(byOp('Exp', 1)?.origins).toBeNull();
  expect(byOp('Sin', 0)).toMatchObject({ macs: 0, flops: 4, bytes: 32 });
});

test('the report has shares, rates and roofs, and fits its schema', () => {
  const timing = timeNodes(records('residual').runs);
  const data = profileData({ timing, work: residual(), unreadable: 0 }, PEAKS);
  expect(profileSchema.parse(data)).toEqual(data);
  expect(data.nodes.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
  expect(data.operators.map(({ op, nodes, macs }) => [op, nodes, macs])).toEqual([
    ['com.microsoft.nchwc.Conv', 3, 884_736],
    ['com.microsoft.nchwc.ReorderOutput', 1, 0],
  ]);
  expect(data.conversions).toMatchObject({ nodes: 1, added: 1 });
  const second = data.nodes.find(({ name }) => name === 'second_out_nchwc')!;
  expect(second.gflops).toBeCloseTo(1_179_648 / (second.leastMs * 1e6));
  expect(second.gbPerS).toBeCloseTo(second.bytes / (second.leastMs * 1e6));
  expect(second.efficiency).toBeCloseTo(second.roofMs! / second.leastMs);
  expect(data.nodes.map(({ ms }) => ms)).toEqual(data.nodes.map(({ ms }) => ms).toSorted((a, b) => b - a));
});

test('a kernel far below its roof is slow, and conversions that take long are told', () => {
  const timing = timeNodes(records('residual').runs);
  const work = residual().map((one) => {
    const slow = one.timing.name === 'last_out_nchwc';
    const ms = slow ? 3 : one.timing.op === 'ReorderOutput' ? 1 : 0.01;
    return { ...one, timing: { ...one.timing, ms, leastMs: ms } };
  });
  const scaled = { ...timing, nodes: work.map((one) => one.timing) };
  const fast = {
    ...PEAKS,
    bandwidth: [
      { bytes: 1000, gbPerS: 10 },
      { bytes: 1e9, gbPerS: 10 },
    ],
  };
  const data = profileData({ timing: scaled, work, unreadable: 2 }, fast);
  expect(data.nodes.filter(({ isSlow }) => isSlow).map(({ name }) => name)).toEqual([
    'last_out_nchwc',
    'ReorderOutput',
  ]);
  const findings = profileFindings('m', 'm.onnx', data);
  expect(findings.map(({ rule }) => rule)).toEqual([
    'slow-kernel',
    'slow-kernel',
    'conversion-overhead',
    'profile-unreadable',
  ]);
  const tooFast = work.map((one) => ({ ...one, timing: { ...one.timing, ms: 1e-4, leastMs: 1e-4 } }));
  const quick = { ...timing, nodes: tooFast.map((one) => one.timing) };
  const exceeding = profileData({ timing: quick, work: tooFast, unreadable: 0 }, fast);
  expect(profileFindings('m', 'm.onnx', exceeding).map(({ rule }) => rule)).toContain('roof-exceeded');
  // Interrupted most of the time, but fast once: not slow.
  const interrupted = work.map((one) => ({ ...one, timing: { ...one.timing, leastMs: 0.01 } }));
  const calm = profileData({ timing: scaled, work: interrupted, unreadable: 0 }, fast);
  expect(calm.nodes.some(({ isSlow }) => isSlow)).toBe(false);
});

test('a difference is attributed: slower, removed, added, unclear', () => {
  const timing = timeNodes(records('residual').runs);
  const named = (
    name: string,
    edit: (work: KernelWork) => KernelWork | undefined,
    extra: KernelWork[] = [],
  ) => {
    const work = [...residual().flatMap((one) => edit(one) ?? []), ...extra];
    const nodes = work.map((one) => one.timing);
    return { name, profile: profileData({ timing: { ...timing, nodes }, work, unreadable: 0 }, PEAKS) };
  };
  const timed = (work: KernelWork, ms: number): KernelWork => ({
    ...work,
    timing: { ...work.timing, ms, leastMs: ms, quartilesMs: [ms * 0.9, ms * 1.1] },
  });
  const before = named('before', (work) => timed(work, 1));
  const added = timed({ ...residual()[3]!, origins: [], op: 'Cast' }, 0.5);
  const after = named(
    'after',
    (work) => {
      if (work.op.endsWith('ReorderOutput')) return undefined;
      const renamed = { ...work, timing: { ...work.timing, name: `other ${work.timing.name}` } };
      return timed(renamed, work.timing.name === 'second_out_nchwc' ? 3 : 1.1);
    },
    [added],
  );
  const result = attribute(before, after);
  expect(result.beforeMs).toBeCloseTo(4);
  expect(result.afterMs).toBeCloseTo(5.7);
  expect(result.nodes.map((node) => [node.change, node.before, node.after])).toEqual([
    ['slower', 'second_out_nchwc', 'other second_out_nchwc'],
    ['removed', 'ReorderOutput', null],
    ['added', null, 'ReorderOutput'],
    ['unclear', 'relu_out_nchwc', 'other relu_out_nchwc'],
    ['unclear', 'last_out_nchwc', 'other last_out_nchwc'],
  ]);
  const total = result.nodes.reduce((sum, { differenceMs }) => sum + differenceMs, result.restMs);
  expect(total).toBeCloseTo(result.afterMs - result.beforeMs);
  expect(result.operators[0]).toMatchObject({ op: 'com.microsoft.nchwc.Conv' });
  expect(attribute(before, before).nodes).toEqual([]);
});
