/**
 * Judges a quantised model against its float original on samples that the calibration did not see.
 *
 * The yardstick is the centred SQNR, 10·log₁₀(Σ(e − ē)² / Σ(a − e)²) with ē the mean of each output element over the
 * samples: an output that is nearly constant has a large plain SQNR whatever quantisation does to the little it says.
 * An output whose variation √(Σ(e − ē)² / Σe²) is below MIN_VARIATION says nothing, and cannot be judged.
 */

import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { toFloat32 } from '../core/tensor.ts';
import type { VerifyData } from '../report/schemas/verify.ts';
import type { Session } from '../runtime/session.ts';
import { startParity } from '../verify/parity.ts';
import type { Tolerances } from '../verify/tolerance.ts';
import type { SampleSet } from './samples.ts';

/** Relative variation over the samples below which an output cannot be judged. */
export const MIN_VARIATION = 1e-4;

export interface OutputQuality {
  readonly name: string;
  /** Metrics over all samples; null where not defined or infinite. */
  readonly metrics: Readonly<Record<string, number | null>>;
  /** Root of the share of the signal's energy that varies over the samples. */
  readonly variation: number;
  readonly isJudgeable: boolean;
}

export interface Evaluation {
  readonly parity: VerifyData;
  readonly outputs: readonly OutputQuality[];
}

/** Signal and its varying part, element by element over the samples (Welford 1962). */
class Variation {
  #mean: Float64Array | undefined;
  #samples = 0;
  #varying = 0;
  #energy = 0;

  add(values: Float32Array): void {
    this.#mean ??= new Float64Array(values.length);
    if (this.#mean.length !== values.length) return;
    this.#samples++;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      const fromOldMean = value - (this.#mean[i] as number);
      const mean = (this.#mean[i] as number) + fromOldMean / this.#samples;
      this.#mean[i] = mean;
      this.#varying += fromOldMean * (value - mean);
      this.#energy += value * value;
    }
  }

  value(): number {
    return this.#energy > 0 ? Math.sqrt(this.#varying / this.#energy) : 0;
  }
}

/** A quantised output passes element by element whatever its error: the SQNR over all samples is what is judged. */
const ANY_ERROR: Tolerances = { general: { atol: Number.MAX_VALUE, rtol: 0, ofMax: 0 } };

/**
 * Runs every sample through both sessions. Outputs that are not float are compared but not judged.
 * @throws OrthoError verify/nothing-compared for a model without float outputs
 */
export const evaluate = async (
  reference: Session,
  candidate: Session,
  samples: SampleSet,
  options: {
    readonly reference: string;
    readonly candidate: string;
    /** The level the candidate runs at. */
    readonly level: string;
    onSample?(done: number): void;
  },
): Promise<Evaluation> => {
  const parity = startParity(options.reference, options.candidate, { tolerances: ANY_ERROR });
  const variations = new Map<string, Variation>();
  for (let i = 0; i < samples.count; i++) {
    const feeds = await samples.load(i);
    const expected = await reference.run(feeds);
    parity.compare(options.level, `sample-${i}`, expected, await candidate.run(feeds));
    for (const [name, tensor] of expected) {
      if (dtypeInfo(tensor.dtype).kind !== 'float') continue;
      const variation = variations.get(name) ?? new Variation();
      variation.add(toFloat32(tensor));
      variations.set(name, variation);
    }
    options.onSample?.(i + 1);
  }
  if (variations.size === 0) {
    throw new OrthoError('verify/nothing-compared', 'the model has no float output that could be judged');
  }
  const data = parity.finish();
  const outputs = [...variations].map(([name, accumulated]): OutputQuality => {
    const variation = accumulated.value();
    const { metrics = {} } = data.outputs.find((output) => output.name === name) ?? {};
    return { name, metrics, variation, isJudgeable: variation >= MIN_VARIATION };
  });
  return { parity: data, outputs };
};

/** The lowest centred SQNR in dB over the outputs that can be judged; Infinity where all are exact. */
export const lowestQuality = ({ outputs }: Evaluation): number =>
  Math.min(
    ...outputs
      .filter(({ isJudgeable }) => isJudgeable)
      .map(({ metrics }) => metrics.centredSqnrDb ?? (metrics.maxAbs === 0 ? Infinity : -Infinity)),
  );
