/** A diagnosis as its report carries it. */
import type { Decision, Diagnosis } from '../bench/doctor/diagnose.ts';
import type { FoundCause, Outcome, Patient } from '../bench/doctor/experiment.ts';
import type { Fastest } from '../bench/doctor/fastest.ts';
import type { Environment } from '../bench/environment.ts';
import type { DoctorData } from '../report/schemas/doctor.ts';
import type { SessionOptions } from '../runtime/session.ts';

type Changes = NonNullable<DoctorData['fastest']>['changes'];

const othersOf = (
  others: readonly Decision<Exclude<Outcome, FoundCause>>[],
  verdict: 'ruled-out' | 'undecided',
): DoctorData['ruledOut'] =>
  others
    .filter(({ outcome }) => outcome.verdict === verdict)
    .map(({ cause, model, outcome }) => ({ cause, model, why: outcome.why }));

/** The options that differ from those given. */
const changedOptions = (given: SessionOptions, other: SessionOptions): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(other).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(given[key as keyof SessionOptions]),
    ),
  );

const changesOf = (
  given: readonly Patient[],
  fastest: Fastest,
  causes: readonly Decision<FoundCause>[],
): Changes =>
  fastest.patients.flatMap((patient, i): Changes => {
    const before = given[i]!;
    const session = changedOptions(before.options, patient.options);
    const copy =
      patient.path === before.path
        ? []
        : causes
            .filter(({ outcome }) => outcome.treatments.get(patient.name)?.path !== undefined)
            .map(({ cause }) => cause);
    return Object.keys(session).length === 0 && copy.length === 0
      ? []
      : [{ model: patient.name, session, copy }];
  });

const fastestData = (given: readonly Patient[], { causes, fastest }: Diagnosis): DoctorData['fastest'] => {
  if (fastest === null) return null;
  const { factor, ci95, asIsMs, otherMs, sessions } = fastest.contrast;
  return {
    changes: ci95[0] > 1 ? changesOf(given, fastest, causes) : [],
    givenMs: asIsMs,
    ms: otherMs,
    factor,
    ci95: [...ci95],
    sessions,
  };
};

export const diagnosisData = (
  diagnosis: Diagnosis,
  patients: readonly Patient[],
  environment: Environment,
): DoctorData => ({
  environment,
  models: patients.map(({ name, file, options }, i) => ({
    name,
    file,
    session: { ...options },
    p50: diagnosis.aloneP50[i]!,
  })),
  causes: diagnosis.causes.map(({ cause, model, outcome }) => {
    const { evidence, factor, ci95, fix } = outcome;
    return { cause, model, evidence, factor, ci95: ci95 === null ? null : [...ci95], fix };
  }),
  ruledOut: othersOf(diagnosis.others, 'ruled-out'),
  undecided: othersOf(diagnosis.others, 'undecided'),
  pipeline: diagnosis.pipeline === null ? null : { stages: [...diagnosis.pipeline] },
  fastest: fastestData(patients, diagnosis),
});
