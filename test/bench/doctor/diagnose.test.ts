import { rmSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import type { Diagnosis } from '../../../src/bench/doctor/diagnose.ts';
import type { Patient } from '../../../src/bench/doctor/experiment.ts';
import { experiments } from '../../../src/bench/doctor/index.ts';
import { OrthoError } from '../../../src/core/errors.ts';
import { silentIo } from '../../../src/core/job-io.ts';
import { float32Tensor, typedTensor } from '../../../src/core/tensor.ts';
import { Graph } from '../../../src/ir/graph.ts';
import { Model } from '../../../src/ir/model.ts';
import { tensorType } from '../../../src/ir/type.ts';
import { modelFromText } from '../../support/model-text.ts';
import { folderOfWorld, patientOf, World, type WorldOptions } from './world.ts';

afterAll(() => rmSync(folderOfWorld, { recursive: true, force: true }));

const plain = (): Model => modelFromText('m (float[1, 4] x) => (float[1, 4] y) { y = Relu(x) }');
const open = (): Model => modelFromText('m (float["n", 4] x) => (float["n", 4] y) { y = Relu(x) }');
const quantized = (): Model =>
  modelFromText(`m (float[1, 4] x) => (float[1, 4] y) <float s = {0.1}, uint8 z = {0}> {
    q = QuantizeLinear(x, s, z)
    y = DequantizeLinear(q, s, z)
  }`);
const convolution = (): Model =>
  modelFromText(`m (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y)
    <float[1, 1, 1, 1] w = {2}, float[1] g = {1}, float[1] b = {0}, float[1] mean = {0}, float[1] var = {1}> {
    c = Conv(x, w)
    y = BatchNormalization(c, g, b, mean, var)
  }`);

/** y = x + w */
const added = (dtype: 'float32' | 'float16', bits: readonly number[]): Model => {
  const graph = new Graph('m');
  const x = graph.addInput('x', tensorType(dtype, [1, 4]));
  const weight =
    dtype === 'float32'
      ? float32Tensor([4], new Float32Array(Uint32Array.from(bits).buffer))
      : typedTensor('float16', [4], Uint16Array.from(bits));
  const node = graph.add({
    op: 'Add',
    inputs: [x, graph.addInitializer('w', weight)],
    outputs: [{ name: 'y', type: tensorType(dtype, [1, 4]) }],
  });
  graph.addOutput('y', node.output);
  const model = new Model(graph);
  model.opsets.set('', 17);
  return model;
};
const subnormal = (): Model => added('float32', [1, 2, 0x3f800000, 0x80000001]);
const half = (): Model => added('float16', [0x3c00, 0x3c00, 0x3c00, 0x3c00]);

const found = ({ causes }: Diagnosis): string[] => causes.map(({ cause }) => cause);
const factorOf = ({ causes }: Diagnosis): number => causes[0]?.outcome.factor ?? Number.NaN;
const whyOf = ({ others }: Diagnosis, name: string): string =>
  others
    .filter(({ cause }) => cause === name)
    .map(({ outcome }) => `${outcome.verdict}: ${outcome.why}`)
    .join('; ');

const examine = (patients: readonly Patient[], options: WorldOptions = {}): Promise<Diagnosis> =>
  new World(options).diagnose(patients);

test('a healthy model: nothing is found, every cause is spoken of once', async () => {
  const diagnosis = await examine([patientOf(plain())]);
  expect(found(diagnosis)).toEqual([]);
  expect(diagnosis.others.map(({ cause }) => cause)).toEqual(Object.keys(experiments));
  expect(
    diagnosis.others.filter(({ outcome }) => outcome.verdict === 'undecided').map(({ cause }) => cause),
  ).toEqual(['weights-not-loaded', 'different-outputs']);
  expect(diagnosis.fastest).toBeNull();
  expect(diagnosis.pipeline).toBeNull();
  expect(diagnosis.isComplete).toBe(true);
  expect(diagnosis.aloneP50[0]).toBeCloseTo(5, 1);
});

/** What is planted, on what, and the factor that it has in this world. */
const PLANTED: readonly [cause: string, patient: () => Patient, factor: number, world?: WorldOptions][] = [
  ['subnormal-weights', () => patientOf(subnormal()), 12],
  ['subnormal-activations', () => patientOf(plain()), 12, { subnormalActivations: true }],
  ['subnormal-activations', () => patientOf(plain()), 12, { subnormalActivations: true, isBlind: true }],
  ['thread-oversubscription', () => patientOf(plain(), { threads: 4 }), 1.8],
  ['thread-oversubscription', () => patientOf(plain()), 1.8, { cores: 1 }],
  ['float16-on-cpu', () => patientOf(half()), 1.4],
  ['quantized-below-extended', () => patientOf(quantized(), { level: 'basic' }), 2.6],
  ['optimization-level', () => patientOf(plain(), { level: 'disabled' }), 1.5],
  ['optimization-level', () => patientOf(convolution(), { level: 'disabled' }), 1.5 * 1.3],
  ['execution-mode', () => patientOf(plain(), { parallel: true }), 2],
  ['memory-arena', () => patientOf(plain(), { arena: false }), 1.3],
  ['prepacking', () => patientOf(plain(), { prepacking: false }), 1.6],
  ['other-processes', () => patientOf(plain()), 1.5, { others: 0.5 }],
  ['memory-swapping', () => patientOf(plain()), 2, { faultEvery: 4 }],
  ['first-run', () => patientOf(plain()), 80, { firstRunMs: 400 }],
];

describe('the planted cause is named, and nothing else', () => {
  test.each(PLANTED)('%s', async (cause, patient, factor, world = {}) => {
    const diagnosis = await examine([patient()], world);
    expect(found(diagnosis)).toEqual([cause]);
    expect(factorOf(diagnosis)).toBeGreaterThan(factor * 0.9);
    expect(factorOf(diagnosis)).toBeLessThan(factor * 1.1);
  });

  test('a quota of half a processor', async () => {
    const diagnosis = await examine([patientOf(plain())], { quota: 0.5 });
    expect(found(diagnosis)).toEqual(['cpu-quota']);
    expect(diagnosis.causes[0]?.outcome.evidence).toContain('a quota of 0.5 processors on 2, reached in');
    expect(factorOf(diagnosis)).toBeGreaterThan(2);
    expect(diagnosis.causes[0]?.outcome.treatments.get('m')?.options).toMatchObject({ threads: 1 });
  });

  test('a size that was not seen before', async () => {
    const diagnosis = await examine([patientOf(open())], { newShape: 4 });
    expect(found(diagnosis)).toEqual(['shape-replanning']);
    expect(factorOf(diagnosis)).toBeCloseTo(4, 0);
    const cheap = await examine([patientOf(open())], { newShape: 1.3 });
    expect(found(cheap)).toEqual([]);
    expect(whyOf(cheap, 'shape-replanning')).toContain('ruled-out');
  });

  test('a processor that becomes slower', async () => {
    const diagnosis = await examine([patientOf(plain())], { drift: 0.2, isBlind: true });
    expect(found(diagnosis)).toEqual(['frequency-drift']);
  });
});

test('two sessions that spin: the pipeline, its cause, and the fastest way', async () => {
  const [a, b] = ['a', 'b'].map((name) => patientOf(plain(), {}, { name })) as [Patient, Patient];
  const diagnosis = await examine([a, b]);
  expect(found(diagnosis)).toEqual(['spinning-contention']);
  expect(diagnosis.causes[0]?.model).toBeNull();
  expect(factorOf(diagnosis)).toBeCloseTo(2.4, 1);
  expect(diagnosis.pipeline?.map(({ name, cause }) => [name, cause])).toEqual([
    ['a', 'spinning-contention'],
    ['b', 'spinning-contention'],
  ]);
  for (const { aloneP50, togetherP50, slowdown, fastestP50 } of diagnosis.pipeline ?? []) {
    expect(aloneP50).toBeCloseTo(5, 1);
    expect(togetherP50).toBeCloseTo(12, 0);
    expect(slowdown).toBeCloseTo(togetherP50 / aloneP50, 10);
    expect(fastestP50).toBeCloseTo(5, 1);
  }
  const { fastest } = diagnosis;
  expect(fastest?.contrast.factor).toBeCloseTo(2.4, 1);
  expect(fastest?.patients.map(({ options }) => options.spinning)).not.toContain('default');
});

test('two causes: each has its own factor, the largest comes first, and both are treated in the end', async () => {
  const diagnosis = await examine([patientOf(subnormal(), { threads: 4 })]);
  expect(found(diagnosis)).toEqual(['subnormal-weights', 'thread-oversubscription']);
  expect(diagnosis.causes.map(({ outcome }) => Math.round(outcome.factor! * 10) / 10)).toEqual([
    expect.closeTo(12, 0),
    expect.closeTo(1.8, 0),
  ]);
  expect(diagnosis.fastest?.contrast.factor).toBeGreaterThan(20);
});

test('one of two models: the cause names it', async () => {
  const sick = patientOf(subnormal(), { spinning: 'stop' }, { name: 'sick' });
  const well = patientOf(plain(), { spinning: 'stop' }, { name: 'well' });
  const diagnosis = await examine([well, sick]);
  expect(diagnosis.causes.map(({ cause, model }) => [cause, model])).toEqual([['subnormal-weights', 'sick']]);
  expect(diagnosis.pipeline?.map(({ cause }) => cause)).toEqual([null, 'subnormal-weights']);
});

test('noise is no cause: what is not clear stays undecided', async () => {
  const diagnosis = await examine([patientOf(half(), { threads: 4 })], { noise: 0.6 });
  for (const { outcome } of diagnosis.causes) expect(outcome.ci95![0]).toBeGreaterThan(1.1);
  const healthy = await examine([patientOf(plain())], { noise: 0.6 });
  expect(found(healthy)).toEqual([]);
});

test('what others may have hidden is not called ruled out', async () => {
  const diagnosis = await examine([patientOf(plain())], { others: 0.9, isBlind: true });
  expect(whyOf(diagnosis, 'subnormal-activations')).toMatch(/^undecided: .*other processes took 45 %/);
  const quiet = await examine([patientOf(plain())], { others: 0.3, isBlind: true });
  expect(whyOf(quiet, 'subnormal-activations')).toMatch(/^ruled-out: .* ms as it is/);
  const seen = await examine([patientOf(plain())], { others: 0.9 });
  expect(whyOf(seen, 'subnormal-activations')).toMatch(/^ruled-out: none of the 1 numbers/);
});

test('weights that were not loaded and outputs that differ are wrong, and come before what is slow', async () => {
  const keys = {
    matched: 0,
    needed: 310,
    stripped: '',
    fault: 'no key fits as it is',
    fix: '--strip-prefix module.',
  };
  const reference = { reference: 'ref.onnx', isEqual: false, difference: 'largest difference 2.0' };
  const diagnosis = await examine([patientOf(subnormal(), {}, { keys, reference })]);
  expect(found(diagnosis)).toEqual(['weights-not-loaded', 'different-outputs', 'subnormal-weights']);
  expect(diagnosis.causes[0]?.outcome).toMatchObject({ factor: null, fix: '--strip-prefix module.' });
  expect(diagnosis.causes[0]?.outcome.evidence).toBe('0 of 310 keys match: no key fits as it is');
  const well = await examine([
    patientOf(
      plain(),
      {},
      {
        keys: { ...keys, matched: 310, stripped: 'module.', fault: undefined },
        reference: { ...reference, isEqual: true },
      },
    ),
  ]);
  expect(found(well)).toEqual([]);
  expect(whyOf(well, 'weights-not-loaded')).toBe('ruled-out: 310 of 310 keys match, "module." taken off');
});

test('when the time is over, what points at a cause is measured all the same, and the rest is left undecided', async () => {
  const patients = [patientOf(subnormal(), { threads: 4 }), patientOf(open(), {}, { name: 'open' })];
  const diagnosis = await new World().diagnose(patients, silentIo(), 1);
  expect(found(diagnosis)).toEqual(['subnormal-weights', 'spinning-contention', 'thread-oversubscription']);
  expect(whyOf(diagnosis, 'shape-replanning')).toContain('undecided: no time');
  expect(diagnosis.fastest?.contrast.sessions).toBe(3);
});

test('an experiment that fails is undecided, and the others go on', async () => {
  const world = new World();
  const { start } = world;
  let opened = 0;
  Object.defineProperty(world, 'start', {
    value: () => {
      const host = start();
      return {
        ...host,
        open: (path: string, options: object) => {
          // As given comes first: three sessions. The copy for the next experiment fails.
          if (++opened === 5) throw new OrthoError('runtime/crashed', 'it died');
          return host.open(path, options);
        },
      };
    },
  });
  const diagnosis = await world.diagnose([patientOf(plain(), { arena: false })]);
  expect(whyOf(diagnosis, 'memory-arena')).toBe('undecided: it could not be measured: it died');
  expect(whyOf(diagnosis, 'first-run')).toContain('ruled-out');
});

test('interrupted: what is known by then is kept', async () => {
  const world = new World();
  const io = {
    ...silentIo(),
    progress: (step: string) => {
      if (step === 'm: subnormal-activations') throw new OrthoError('internal/interrupted', 'interrupted');
    },
  };
  const diagnosis = await world.diagnose([patientOf(subnormal())], io);
  expect(diagnosis.isComplete).toBe(false);
  expect(found(diagnosis)).toEqual(['subnormal-weights']);
  expect(diagnosis.fastest).toBeNull();
});
