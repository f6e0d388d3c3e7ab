/**
 * The fastest session options for these models on this machine: a search by successive halving, then a proof. What comes
 * out is the default unless another configuration gives the same outputs and is proven faster.
 */
import { OrthoError } from '../../core/errors.ts';
import { createRng } from '../../core/rng.ts';
import type { Tolerances } from '../../verify/tolerance.ts';
import { median } from '../statistics.ts';
import { searchByHalving } from './halving.ts';
import type { Clock } from './pairs.ts';
import { type ConfigurationParity, referenceOutputs } from './parity.ts';
import { LEAST_SESSIONS, proveFaster, sessionCost } from './proof.ts';
import { openRig, type RigPlan } from './rig.ts';
import { scoreOf, type Trial, type TuneLab } from './trial.ts';

export interface TuneOptions {
  /** Processors that configurations may use. */
  readonly cores: number;
  /** When everything must be over, on the clock, in ms. One measurement that has begun is finished. */
  readonly endMs: number;
  /** Differences within this share count as none. */
  readonly margin: number;
  readonly tolerances: Tolerances;
  readonly seed: number;
  readonly clock: Clock;
  readonly onStep: (step: string) => void;
}

export interface TuneResult {
  readonly trials: readonly Trial[];
  readonly untried: number;
  /** Proven faster than the default; undefined when the default stays. */
  readonly best: Trial | undefined;
  /** Of the default configuration, ms; null when nothing was measured beside it. */
  readonly defaultMs: number | null;
  /** Whether the default gives what the graph means. */
  readonly defaultParity: ConfigurationParity;
  /** Outputs that nothing can be said of, see `ParityReference`. */
  readonly random: readonly string[];
  readonly wasInterrupted: boolean;
}

/** Share of the time that the search takes; the proof gets the rest. */
const SEARCH_SHARE = 0.55;

const isInterruption = (error: unknown): boolean =>
  error instanceof OrthoError && error.code === 'internal/interrupted';

/** Gives each finalist its share of what is left; there are no more than can be given a proof. */
const proveFinalists = async (
  lab: TuneLab,
  finalists: readonly Trial[],
  { margin, endMs }: TuneOptions,
): Promise<void> => {
  const leftMs = endMs - lab.clock.now();
  const affordable = finalists.filter(
    (trial, i) => i === 0 || (i + 1) * LEAST_SESSIONS * sessionCost(trial) <= leftMs,
  );
  for (const [i, trial] of affordable.entries()) {
    const now = lab.clock.now();
    const share = (endMs - now) / (affordable.length - i);
    await proveFaster(lab, trial, { margin, candidates: affordable.length, endMs: now + share });
  }
};

/**
 * Searches. An interruption ends it early; what is proven until then counts.
 * @throws OrthoError when the default configuration cannot run, verify/nothing-compared, and internal/interrupted before
 *   anything was measured.
 */
export const tuneSessions = async (plan: RigPlan, options: TuneOptions): Promise<TuneResult> => {
  const { cores, endMs, tolerances, seed, clock, onStep } = options;
  onStep('reference outputs');
  const reference = await referenceOutputs(plan, tolerances);
  const lab: TuneLab = { plan, reference, clock, rng: createRng(seed), onStep };
  const trials: Trial[] = [];
  let untried = 0;
  let wasInterrupted = false;
  const rig = await openRig(plan, []);
  const defaultParity = await reference.check(rig).catch(async (error: unknown) => {
    await rig.close();
    throw error;
  });
  try {
    const began = clock.now();
    const search = { cores, endMs: began + SEARCH_SHARE * (endMs - began) };
    const found = await searchByHalving(lab, rig, search, trials).finally(() => rig.close());
    untried = found.untried;
    await proveFinalists(lab, found.finalists, options);
  } catch (error) {
    if (!isInterruption(error) || trials.length === 0) throw error;
    wasInterrupted = true;
  }
  const baseline = trials.flatMap((trial) => trial.baseline);
  return {
    trials,
    untried,
    best: trials
      .filter(({ proof }) => proof?.isProven === true)
      .toSorted((a, b) => scoreOf(a, a.proof!.ratio) - scoreOf(b, b.proof!.ratio))[0],
    defaultMs: baseline.length === 0 ? null : median(baseline),
    defaultParity,
    random: reference.random,
    wasInterrupted,
  };
};
