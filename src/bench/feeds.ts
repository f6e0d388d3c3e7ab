/**
 * What a model is fed while it is timed: files where given, random tensors else. Unknown dimensions are searched:
 * the first sizes that the model accepts (batch 1, others 64, then 96, 32…), and the report says which.
 */
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { readNpy } from '../formats/npy.ts';
import { loadModel } from '../ir/load.ts';
import type { SessionHost } from '../runtime/isolated.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { type InputSpec, isDynamic, randomFeeds } from '../verify/inputs.ts';
import { comparedIntegers, requiredInputs } from '../verify/model-inputs.ts';
import { findFeeds } from '../verify/trial.ts';

/** What the user says about the inputs of all models; `undefined` as a name means the only input. */
export interface GivenInputs {
  readonly files: readonly { readonly name: string | undefined; readonly path: string }[];
  readonly shapes: readonly { readonly name: string | undefined; readonly dims: readonly number[] }[];
}

export interface ChosenFeeds {
  readonly feeds: ReadonlyMap<string, Tensor>;
  /** Inputs whose dimensions nobody gave: they were searched. */
  readonly assumed: readonly string[];
}

interface Inputs {
  readonly specs: readonly InputSpec[];
  /** Integers that switch branches of the graph, by input. */
  readonly integers: ReadonlyMap<string, readonly bigint[]>;
}

/** A file in the runtime's own format cannot be decoded here: the session tells its inputs. */
const inputsOf = async (path: string, host: SessionHost, options: SessionOptions): Promise<Inputs> => {
  if (!path.endsWith('.ort')) {
    const model = loadModel(path);
    return { specs: requiredInputs(model), integers: comparedIntegers(model) };
  }
  const { inputs, close } = await host.open(path, options);
  await close();
  return { specs: inputs, integers: new Map() };
};

const inputFor = (specs: readonly InputSpec[], name: string | undefined): InputSpec | undefined =>
  name === undefined && specs.length === 1 ? specs[0] : specs.find((spec) => spec.name === name);

/** The entries that belong to inputs of this model, by input name. */
const ofModel = <T extends { readonly name: string | undefined }>(
  specs: readonly InputSpec[],
  given: readonly T[],
): Map<string, T> =>
  new Map(
    given.flatMap((one) => {
      const spec = inputFor(specs, one.name);
      return spec === undefined ? [] : [[spec.name, one] as const];
    }),
  );

const readInput = (path: string): Tensor => readNpy(new FileSource(path));

/**
 * Feeds for one model.
 * @param host where a model with unknown dimensions is tried.
 * @throws usage/input-shape, dtype/unsupported, file/*, numpy/invalid, model/*, runtime/*
 */
export const chooseFeeds = async (
  path: string,
  host: SessionHost,
  given: GivenInputs,
  options: { readonly seed: number; readonly session: SessionOptions },
): Promise<ChosenFeeds> => {
  const { seed, session: sessionOptions } = options;
  const { specs, integers } = await inputsOf(path, host, sessionOptions);
  const files = new Map([...ofModel(specs, given.files)].map(([name, { path }]) => [name, readInput(path)]));
  const shapes = new Map([...ofModel(specs, given.shapes)].map(([name, { dims }]) => [name, dims]));
  const open = specs.filter(({ name }) => !files.has(name));
  const assumed = open.filter((spec) => isDynamic(spec) && !shapes.has(spec.name)).map(({ name }) => name);
  if (assumed.length === 0 && integers.size === 0) {
    return { feeds: new Map([...randomFeeds(open, { seed, shapes }), ...files]), assumed };
  }
  const session = await host.open(path, sessionOptions);
  try {
    const run = (feeds: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> =>
      session.run(new Map([...feeds, ...files]));
    const { trials, refusal } = await findFeeds(open, run, { seed, shapes, integers });
    const found = trials[0];
    if (found !== undefined) return { feeds: new Map([...found.feeds, ...files]), assumed };
    throw new OrthoError('usage/input-shape', `${path}: it accepts none of the made-up inputs`, {
      hint: `give its dimensions with --shape NAME=…${refusal === undefined ? '' : `; it said: ${refusal.message}`}`,
      at: { file: path },
      cause: refusal,
    });
  } finally {
    await session.close();
  }
};

/** @throws usage/option for a file or shape that no model has an input for. */
export const checkGivenNames = (given: GivenInputs, models: readonly ReadonlyMap<string, Tensor>[]): void => {
  const names = new Set(models.flatMap((feeds) => [...feeds.keys()]));
  const everySingle = models.every((feeds) => feeds.size === 1);
  for (const { name } of [...given.files, ...given.shapes]) {
    if (name === undefined ? everySingle : names.has(name)) continue;
    throw new OrthoError(
      'usage/option',
      name === undefined
        ? 'an input without a name, but a model has several'
        : `no model has an input "${name}"`,
      { hint: `the inputs are ${[...names].join(', ')}` },
    );
  }
};
