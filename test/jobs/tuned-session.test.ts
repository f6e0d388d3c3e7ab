import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readEnvironment } from '../../src/bench/environment.ts';
import { fingerprintOf } from '../../src/bench/fingerprint.ts';
import type { OrthoError } from '../../src/core/errors.ts';
import { tensorArray } from '../../src/core/tensor.ts';
import { subjectOf } from '../../src/jobs/subject.ts';
import { readTunedOptions, type TunedOptions } from '../../src/jobs/tuned-options.ts';
import { createTunedSession, type TunedSessionOptions } from '../../src/jobs/tuned-session.ts';
import { loadOnnxRuntime } from '../../src/runtime/onnxruntime.ts';
import { randomFeeds } from '../../src/verify/inputs.ts';

const folder = mkdtempSync(join(tmpdir(), 'ortho-tuned-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fixture = (name: string): string =>
  new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url).pathname;
const model = join(folder, 'net.onnx');
copyFileSync(fixture('conv-bn-relu'), model);

const version = (await loadOnnxRuntime()).env.versions.node ?? '';
const machine = fingerprintOf(readEnvironment(version));
const { sha256, bytes } = subjectOf(model);

const tuned: TunedOptions = {
  schema: 'session-options@1',
  tool: 'ortho',
  version: '0.1.0',
  objective: 'latency',
  models: [
    {
      name: 'net',
      file: 'net.onnx',
      sha256: sha256!,
      bytes,
      session: { threads: 1, arena: false, memPattern: false, disabledOptimizers: ['NchwcTransformer'] },
    },
  ],
  machine,
  evidence: { ratio: 0.8, ci95: [0.75, 0.85], sessions: 5, p50: { default: 2, tuned: 1.6 }, parity: true },
};
const save = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const file = save('options.json', tuned);

const failure = async (
  source: string | TunedOptions,
  options: TunedSessionOptions = {},
): Promise<OrthoError> => {
  try {
    await (await createTunedSession(source, options)).close();
  } catch (error) {
    return error as OrthoError;
  }
  throw new Error('it did not fail');
};

test.each([false, true])(
  'the model beside the options is loaded and runs (isolated: %s)',
  async (isolated) => {
    const session = await createTunedSession(file, { isolated, strict: true });
    expect(session.findings).toEqual([]);
    const feeds = randomFeeds(session.inputs, {
      seed: 3,
      shapes: new Map(session.inputs.map(({ name }) => [name, [1, 3, 8, 8]])),
    });
    const [output] = (await session.run(feeds)).values();
    const plain = await createTunedSession(
      { ...tuned, models: [{ ...tuned.models[0]!, session: {} }] },
      { model },
    );
    const [expected] = (await plain.run(feeds)).values();
    expect(output!.dims).toEqual(expected!.dims);
    const [a, b] = [output!, expected!].map((tensor) => [...(tensorArray(tensor) as Float32Array)]);
    a!.forEach((value, i) => {
      expect(value).toBeCloseTo(b![i]!, 4);
    });
    await plain.close();
    await session.close();
  },
);

describe('options of something else', () => {
  test('another model is a warning, with strict an error', async () => {
    const other = fixture('add');
    const session = await createTunedSession(file, { model: other });
    expect(session.findings.map(({ rule, level }) => [rule, level])).toEqual([
      ['tuned-for-another-model', 'warning'],
    ]);
    await session.close();
    const error = await failure(file, { model: other, strict: true });
    expect([error.code, error.exitCode]).toEqual(['tune/mismatch', 1]);
  });

  test('another machine is a warning that says what differs, with strict an error', async () => {
    const elsewhere = { ...tuned, machine: { ...machine, id: '0'.repeat(12), cores: machine.cores + 6 } };
    const session = await createTunedSession(elsewhere, { model });
    expect(session.findings.map(({ message }) => message)).toEqual([
      `the options were found on another machine: cores: ${machine.cores} instead of ${machine.cores + 6}`,
    ]);
    await session.close();
    expect((await failure(elsewhere, { model, strict: true, isolated: true })).code).toBe('tune/mismatch');
  });
});

test('several models: one must be named', async () => {
  const two = { ...tuned, models: [tuned.models[0]!, { ...tuned.models[0]!, name: 'other' }] };
  expect((await failure(two)).code).toBe('usage/unknown-name');
  const error = await failure(two, { name: 'othr' });
  expect([error.code, error.hint]).toEqual(['usage/unknown-name', 'did you mean "other"?']);
  const session = await createTunedSession(two, { name: 'other', model });
  await session.close();
});

const bad: [string, unknown, string][] = [
  ['no JSON', '{', 'config/invalid'],
  ['another file', { schema: 'bench@1' }, 'config/invalid'],
  ['no models', { ...tuned, models: [] }, 'config/invalid'],
  ['an unknown member', { ...tuned, extra: 1 }, 'config/invalid'],
  [
    'options of no runtime',
    { ...tuned, models: [{ ...tuned.models[0], session: { thread: 1 } }] },
    'config/invalid',
  ],
  ['too long', ' '.repeat(1_000_001), 'file/limit'],
];
test.each(bad)('refuses %s', async (name, content, code) => {
  const path = save(`${name}.json`, content);
  const error = await failure(path);
  expect(error.code).toBe(code);
  expect(error.message).toContain(path);
  expect(() => readTunedOptions(path)).toThrow(error.message);
});

test('a model that is gone, and options that the runtime refuses', async () => {
  const gone = { ...tuned, models: [{ ...tuned.models[0]!, file: 'gone.onnx' }] };
  expect((await failure(save('gone.json', gone))).code).toBe('file/not-found');
  const session = { extra: { 'session.no_such_key': '1' } };
  const refused = { ...tuned, models: [{ ...tuned.models[0]!, session }] };
  expect((await failure(save('refused.json', refused))).code).toBe('usage/option');
  expect((await failure(save('refused.json', refused), { isolated: true })).code).toBe('usage/option');
});
