/** A diagnosis with a cause of each kind, of models with hostile names. */
import type { DoctorData } from '../../src/report/schemas/doctor.ts';

export const doctor: DoctorData = {
  environment: { cpu: 'Xeon', cores: 2 },
  models: ['a', 'evil\u001b[31m'].map((name, i) => ({
    name,
    file: `${i}.onnx`,
    session: { level: 'all', spinning: 'default' },
    p50: 4.5,
  })),
  causes: [
    {
      cause: 'weights-not-loaded',
      model: 'evil\u001b[31m',
      evidence: '0 of 310 keys match: no key fits as it is',
      factor: null,
      ci95: null,
      fix: '--strip-prefix module.',
    },
    {
      cause: 'spinning-contention',
      model: null,
      evidence:
        '2 sessions in one process; 24.1 ms as it is, 10.0 ms with spinning stopped: ×2.41 (95 % interval 2.35 to 2.49)',
      factor: 2.41,
      ci95: [2.35, 2.49],
      fix: 'session.force_spinning_stop=1 in every session of the process',
    },
  ],
  ruledOut: [
    { cause: 'subnormal-weights', model: 'a', why: 'no weight is subnormal' },
    { cause: 'subnormal-weights', model: 'evil\u001b[31m', why: 'no weight is subnormal' },
    { cause: 'first-run', model: 'a', why: 'the first run takes 5.00 ms' },
    { cause: 'first-run', model: 'evil\u001b[31m', why: 'the first run takes 6.00 ms | or so' },
    { cause: 'cpu-quota', model: null, why: 'no quota' },
  ],
  undecided: [{ cause: 'different-outputs', model: 'a', why: 'no reference' }],
  pipeline: {
    stages: ['a', 'evil\u001b[31m'].map((name) => ({
      name,
      aloneP50: 5,
      togetherP50: 12.05,
      slowdown: 2.41,
      fastestP50: 5.1,
      cause: 'spinning-contention',
    })),
  },
  fastest: {
    changes: ['a', 'evil\u001b[31m'].map((model) => ({ model, session: { spinning: 'stop' }, copy: [] })),
    givenMs: 24.1,
    ms: 10.2,
    factor: 2.36,
    ci95: [2.3, 2.44],
    sessions: 3,
  },
};
