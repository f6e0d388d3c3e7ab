/**
 * What an experiment is: it decides, by measuring, whether one thing makes models slow (or wrong) here.
 *
 * Experiments run in the order of their registry. What one has found is treated before the next begins, so that each
 * factor is what its own cause costs, and a cause is named once.
 */
import type { Model } from '../../ir/model.ts';
import type { SessionOptions } from '../../runtime/session.ts';
import { type Contrast, DISTURBED, type Lab, type Member, type SetUp } from './lab.ts';
import type { Machine } from './machine.ts';

/** How the keys of a checkpoint fitted its architecture, when it was loaded the way the user does. */
export interface KeyFacts {
  /** Keys that the architecture found, of those that it needs. */
  readonly matched: number;
  readonly needed: number;
  /** The prefix that was taken off; '' for none. */
  readonly stripped: string;
  /** What the loader said; undefined when the weights were loaded. */
  readonly fault: string | undefined;
  readonly fix: string | undefined;
}

/** Whether a model agrees with what it should compute. */
export interface ReferenceFacts {
  readonly reference: string;
  readonly isEqual: boolean;
  /** In words, e.g. the largest difference. */
  readonly difference: string;
}

/** A model under examination, as it is run by now: what was found has been treated. */
export interface Patient extends Member {
  /** The file that the user named. */
  readonly file: string;
  readonly keys?: KeyFacts | undefined;
  readonly reference?: ReferenceFacts | undefined;
}

/** What treats a cause: another copy of the model, other options, the feeds that the copy takes. */
export type Treatment = Partial<Pick<Patient, 'path' | 'options' | 'feeds'>>;

export interface DoctorContext {
  /** The model that an experiment is about; all of them for experiments of scope `all`. */
  readonly patients: readonly Patient[];
  readonly machine: Machine;
  readonly lab: Lab;
  /** Gives the model in a file; undefined for the runtime's own format. Tensors are read while `use` runs. */
  withModel<T>(patient: Patient, use: (model: Model | undefined) => T | Promise<T>): Promise<T>;
  /** Writes a copy into a temporary folder. */
  save(model: Model): Promise<string>;
}

export interface FoundCause {
  readonly verdict: 'cause';
  readonly evidence: string;
  /** How many times slower it makes what was measured; null for what is wrong rather than slow. */
  readonly factor: number | null;
  readonly ci95: readonly [number, number] | null;
  readonly fix: string;
  /** By the name of the patient. */
  readonly treatments: ReadonlyMap<string, Treatment>;
}

/** `ruled-out`: it is not this. `undecided`: nobody knows, and why. */
export type Outcome = FoundCause | { readonly verdict: 'ruled-out' | 'undecided'; readonly why: string };

export type Applicability = true | 'routine' | Outcome;

export interface Experiment {
  readonly name: string;
  /** What the cause is, in a line. */
  readonly summary: string;
  /** `model`: once a model. `all`: once, for all of them in one process. */
  readonly scope: 'model' | 'all';
  /**
   * True where something points at its cause, `routine` where nothing does, yet only measuring can rule it out (that is left
   * undone when the time is over), or what is known without measuring.
   */
  applies(context: DoctorContext): Applicability | Promise<Applicability>;
  run(context: DoctorContext): Promise<Outcome>;
}

/** A factor whose whole interval lies above this names a cause. */
export const BAR = 1.1;

export const ruledOut = (why: string): Outcome => ({ verdict: 'ruled-out', why });
export const undecided = (why: string): Outcome => ({ verdict: 'undecided', why });

export const times = (factor: number): string => `×${factor.toFixed(2)}`;

/** `×2.31 (95 % interval 2.25 to 2.40)` */
export const timesWithin = ({ factor, ci95: [low, high] }: Pick<Contrast, 'factor' | 'ci95'>): string =>
  `${times(factor)} (95 % interval ${low.toFixed(2)} to ${high.toFixed(2)})`;

export const milliseconds = (ms: number): string =>
  `${ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`;

const disturbance = ({ othersShare }: Contrast): string =>
  `other processes took ${(100 * othersShare).toFixed(0)} % of the processors meanwhile`;

/** What a contrast between "as it is" and "with the cause taken away" says. */
export const outcomeOf = (
  contrast: Contrast,
  words: {
    /** Of the set-up without the cause, e.g. `with 2 threads`. */
    readonly without: string;
    /** What precedes the numbers. */
    readonly about?: string;
    readonly fix: string;
    readonly treatments: ReadonlyMap<string, Treatment>;
  },
  bar = BAR,
): Outcome => {
  const { asIsMs, otherMs, ci95, factor } = contrast;
  const about = words.about === undefined ? '' : `${words.about}; `;
  const measured = `${about}${milliseconds(asIsMs)} as it is, ${milliseconds(otherMs)} ${words.without}: ${timesWithin(contrast)}`;
  if (ci95[0] > bar) {
    return {
      verdict: 'cause',
      evidence: measured,
      factor,
      ci95: [...ci95],
      fix: words.fix,
      treatments: words.treatments,
    };
  }
  if (ci95[1] >= bar)
    return undecided(`${measured}, too wide to tell from ${times(bar)}: a longer --duration may`);
  // Others may have hidden a cause: what shows none then has ruled out none.
  return contrast.othersShare < DISTURBED
    ? ruledOut(measured)
    : undecided(`${measured}, but ${disturbance(contrast)}`);
};

export const setUpOf = (patients: readonly Patient[]): SetUp => ({ members: patients });

export const treated = (
  patients: readonly Patient[],
  treatments: ReadonlyMap<string, Treatment>,
): Patient[] => patients.map((patient) => ({ ...patient, ...treatments.get(patient.name) }));

/** The same change of options for every patient. */
export const withOptions = (
  patients: readonly Patient[],
  change: SessionOptions,
): ReadonlyMap<string, Treatment> =>
  new Map(patients.map(({ name, options }) => [name, { options: { ...options, ...change } }]));

/** Measures the patients as they are against the same with other session options. */
export const contrastOptions = async (
  { patients, lab }: DoctorContext,
  change: SessionOptions,
  words: { readonly without: string; readonly about?: string; readonly fix: string },
): Promise<Outcome> => {
  const treatments = withOptions(patients, change);
  const contrast = await lab.contrast(setUpOf(patients), setUpOf(treated(patients, treatments)), BAR);
  return outcomeOf(contrast, { ...words, treatments });
};

/** Measures one patient against a copy of its model. */
export const contrastCopy = async (
  { patients, lab }: DoctorContext,
  copy: Treatment,
  words: { readonly without: string; readonly about?: string; readonly fix: string },
): Promise<Outcome> => {
  const treatments = new Map(patients.map(({ name }) => [name, copy]));
  const contrast = await lab.contrast(setUpOf(patients), setUpOf(treated(patients, treatments)), BAR);
  return outcomeOf(contrast, { ...words, treatments });
};
