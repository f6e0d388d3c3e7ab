/**
 * Runs the experiments on models: first everything is measured as it was given, then each experiment decides about its
 * cause, and what it finds is treated before the next one begins. At the end the best way to run them is measured
 * against the way they were given.
 */
import { OrthoError } from '../../core/errors.ts';
import type { JobIo } from '../../core/job-io.ts';
import { loadModel } from '../../ir/load.ts';
import type { Model } from '../../ir/model.ts';
import { isInterrupted } from '../blocks.ts';
import {
  BAR,
  type DoctorContext,
  type FoundCause,
  type Outcome,
  type Patient,
  setUpOf,
  treated,
  undecided,
} from './experiment.ts';
import { type Fastest, findFastest } from './fastest.ts';
import { type CauseName, experiments } from './index.ts';
import { type DoctorHost, Lab, type MeasuredSetUp } from './lab.ts';
import type { Machine } from './machine.ts';

/** What was found about a cause; `model` is null where it is about all of them. */
export interface Decision<T> {
  readonly cause: CauseName;
  readonly model: string | null;
  readonly outcome: T;
}

export interface PipelineStage {
  readonly name: string;
  readonly aloneP50: number;
  readonly togetherP50: number;
  readonly slowdown: number;
  /** Together in the fastest way that was found; null where there is none. */
  readonly fastestP50: number | null;
  readonly cause: string | null;
}

export interface Diagnosis {
  /** Wrong before slow, then by factor, the largest first. */
  readonly causes: readonly Decision<FoundCause>[];
  readonly others: readonly Decision<Exclude<Outcome, FoundCause>>[];
  /** Median times as given, alone, in ms; in the order of the patients. */
  readonly aloneP50: readonly number[];
  readonly pipeline: readonly PipelineStage[] | null;
  /** Null where nothing else was worth trying. */
  readonly fastest: Fastest | null;
  /** False when the user interrupted it. */
  readonly isComplete: boolean;
}

export interface DiagnoseOptions {
  readonly patients: readonly Patient[];
  /** Starts a fresh process of the runtime. */
  readonly start: () => DoctorHost;
  readonly machine: Machine;
  /** Time for everything, in ms: where nothing points at a cause, it is not looked for after that. */
  readonly budgetMs: number;
  readonly seed?: number;
  readonly io: JobIo;
  /** Writes a model into a temporary folder and gives its path. */
  save(model: Model): Promise<string>;
}

/** Slowdown of a stage that shared caches and memory may be blamed for, where everything else is ruled out. */
const WORTH_A_WORD = 1.25;

const NO_TIME = 'no time was left for it: a longer --duration decides it';

/** Measurements that a diagnosis most often needs: as given, a cause, the fastest, and how models share a process. */
const measurementsFor = (models: number): number => (models > 1 ? 4 : 3);

const withModel: DoctorContext['withModel'] = async ({ path }, use) => {
  if (path.endsWith('.ort')) return use(undefined);
  const model = loadModel(path);
  try {
    return await use(model);
  } finally {
    model.close();
  }
};

/** What a model or the runtime refuses is no answer, and no reason to give up on the other experiments. */
const refusal = (error: unknown): Outcome => {
  if (!(error instanceof OrthoError) || error.code.startsWith('internal/')) throw error;
  return undecided(`it could not be measured: ${error.message}`);
};

class Examination {
  readonly causes: Decision<FoundCause>[] = [];
  readonly others: Decision<Exclude<Outcome, FoundCause>>[] = [];
  readonly given: readonly Patient[];
  readonly #options: DiagnoseOptions;
  readonly #lab: Lab;
  readonly #end: number;
  #current: readonly Patient[];

  constructor(options: DiagnoseOptions) {
    const { patients, start, machine, budgetMs, seed } = options;
    this.#options = options;
    this.given = patients;
    this.#current = patients;
    this.#end = machine.now() + budgetMs;
    this.#lab = new Lab(start, machine, budgetMs / measurementsFor(patients.length), seed);
  }

  #context(patients: readonly Patient[]): DoctorContext {
    const { machine, save } = this.#options;
    return { patients, machine, lab: this.#lab, withModel, save };
  }

  /** Every model alone and, if there are several, all together. */
  asGiven(): Promise<MeasuredSetUp[]> {
    const alone = this.given.map((patient) => setUpOf([patient]));
    this.#options.io.progress('as given');
    return this.#lab.measure(this.given.length > 1 ? [...alone, setUpOf(this.given)] : alone);
  }

  async decide(cause: CauseName): Promise<void> {
    const { io } = this.#options;
    const { scope, applies, run } = experiments[cause];
    const groups = scope === 'all' ? [this.#current] : this.#current.map((patient) => [patient]);
    for (const group of groups) {
      const model = scope === 'all' ? null : group[0]!.name;
      io.progress(model === null ? cause : `${model}: ${cause}`);
      const context = this.#context(group);
      let outcome: Outcome;
      try {
        const answer = await applies(context);
        if (answer === 'routine' && this.isOver) outcome = undecided(NO_TIME);
        else outcome = answer === true || answer === 'routine' ? await run(context) : answer;
      } catch (error) {
        outcome = refusal(error);
      }
      if (outcome.verdict !== 'cause') {
        this.others.push({ cause, model, outcome });
        continue;
      }
      io.log(`${cause}: ${outcome.evidence}`);
      this.causes.push({ cause, model, outcome });
      if (outcome.treatments.size > 0) this.#current = treated(this.#current, outcome.treatments);
    }
  }

  get isOver(): boolean {
    return this.#options.machine.now() >= this.#end;
  }

  async fastest(): Promise<Fastest | null> {
    if (this.isOver && this.#current === this.given) return null;
    this.#options.io.progress('the fastest way');
    try {
      return (await findFastest(this.#context(this.#current), this.given, this.#current)) ?? null;
    } catch (error) {
      refusal(error);
      return null;
    }
  }
}

/** The causes that a stage suffers from. @param isDecided whether it is known if sessions that spin are one. */
const causeOf = (
  name: string,
  slowdown: number,
  causes: readonly Decision<FoundCause>[],
  isDecided: boolean,
): string | null => {
  const own = causes.filter(
    ({ model, outcome }) => model === name || (model === null && (outcome.factor === null || slowdown > BAR)),
  );
  if (own.length > 0) return own.map(({ cause }) => cause).join(', ');
  if (slowdown <= WORTH_A_WORD) return null;
  return isDecided ? 'shared caches and memory' : 'undecided';
};

const stagesOf = (
  given: readonly Patient[],
  measured: readonly MeasuredSetUp[],
  { causes, others }: Pick<Diagnosis, 'causes' | 'others'>,
  fastest: Fastest | null,
): PipelineStage[] => {
  const together = measured.at(-1)!;
  const isDecided = others.every(
    ({ cause, outcome }) => cause !== 'spinning-contention' || outcome.verdict === 'ruled-out',
  );
  return given.map(({ name }, i) => {
    const aloneP50 = measured[i]!.members[0]!;
    const togetherP50 = together.members[i]!;
    const slowdown = togetherP50 / aloneP50;
    const fastestP50 = fastest?.measured.members[i] ?? null;
    return {
      name,
      aloneP50,
      togetherP50,
      slowdown,
      fastestP50,
      cause: causeOf(name, slowdown, causes, isDecided),
    };
  });
};

const severity = ({ outcome: { factor } }: Decision<FoundCause>): number =>
  factor ?? Number.POSITIVE_INFINITY;

/**
 * Finds out why models are slow, or wrong.
 * @throws OrthoError of the runtime when a model cannot be measured as it was given.
 */
export const diagnose = async (options: DiagnoseOptions): Promise<Diagnosis> => {
  const examination = new Examination(options);
  const { causes, others, given } = examination;
  let measured: readonly MeasuredSetUp[] = [];
  let fastest: Fastest | null = null;
  let isComplete = false;
  try {
    measured = await examination.asGiven();
    for (const cause of Object.keys(experiments) as CauseName[]) await examination.decide(cause);
    fastest = await examination.fastest();
    isComplete = true;
  } catch (error) {
    // What is known by then is kept.
    if (!isInterrupted(error) || measured.length === 0) throw error;
  }
  return {
    causes: causes.toSorted((a, b) => severity(b) - severity(a)),
    others,
    aloneP50: given.map((_, i) => measured[i]!.members[0]!),
    pipeline: given.length > 1 ? stagesOf(given, measured, examination, fastest) : null,
    fastest,
    isComplete,
  };
};
