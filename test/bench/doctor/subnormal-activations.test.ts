import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DoctorContext, Outcome } from '../../../src/bench/doctor/experiment.ts';
import { type Contrast, Lab } from '../../../src/bench/doctor/lab.ts';
import { thisMachine } from '../../../src/bench/doctor/machine.ts';
import { subnormalActivations } from '../../../src/bench/doctor/subnormal-activations.ts';
import { loadModel } from '../../../src/ir/load.ts';
import { writeModel } from '../../../src/jobs/model-file.ts';
import { SessionHost } from '../../../src/runtime/isolated.ts';
import { modelFromText } from '../../support/model-text.ts';
import { patientOf } from './world.ts';

/** Runs models for real, and says of each contrast that taking subnormals as zero doubles the speed. */
class StubLab extends Lab {
  contrasts = 0;
  constructor() {
    super(() => new SessionHost(), thisMachine(), 1000);
  }
  override async contrast(): Promise<Contrast> {
    this.contrasts++;
    return { factor: 2, ci95: [1.9, 2.1], asIsMs: 2, otherMs: 1, sessions: 3, othersShare: 0 };
  }
}

const folder = mkdtempSync(join(tmpdir(), 'ortho-activations-'));

const examine = async (text: string): Promise<{ outcome: Outcome; contrasts: number }> => {
  const lab = new StubLab();
  const patient = patientOf(modelFromText(text));
  const context: DoctorContext = {
    patients: [patient],
    machine: lab.machine,
    lab,
    withModel: async ({ path }, use) => {
      const model = loadModel(path);
      try {
        return await use(model);
      } finally {
        model.close();
      }
    },
    save: async (model) => {
      const path = join(folder, `copy-${lab.contrasts}.onnx`);
      await writeModel(path, model, { force: true });
      return path;
    },
  };
  return { outcome: await subnormalActivations.run(context), contrasts: lab.contrasts };
};

test('no subnormal number in a run rules it out, without timing anything', async () => {
  const { outcome, contrasts } = await examine(
    'm (float[1, 4] x) => (float[1, 4] y) { a = Relu(x) b = Neg(a) y = Add(a, b) }',
  );
  expect(outcome).toEqual({
    verdict: 'ruled-out',
    why: 'none of the 12 numbers that its nodes compute in a run is subnormal',
  });
  expect(contrasts).toBe(0);
});

test('the tensors that hold some are named', async () => {
  const { outcome } =
    await examine(`m (float[1, 4] x) => (float[1, 4] y) <float t = {1e-38}, float u = {1e38}> {
    a = Mul(x, t)
    b = Mul(a, t)
    c = Relu(a)
    y = Mul(c, u)
  }`);
  // 1e-38 is subnormal, 2 to 4e-38 are not; their products are zero.
  expect(outcome).toMatchObject({ verdict: 'cause', factor: 2 });
  expect(outcome).toHaveProperty(
    'evidence',
    expect.stringMatching(/^subnormal in one run: "a" \(1\), "c" \(1\); 2\.00 ms as it is/),
  );
});

test('what cannot be seen is measured', async () => {
  const { outcome, contrasts } = await examine(`m (float[1, 4] x) => (float[1, 4] y) <bool yes = {1}> {
    y = If(yes) <
      then_branch = t () => (float[1, 4] r) { r = Relu(x) },
      else_branch = e () => (float[1, 4] r) { r = Neg(x) }
    >
  }`);
  expect(contrasts).toBe(1);
  expect(outcome.verdict).toBe('cause');
});
