/** The doctor on real sessions: what a report holds. Which causes it finds depends on the machine, and is tested without one. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { experiments } from '../../src/bench/doctor/index.ts';
import { OrthoError } from '../../src/core/errors.ts';
import { type DoctorOptions, examineModels } from '../../src/jobs/doctor.ts';
import { doctor as doctorSchema } from '../../src/report/schemas/doctor.ts';
import { ortho } from '../support/cli.ts';
import { repository } from '../support/golden.ts';

const file = (name: string): string => join(repository, 'test/fixtures/runtime', `${name}.onnx`);
const PNET = join(repository, 'models/raw/mtcnn-pnet.pth.tar');
const PNET_CASES = join(repository, 'models/raw/references/mtcnn-pnet');
const shape = { files: [], shapes: [{ name: 'input', dims: [1, 3, 24, 24] }] };

const folder = mkdtempSync(join(tmpdir(), 'ortho-doctor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failure = async (options: DoctorOptions): Promise<OrthoError> => {
  try {
    await examineModels(options);
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('it did not fail');
};

const names = (decisions: readonly { readonly cause: string }[]): string[] =>
  decisions.map(({ cause }) => cause);

test('a checkpoint whose keys were not loaded is named as that, and its model is examined all the same', async () => {
  const report = await examineModels({
    subjects: [PNET],
    stripPrefix: false,
    reference: PNET_CASES,
    given: shape,
    duration: 0.1,
  });
  expect(report.schema).toBe('doctor@1');
  expect(doctorSchema.parse(report.data)).toEqual(report.data);
  const { causes, ruledOut, undecided, models, pipeline } = report.data;
  expect(causes[0]).toMatchObject({ cause: 'weights-not-loaded', factor: null, model: 'mtcnn-pnet.pth.tar' });
  expect(causes[0]?.evidence).toMatch(/^0 of 13 keys match: .*"module\."/);
  expect(causes[0]?.fix).toContain('--no-strip-prefix');
  expect(ruledOut.find(({ cause }) => cause === 'different-outputs')?.why).toContain('6 cases');
  expect(models[0]?.p50).toBeGreaterThan(0);
  expect(pipeline).toBeNull();
  const decided = new Set(names([...causes, ...ruledOut, ...undecided]));
  expect([...decided].toSorted()).toEqual(Object.keys(experiments).toSorted());
});

test('on the command line: two models, and one that cannot be run', () => {
  const words = [
    'doctor',
    file('conv-bn-relu'),
    file('add'),
    file('int4-output'),
    '--duration',
    '0.1',
    '--json',
  ];
  const { status, stdout } = ortho(words);
  expect(status).toBe(5);
  const report = JSON.parse(stdout);
  expect(report.ok).toBe(false);
  expect(report.data.pipeline.stages.map(({ name }: { name: string }) => name)).toEqual([
    'conv-bn-relu.onnx',
    'add.onnx',
  ]);
  // What can be counted takes no time; what is measured all the same, no more than it must.
  const counted = report.data.ruledOut.filter(
    ({ cause }: { cause: string }) => cause === 'subnormal-activations',
  );
  expect(counted).toHaveLength(2);
  for (const { why } of counted) expect(why).toMatch(/^none of the \d+ numbers/);
  expect(report.data.fastest?.sessions ?? 3).toBe(3);
  const failed = report.findings.find(({ level }: { level: string }) => level === 'error');
  expect(failed).toMatchObject({ rule: 'runtime/crashed', at: { file: file('int4-output') } });
  expect(readdirSync(tmpdir()).filter((name) => name.includes('copy-'))).toEqual([]);
});

test('a job file: its own models, keys and references', async () => {
  const config = join(folder, 'job.json');
  const output = join(folder, 'not-built.onnx');
  const job = { name: 'detector', source: PNET, references: PNET_CASES, output };
  const shapes = { detector: { input: [1, 3, 24, 24] } };
  writeFileSync(config, JSON.stringify({ jobs: [job], bench: { pipeline: ['detector'], shapes } }));
  const { data } = await examineModels({ subjects: [config], duration: 0.1 });
  expect(data.models).toMatchObject([{ name: 'detector', file: PNET }]);
  const why = (name: string): string | undefined => data.ruledOut.find(({ cause }) => cause === name)?.why;
  expect(why('weights-not-loaded')).toBe('13 of 13 keys match, "module." taken off');
  expect(why('different-outputs')).toContain('largest difference');
});

test('what cannot be examined', async () => {
  expect((await failure({ subjects: [join(folder, 'nope.onnx')] })).code).toBe('file/not-found');
  expect((await failure({ subjects: [file('convtranspose-group0')], duration: 0.1 })).code).toBe(
    'runtime/crashed',
  );
  const config = join(folder, 'two.json');
  writeFileSync(config, JSON.stringify({ jobs: [{ name: 'a', source: PNET, output: 'a.onnx' }] }));
  expect((await failure({ subjects: [config, file('add')] })).code).toBe('usage/conflict');
  expect((await failure({ subjects: [config], stripPrefix: false })).code).toBe('usage/conflict');
  const missing = { files: [], shapes: [{ name: 'z', dims: [1] }] };
  expect((await failure({ subjects: [file('add')], given: missing, duration: 0.1 })).code).toBe(
    'usage/option',
  );
});
