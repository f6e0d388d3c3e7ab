/** What is known of one configuration, and how it is measured once more. */
import { OrthoError } from '../../core/errors.ts';
import type { Rng } from '../../core/rng.ts';
import type { SessionOptions } from '../../runtime/session.ts';
import { type Interval, quantile, type Verdict } from '../statistics.ts';
import { type Choices, sessionOptionsOf } from './configuration.ts';
import { type Clock, measureBlockPairs, type PairedBlocks } from './pairs.ts';
import type { ConfigurationParity, ParityReference } from './parity.ts';
import { openRig, type Rig, type RigPlan } from './rig.ts';

/** How far a configuration got: measured once, measured again among the better half, proven or not at the end. */
export type Stage = 'screened' | 'halved' | 'final';

/** What became of it: a verdict against the default, `dropped` on the way, outputs that differ, or a failure. */
export type Outcome = Verdict | 'dropped' | 'differs' | 'failed';

/** What a search works with. */
export interface TuneLab {
  readonly plan: RigPlan;
  readonly reference: ParityReference;
  readonly clock: Clock;
  readonly rng: Rng;
  /** Told of each step, with the time that the rest may take at most, in ms. */
  readonly onStep: (step: string) => void;
}

export interface Proof {
  readonly ratio: number;
  readonly ci95: Interval;
  readonly sessions: number;
  /** Medians over the sessions, in ms. */
  readonly defaultMs: number;
  readonly tunedMs: number;
  /** Faster than the default, beyond doubt also as one of several that were tried. */
  readonly isProven: boolean;
}

export interface Trial {
  readonly choices: Choices;
  readonly options: readonly SessionOptions[];
  stage: Stage;
  outcome: Outcome;
  parity: ConfigurationParity | null;
  /** Why it failed or differs. */
  message: string | undefined;
  /** Block costs next to those of the default, in ms, of all measurements before the proof. */
  readonly baseline: number[];
  readonly candidate: number[];
  /** What the last measurement took, loading included, in ms. */
  costMs: number;
  /** Of the proof: candidate / default over fresh sessions. */
  proof: Proof | undefined;
}

export const startTrial = (choices: Choices, models: number): Trial => ({
  choices,
  options: sessionOptionsOf(choices, models),
  stage: 'screened',
  outcome: 'dropped',
  parity: null,
  message: undefined,
  baseline: [],
  candidate: [],
  costMs: 0,
  proof: undefined,
});

/**
 * Candidate / default so far, of the lower quartiles: whatever disturbs a block makes it slower, and with a few blocks one
 * disturbance would decide. Infinite without a measurement.
 */
export const ratioOf = ({ baseline, candidate }: Trial): number =>
  candidate.length === 0 ? Infinity : quantile(candidate, 0.25) / quantile(baseline, 0.25);

/** One per cent for each choice: of two that are about equally fast the simpler one is better. */
const SIMPLICITY = 0.01;

/** A ratio with what a trial's choices add to it; the smallest wins. */
export const scoreOf = (trial: Trial, ratio = ratioOf(trial)): number =>
  ratio * (1 + SIMPLICITY * trial.choices.length);

/** Length of a block, in ms; slow models need longer for the fewest rounds. */
export const BLOCK_MS = 25;

/** A configuration whose fastest of several blocks is so much slower than the default's is not measured to the end. */
const HOPELESS = 1.4;

/** An error that a configuration is to blame for. */
export const isOwnFailure = (error: unknown): error is OrthoError =>
  error instanceof OrthoError && !error.code.startsWith('internal/') && !error.code.startsWith('usage/');

/** Marks a trial whose outputs are wrong. @returns whether they are right. */
export const checkTrial = async (lab: TuneLab, trial: Trial, rig: Rig): Promise<boolean> => {
  trial.parity = await lab.reference.check(rig);
  if (trial.parity.ok) return true;
  trial.outcome = 'differs';
  trial.proof = undefined;
  trial.message = trial.parity.message;
  return false;
};

/** A trial that was proven and then fails or differs is proven no more. */
export const failTrial = (trial: Trial, error: OrthoError): void => {
  trial.proof = undefined;
  trial.outcome = 'failed';
  trial.message = `${error.code}: ${error.message}`;
};

/**
 * Measures a configuration in a fresh process, in pairs of blocks with the default's rig.
 * @param pairs fewer when it is hopeless, or when the time is over.
 */
export const measureTrial = async (
  lab: TuneLab,
  trial: Trial,
  defaults: Rig,
  { pairs, endMs }: { readonly pairs: number; readonly endMs: number },
): Promise<void> => {
  const { plan, clock, rng } = lab;
  const began = clock.now();
  let rig: Rig | undefined;
  try {
    rig = await openRig(plan, trial.options);
    if (!(await checkTrial(lab, trial, rig))) return;
    await rig.block(BLOCK_MS);
    const isEnough = ({ baseline, candidate }: PairedBlocks): boolean =>
      clock.now() > endMs ||
      (candidate.length > 1 && Math.min(...candidate) > HOPELESS * Math.min(...baseline));
    const measured = await measureBlockPairs(defaults, rig, {
      pairs,
      blockMs: BLOCK_MS,
      rng,
      clock,
      isEnough,
    });
    trial.baseline.push(...measured.baseline);
    trial.candidate.push(...measured.candidate);
  } catch (error) {
    if (!isOwnFailure(error)) throw error;
    failTrial(trial, error);
  } finally {
    await rig?.close();
    trial.costMs = clock.now() - began;
  }
};
