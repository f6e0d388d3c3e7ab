/**
 * A way to run models: session options for each of them. It is made of choices, at most one on each axis, so that two
 * good configurations can be joined into one.
 */
import type { SessionOptions } from '../../runtime/session.ts';

/** One value on one axis of the search, for each model. */
export interface Choice {
  readonly axis: string;
  /** What it says, e.g. `spinning stop`. */
  readonly name: string;
  /** The options it sets, a model each. */
  readonly options: readonly SessionOptions[];
}

/** What a configuration changes of the runtime's defaults; none for the default configuration. */
export type Choices = readonly Choice[];

/** Of the choices on one axis the later one counts. */
export const joinChoices = (...lists: readonly Choices[]): Choices => [
  ...new Map(lists.flat().map((choice) => [choice.axis, choice])).values(),
];

/** A single thread has nobody to wait for: how idle threads wait makes no difference. */
const withoutIdle = (options: SessionOptions): SessionOptions => {
  if (options.threads !== 1 || options.parallel === true) return options;
  const { spinning: _, ...rest } = options;
  return rest;
};

/** The session options of each of `models` models. */
export const sessionOptionsOf = (choices: Choices, models: number): readonly SessionOptions[] =>
  Array.from({ length: models }, (_, model) =>
    withoutIdle(Object.assign({}, ...choices.map(({ options }) => options[model]))),
  );

/** Equal for configurations that run the models in the same way. */
export const keyOf = (options: readonly SessionOptions[]): string =>
  JSON.stringify(
    options.map((one) => Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))),
  );

export const describeChoices = (choices: Choices): string =>
  choices.length === 0 ? 'the defaults' : choices.map(({ name }) => name).join(', ');
