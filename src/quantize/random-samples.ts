/** Samples made up for a scheme that does not calibrate, when the user has none. */
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import type { Model } from '../ir/model.ts';
import type { Session } from '../runtime/session.ts';
import { comparedIntegers, requiredInputs, shapeIntegers } from '../verify/model-inputs.ts';
import { findFeeds, type Trial } from '../verify/trial.ts';
import type { SampleSet } from './samples.ts';

const RANDOM_SAMPLES = 8;

const dimsOf = (tensors: ReadonlyMap<string, Tensor>): Map<string, readonly number[]> =>
  new Map([...tensors].map(([name, { dims }]) => [name, dims]));

/**
 * Random feeds of one shape that the model accepts, found by trying where dimensions are unknown.
 * @param shapes dimensions by input that the user gave
 * @throws usage/input-shape when the model accepts nothing that was tried
 */
export const randomSamples = async (
  model: Model,
  session: Session,
  { seed, shapes }: { readonly seed: number; readonly shapes: ReadonlyMap<string, readonly number[]> },
): Promise<SampleSet> => {
  const specs = requiredInputs(model);
  const integers = comparedIntegers(model);
  const sizes = shapeIntegers(model);
  const { trials, refusal } = await findFeeds(specs, (feeds) => session.run(feeds), {
    seed,
    shapes,
    integers,
    sizes,
  });
  const [first] = trials;
  if (first === undefined) {
    throw new OrthoError('usage/input-shape', 'the model accepts none of the made-up inputs', {
      hint: 'give samples (--evaluate PATH), or the dimensions of its inputs (--shape NAME=…)',
      cause: refusal,
    });
  }
  const feedShapes = dimsOf(first.feeds);
  // What is judged over the samples needs outputs of one size.
  const answer = JSON.stringify([...dimsOf(first.expected)]);
  const isAlike = ({ expected }: Trial): boolean => JSON.stringify([...dimsOf(expected)]) === answer;
  const feeds: Trial['feeds'][] = [];
  for (let round = 0; round < RANDOM_SAMPLES && feeds.length < RANDOM_SAMPLES; round++) {
    const found = await findFeeds(specs, (one) => session.run(one), {
      seed: seed + feeds.length,
      shapes: feedShapes,
      integers,
    });
    feeds.push(...found.trials.filter(isAlike).map((trial) => trial.feeds));
  }
  const samples = feeds.slice(0, RANDOM_SAMPLES);
  return {
    count: samples.length,
    origin: `${samples.length} random inputs`,
    load: async (index) => samples[index] as Trial['feeds'],
  };
};
