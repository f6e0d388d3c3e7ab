/**
 * Is the candidate faster than the baseline? Fresh sessions of interleaved pairs until the answer is clear or the time
 * is spent; see pair-sessions.ts for how they are measured and sequential.ts for when it stops.
 */
import { isInterrupted } from './blocks.ts';
import type { StartHost, Target } from './measure.ts';
import { measurePairs, type PairOptions, type SessionPair } from './pair-sessions.ts';
import {
  type Answer,
  answerOf,
  differenceOf,
  type Estimate,
  estimateOf,
  type Question,
  startLooks,
} from './sequential.ts';

export interface CompareOptions extends PairOptions, Question {}

/** Candidate / baseline: a ratio above 1 says that the candidate is slower. */
export interface Comparison extends Answer {
  readonly sessions: number;
  readonly pairs: number;
  /** The ratio that each fresh session found. */
  readonly sessionRatios: readonly number[];
}

/** What was measured until the user interrupted: at a moment that no rule chose, so it decides nothing. */
const undecided = ({ regression, ...answer }: Answer): Answer => ({
  ...answer,
  verdict: 'inconclusive',
  regression: regression && 'inconclusive',
});

/**
 * Measures pairs until `question` is answered.
 * @param estimateFrom the log ratio that the question is about, from those of the sessions.
 */
const compareBy = async (
  start: StartHost,
  pair: readonly [baseline: Target, candidate: Target],
  options: CompareOptions,
  estimateFrom: (logRatios: readonly number[]) => Estimate,
): Promise<Comparison> => {
  const estimate = (sessions: readonly SessionPair[]): Estimate =>
    estimateFrom(sessions.map(({ logRatio }) => logRatio));
  const isAnswered = startLooks(options);
  let measured: readonly SessionPair[] = [];
  let isComplete = true;
  try {
    await measurePairs(start, ...pair, options, (sessions, share) => {
      measured = sessions;
      return isAnswered(() => estimate(sessions), sessions.length, share);
    });
  } catch (error) {
    if (!isInterrupted(error) || measured.length === 0) throw error;
    isComplete = false;
  }
  const answer = answerOf(estimate(measured), options);
  return {
    ...(isComplete ? answer : undecided(answer)),
    sessions: measured.length,
    pairs: measured.reduce((sum, { pairs }) => sum + pairs, 0),
    sessionRatios: measured.map(({ logRatio }) => Math.exp(logRatio)),
  };
};

/** Compares two models that are fed alike. @throws OrthoError of the runtime. */
export const compareModels = (
  start: StartHost,
  baseline: Target,
  candidate: Target,
  options: CompareOptions,
): Promise<Comparison> => compareBy(start, [baseline, candidate], options, estimateOf);

/**
 * Compares a model with one that was measured at another time: both in pairs with the same yardstick.
 * @param stored the ratios baseline / yardstick of its sessions; two or more.
 * @returns a comparison whose `sessionRatios` are candidate / baseline, with the stored mean as the baseline.
 * @throws OrthoError of the runtime.
 */
export const compareWithStored = async (
  start: StartHost,
  yardstick: Target,
  stored: readonly number[],
  candidate: Target,
  options: CompareOptions,
): Promise<Comparison> => {
  const before = estimateOf(stored.map(Math.log));
  const result = await compareBy(start, [yardstick, candidate], options, (logRatios) =>
    differenceOf(estimateOf(logRatios), before),
  );
  const scale = Math.exp(before.mean);
  return { ...result, sessionRatios: result.sessionRatios.map((ratio) => ratio / scale) };
};
