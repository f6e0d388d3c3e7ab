/** The decisions of a comparison, made again and again on sessions that were recorded. */
import { answerOf, estimateOf, startLooks } from '../../src/bench/sequential.ts';
import type { Verdict } from '../../src/bench/statistics.ts';
import { createRng } from '../../src/core/rng.ts';

export interface Tally {
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly trials: number;
}

export const emptyCounts = (): Record<Verdict, number> => ({
  faster: 0,
  slower: 0,
  same: 0,
  inconclusive: 0,
});

export interface ReplayOptions {
  /** ln of candidate / baseline, one a session. */
  readonly logRatios: readonly number[];
  /** Sessions that fit into the budget. */
  readonly most: number;
  readonly margin: number;
  readonly trials: number;
  readonly seed: number;
}

/** Draws the sessions of each trial with replacement. */
export const replay = ({ logRatios, most, margin, trials, seed }: ReplayOptions): Tally => {
  const rng = createRng(seed);
  const counts = emptyCounts();
  for (let trial = 0; trial < trials; trial++) {
    const isAnswered = startLooks({ margin });
    const drawn: number[] = [];
    for (let isOver = false; !isOver; ) {
      drawn.push(logRatios[rng.integer(logRatios.length)]!);
      if (drawn.length < 3) continue;
      const isSpent = drawn.length >= most;
      isOver = isAnswered(() => estimateOf(drawn), drawn.length, drawn.length / most) || isSpent;
    }
    counts[answerOf(estimateOf(drawn), { margin }).verdict]++;
  }
  return { counts, trials };
};

/** The labels of two equal models mean nothing: each session counts the other way round as well. */
export const bothWays = (logRatios: readonly number[]): number[] => [
  ...logRatios,
  ...logRatios.map((logRatio) => -logRatio),
];
