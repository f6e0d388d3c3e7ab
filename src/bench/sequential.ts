/**
 * When to stop comparing, and what to say: a group-sequential rule on the log ratios of fresh sessions.
 *
 * Each session gives one log ratio; their (trimmed) mean has Student's t interval, m ± t(confidence, h − 1)·s, whose
 * standard error s holds both what differs between sessions and what varies within them. Looking again and again at a
 * plain 95 % interval and stopping at the first clear answer would find differences that are none. So there are few looks,
 * at fixed shares of the budget, and together they may err with probability α: α(t) = α·t³ is spent up to the share t (Lan
 * & DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983; the power family of Kim & DeMets,
 * 1987), each look with what it adds, so that by the union bound the intervals of all looks cover at once. Early looks
 * stop only at differences that are very clear. The interval reported has the confidence of the last look. With α = 4.25 %
 * it covers the true ratio in 93 to 97 % of simulated comparisons: trimming, and stopping where it looks clear, take a
 * part of what is nominal.
 *
 * A difference counts from half the margin on, so equal models are called different with probability P(|T| > t + margin/2s)
 * only. Where s is so large beside the margin that this is no protection, nothing but α keeps equal models equal: there α
 * is 1 %.
 */
import { type Interval, mean, type Verdict, verdictOf } from './statistics.ts';
import { centralProbability, tQuantile } from './student.ts';

/** A log ratio with what is known of its error. */
export interface Estimate {
  readonly mean: number;
  readonly standardError: number;
  readonly degrees: number;
}

/** What all looks together may err, on a quiet and on a noisy machine. */
const ALPHA = 0.0425;
const NOISY_ALPHA = 0.01;
const SPENDING_POWER = 3;

/** Equal models that are called different, as a share: above it the machine is noisy. */
const MOST_FALSE = 0.005;
/** With fewer degrees of freedom the standard error itself may be small by chance. */
const TRUSTED_DEGREES = 3;

/** Looks, as shares of the budget; the last one ends the comparison. */
const LOOKS = [0.25, 0.5, 1] as const;

/** Fewer sessions than this say too little of their spread for an early look. */
const LEAST_FOR_EARLY_LOOK = 5;

/** The part of α that a look may spend. */
const partAt = (look: number): number =>
  LOOKS[look]! ** SPENDING_POWER - (LOOKS[look - 1] ?? 0) ** SPENDING_POWER;

const LAST_LOOK = LOOKS.length - 1;

/** Of so many sessions one at either end is trimmed. */
const TRIMMED_OF = 9;

const sumOfSquares = (values: readonly number[], centre: number): number =>
  values.reduce((sum, value) => sum + (value - centre) ** 2, 0);

/**
 * Of the log ratios of two or more sessions: their trimmed mean. Of k sessions the g = ⌊k / 9⌋ lowest and highest are left
 * out, because now and then the machine spoils a whole session. With h = k − 2g and SSD_w, the sum of squares when those
 * left out take the value of the nearest one kept, the standard error is √(SSD_w / (h(h − 1))), with h − 1 degrees of
 * freedom (Tukey & McLaughlin, "Less vulnerable confidence and significance procedures for location based on a single
 * sample", Sankhyā A 25, 1963). Below nine sessions it is the mean with Student's interval.
 */
export const estimateOf = (
  logRatios: readonly number[],
  trimmed = Math.floor(logRatios.length / TRIMMED_OF),
): Estimate => {
  const ascending = logRatios.toSorted((a, b) => a - b);
  const kept = ascending.slice(trimmed, ascending.length - trimmed);
  const [low, high] = [kept[0]!, kept.at(-1)!];
  const winsorized = ascending.map((value) => Math.min(high, Math.max(low, value)));
  const squares = sumOfSquares(winsorized, mean(winsorized));
  const h = kept.length;
  return {
    mean: mean(kept),
    standardError: Math.sqrt(squares / h / (h - 1)),
    degrees: h - 1,
  };
};

/**
 * Of the difference of two independent means (Welch, "The generalization of Student's problem when several different
 * population variances are involved", Biometrika 34, 1947), with the degrees of freedom rounded down.
 */
export const differenceOf = (minuend: Estimate, subtrahend: Estimate): Estimate => {
  const [a, b] = [minuend.standardError ** 2, subtrahend.standardError ** 2];
  const degrees = (a + b) ** 2 / (a ** 2 / minuend.degrees + b ** 2 / subtrahend.degrees);
  return {
    mean: minuend.mean - subtrahend.mean,
    standardError: Math.sqrt(a + b),
    // Without any spread, 0 / 0.
    degrees: Math.max(1, Math.floor(Number.isNaN(degrees) ? minuend.degrees + subtrahend.degrees : degrees)),
  };
};

/** The ratio's interval. */
export const intervalOf = (
  { mean: centre, standardError, degrees }: Estimate,
  confidence: number,
): Interval => {
  const half = tQuantile(confidence, degrees) * standardError;
  return [Math.exp(centre - half), Math.exp(centre + half)];
};

/** What is asked of a comparison. */
export interface Question {
  /** Differences within this share count as none, e.g. 0.03. */
  readonly margin: number;
  /** The regression that must be proven or excluded, e.g. 0.05; undefined when nobody asks. */
  readonly maxRegression?: number | undefined;
}

/** Whether the candidate is slower by more than what was allowed. */
export type Regression = 'proven' | 'excluded' | 'inconclusive';

/** Proven when the whole interval lies above 1 + `most`, excluded when none of it does. */
export const regressionOf = ([low, high]: Interval, most: number): Regression => {
  if (low > 1 + most) return 'proven';
  return high <= 1 + most ? 'excluded' : 'inconclusive';
};

export interface Answer {
  readonly ratio: number;
  readonly ci95: Interval;
  readonly verdict: Verdict;
  /** Undefined when nobody asked. */
  readonly regression: Regression | undefined;
}

const isNoisy = (look: number, { standardError, degrees }: Estimate, margin: number): boolean => {
  const t = tQuantile(1 - ALPHA * partAt(look), degrees) + margin / 2 / standardError;
  return degrees < TRUSTED_DEGREES || 1 - centralProbability(t, degrees) > MOST_FALSE;
};

const answerAt = (look: number, estimate: Estimate, { margin, maxRegression }: Question): Answer => {
  const alpha = isNoisy(look, estimate, margin) ? NOISY_ALPHA : ALPHA;
  const ci95 = intervalOf(estimate, 1 - alpha * partAt(look));
  return {
    ratio: Math.exp(estimate.mean),
    ci95,
    verdict: verdictOf(ci95, margin),
    regression: maxRegression === undefined ? undefined : regressionOf(ci95, maxRegression),
  };
};

/** What is reported: the interval has a confidence of 96.3 %, or 99.1 % where sessions are few or differ much. */
export const answerOf = (estimate: Estimate, question: Question): Answer =>
  answerAt(LAST_LOOK, estimate, question);

const isClear = ({ verdict, regression }: Answer): boolean =>
  verdict !== 'inconclusive' && regression !== 'inconclusive';

/**
 * Decides after each session whether to go on. One for each comparison: it counts the looks.
 * `share` is the part of the budget that is spent; a look falls on the first session that ends beyond it.
 */
export const startLooks = (
  question: Question,
): ((estimate: () => Estimate, sessions: number, share: number) => boolean) => {
  let next = 0;
  return (estimate, sessions, share) => {
    let due: number | undefined;
    while (next < LAST_LOOK && share >= LOOKS[next]!) due = next++;
    if (due === undefined || sessions < LEAST_FOR_EARLY_LOOK) return false;
    const strict = answerAt(due, estimate(), question);
    if (!isClear(strict)) return false;
    const reported = answerOf(estimate(), question);
    return reported.verdict === strict.verdict && reported.regression === strict.regression;
  };
};
