import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { OrthoError } from '../../src/core/errors.ts';
import { benchModels } from '../../src/jobs/bench.ts';
import type { BenchOptions } from '../../src/jobs/bench-options.ts';
import { planPlots } from '../../src/jobs/bench-plots.ts';
import { bench as benchSchema } from '../../src/report/schemas/bench.ts';
import { ortho } from '../support/cli.ts';
import { parseXml } from '../support/xml.ts';

const residual = new URL('../fixtures/profiles/residual.onnx', import.meta.url).pathname;
const controlFlow = new URL('../fixtures/profiles/control-flow.onnx', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'ortho-profile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

const tempFolders = (): string[] => readdirSync(tmpdir()).filter((name) => name.includes(`-${process.pid}-`));

const refusal = (work: () => unknown): OrthoError => {
  try {
    work();
  } catch (error) {
    return error as OrthoError;
  }
  throw new Error('it was not refused');
};

test('models are profiled: nodes, operators, subgraphs, the machine, and nothing is left behind', async () => {
  const both = [{ file: residual }, { file: controlFlow }];
  const options: BenchOptions = { models: both, alone: true, duration: 0.3, profile: true };
  const report = await benchModels({ ...options, session: { threads: 1 } });
  expect(benchSchema.parse(report.data)).toEqual(report.data);
  const { peaks, models, attributions } = report.data;
  const profile = models[0]!.profile!;
  expect(profile.runs).toBeGreaterThanOrEqual(5);
  // All convolutions, whatever layout the runtime chooses on this machine.
  expect(profile.operators.reduce((sum, { macs }) => sum + (macs ?? 0), 0)).toBe(884_736);
  expect(profile.notJoined).toBe(0);
  expect(profile.nodes.flatMap(({ origins }) => origins)).toEqual(
    expect.arrayContaining(['first', 'second', 'last']),
  );
  expect(profile.kernelMs).toBeLessThanOrEqual(profile.runMs);
  expect(peaks!.gflops).toBeGreaterThan(0);
  expect(peaks!.int8Gops).toBeNull();
  expect(peaks!.bandwidth.every(({ gbPerS }) => gbPerS > 0)).toBe(true);
  expect(attributions).toEqual([]);
  const { nodes } = models[1]!.profile!;
  expect(nodes.find(({ op }) => op === 'Sinh')?.calls).toBe(3);
  expect(nodes.find(({ name }) => name === 'q"uo\\te\n<é>')?.op).toBe('Exp');
  expect(tempFolders()).toEqual([]);
});

test('the graph before the runtime rewrites it has the names of the model', async () => {
  const report = await benchModels({
    models: [{ file: residual }],
    baseline: { file: residual },
    level: 'disabled',
    duration: 0.3,
    profile: true,
    session: { threads: 1 },
  });
  const [before, after] = report.data.models.map(({ profile }) => profile!);
  expect(after!.nodes.map(({ name }) => name).toSorted()).toEqual(['first', 'last', 'relu', 'second', 'sum']);
  expect(after!.conversions).toMatchObject({ nodes: 0, added: 0 });
  const [attribution] = report.data.attributions;
  expect([attribution!.baseline, attribution!.candidate]).toEqual(['residual.onnx', 'residual.onnx#2']);
  expect(attribution!.nodes.every(({ change }) => change !== 'added' && change !== 'removed')).toBe(true);
  expect(attribution!.beforeMs).toBeCloseTo(before!.nodes.reduce((sum, { ms }) => sum + ms, 0));
});

test('plots are drawn by kind, never over a file unless forced', () => {
  const [distribution, timeline, roofline] = ['d.svg', 't.svg', 'roofline.svg'].map(at) as [
    string,
    string,
    string,
  ];
  const run = (...args: string[]) =>
    ortho(['bench', residual, '--duration', '0.2', '--threads', '1', '--plot', distribution, ...args]);
  const first = run('--plot', `timeline=${timeline}`, '--plot', roofline);
  expect(first.status).toBe(0);
  expect(first.stdout).toContain('profile of residual.onnx');
  for (const [file, title] of [
    [distribution, 'Distribution of run times'],
    [timeline, 'Run times in the order they were taken'],
    [roofline, 'Roofline: what kernels reach, and what this machine allows'],
  ] as const) {
    expect(parseXml(readFileSync(file, 'utf8')).texts[0]).toBe(title);
  }
  const again = run();
  expect(again.status).toBe(2);
  expect(again.stderr).toContain('exists');
  writeFileSync(distribution, 'old');
  expect(run('--force').status).toBe(0);
  expect(readFileSync(distribution, 'utf8')).toContain('<svg');
});

test('two models together: contention', () => {
  const contention = at('contention.svg');
  const { status } = ortho(['bench', residual, controlFlow, '--duration', '0.2', '--plot', contention]);
  expect(status).toBe(0);
  expect(parseXml(readFileSync(contention, 'utf8')).texts).toContain('control-flow.onnx');
});

test('what cannot be drawn is refused before anything is measured', () => {
  const plan = { isPipeline: false, inputs: [residual], force: false };
  const refused = (value: string, name?: string): string =>
    refusal(() => planPlots([{ name, value }], plan)).code;
  expect(refused(at('x.svg'), 'histogram')).toBe('usage/unknown-name');
  expect(refused(at('x.png'))).toBe('usage/option');
  expect(refused(at('x.svg'), 'contention')).toBe('usage/conflict');
  expect(refused(at('none/x.svg'))).toBe('output/unwritable');
  const twice = [at('x.svg'), `${folder}/./x.svg`];
  expect(
    refusal(() =>
      planPlots(
        twice.map((value) => ({ name: 'timeline', value })),
        plan,
      ),
    ).code,
  ).toBe('usage/conflict');
  expect(planPlots([{ name: undefined, value: at('timeline.svg') }], plan)[0]?.kind).toBe('timeline');
  expect(planPlots([{ name: undefined, value: at('any.svg') }], plan)[0]?.kind).toBe('distribution');
  expect(existsSync(at('any.svg'))).toBe(false);
});
