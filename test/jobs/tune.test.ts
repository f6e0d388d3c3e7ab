import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { OrthoError } from '../../src/core/errors.ts';
import { silentIo } from '../../src/core/job-io.ts';
import { type TuneJobOptions, tuneModels } from '../../src/jobs/tune.ts';
import { readTunedOptions } from '../../src/jobs/tuned-options.ts';
import { createTunedSession } from '../../src/jobs/tuned-session.ts';
import { tune as tuneSchema } from '../../src/report/schemas/tune.ts';
import { randomFeeds } from '../../src/verify/inputs.ts';
import { ortho } from '../support/cli.ts';

const fixture = (name: string): string =>
  new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url).pathname;

const folder = mkdtempSync(join(tmpdir(), 'ortho-tune-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const failure = async (options: TuneJobOptions): Promise<OrthoError> => {
  try {
    await tuneModels(options);
  } catch (error) {
    return error as OrthoError;
  }
  throw new Error('it did not fail');
};

test('searches, proves, and writes options that a session is made with', async () => {
  const output = join(folder, 'options.json');
  const models = [fixture('conv-bn-relu'), fixture('add')];
  const report = await tuneModels({ models, output, duration: 3, seed: 1 });
  expect(report.schema).toBe('tune@1');
  expect(report.ok).toBe(true);
  expect(tuneSchema.parse(report.data)).toEqual(report.data);
  const { tried, best, defaults, options, machine } = report.data;
  expect(defaults.parity).toEqual({ ok: true });
  expect(tried.every(({ options: sessions }) => sessions.length === 2)).toBe(true);
  expect(tried.filter(({ parity }) => parity?.ok === false)).toEqual([]);
  expect(options.map(({ model }) => model)).toEqual(['conv-bn-relu.onnx', 'add.onnx']);
  expect(best.isDefault).toBe(report.findings.some(({ rule }) => rule === 'default-kept'));

  const written = readTunedOptions(output);
  expect(written.models.map(({ session }) => session)).toEqual(options.map(({ session }) => session));
  expect(written.machine).toEqual(machine);
  expect(written.evidence === null).toBe(best.isDefault);
  expect(written.models[0]!.sha256).toBe(report.subject.sha256);

  const session = await createTunedSession(output, { name: 'add.onnx', strict: true });
  expect(session.findings).toEqual([]);
  const feeds = randomFeeds(session.inputs, { seed: 0, shapes: new Map() });
  expect((await session.run(feeds)).size).toBe(session.outputs.length);
  await session.close();
});

test('an interruption keeps what was found, marked', async () => {
  const output = join(folder, 'interrupted.json');
  const controller = new AbortController();
  let steps = 0;
  const io = {
    ...silentIo(),
    signal: controller.signal,
    progress: () => {
      if (++steps === 5) controller.abort();
    },
  };
  const { data, findings } = await tuneModels({ models: [fixture('add')], output, duration: 60, io });
  expect(data.interrupted).toBe(true);
  expect(data.best.isDefault).toBe(true);
  expect(data.tried.length).toBeGreaterThan(1);
  expect(findings.map(({ rule }) => rule)).toEqual(expect.arrayContaining(['interrupted', 'default-kept']));
  expect(readTunedOptions(output)).toMatchObject({ interrupted: true, evidence: null });
});

test('what cannot be tuned ends before anything is written', async () => {
  const output = join(folder, 'none.json');
  const models = [fixture('add')];
  expect((await failure({ models: [join(folder, 'missing.onnx')], output })).code).toBe('file/not-found');
  expect((await failure({ models, output: models[0]! })).code).toBe('usage/conflict');
  writeFileSync(output, '{}');
  expect((await failure({ models, output })).code).toBe('usage/output-exists');
  const given = { files: [], shapes: [{ name: 'nobody', dims: [1] }] };
  expect((await failure({ models, output, force: true, given })).code).toBe('usage/option');
  expect(readFileSync(output, 'utf8')).toBe('{}');
});

test('the command line', () => {
  const output = join(folder, 'cli.json');
  const { status, stdout, stderr } = ortho([
    'tune',
    fixture('add'),
    '-o',
    output,
    '--duration',
    '1',
    '--json',
  ]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const report = JSON.parse(stdout);
  expect(report.schema).toBe('tune@1');
  expect(report.data.output).toBe(output);
  expect(readTunedOptions(output).objective).toBe('latency');
  expect(ortho(['tune', fixture('add')]).status).toBe(2);
});
