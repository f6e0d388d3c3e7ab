/**
 * Is a configuration really faster than the default? Pairs of blocks over fresh processes for both, until the answer is
 * clear or the time is spent: the rule and the intervals of a benchmark (sequential.ts). What the search measured does not
 * count, because the best of many measurements looks better than it is; and as several configurations get their chance,
 * each must also hold at the confidence that keeps all of them together at 95 % (Bonferroni).
 */
import { answerOf, type Estimate, estimateOf, intervalOf, startLooks } from '../sequential.ts';
import { median, ratioOfPairs } from '../statistics.ts';
import { describeChoices } from './configuration.ts';
import { measureBlockPairs, type PairedBlocks, warmUpRig } from './pairs.ts';
import { openRig, type Rig } from './rig.ts';
import { BLOCK_MS, checkTrial, failTrial, isOwnFailure, type Trial, type TuneLab } from './trial.ts';

export interface ProofOptions {
  /** Differences within this share count as none. */
  readonly margin: number;
  /** Configurations that are tried like this one. */
  readonly candidates: number;
  /** When it must be over, on the clock of the lab. */
  readonly endMs: number;
}

/** Fewer say too little of how sessions differ. */
export const LEAST_SESSIONS = 3;
/** A session is about this share of the time. */
const OF_BUDGET = 1 / 6;
const LEAST_PAIRS = 2;
const MOST_PAIRS = 40;
const WARM_UP_BLOCKS = 4;
const WARM_UP_SHARE = 0.1;
const ALPHA = 0.05;

/** One fresh session of both; undefined when the outputs are wrong. */
const proofSession = async (
  lab: TuneLab,
  trial: Trial,
  lengthMs: number,
): Promise<PairedBlocks | undefined> => {
  const { plan, clock, rng } = lab;
  const began = clock.now();
  const rigs: Rig[] = [];
  try {
    // Which of the two is loaded first decides where its weights lie.
    const isCandidateFirst = rng.integer(2) === 0;
    const open = async (options: Trial['options']): Promise<Rig> => {
      const rig = await openRig(plan, options);
      rigs.push(rig);
      return rig;
    };
    const first = await open(isCandidateFirst ? trial.options : []);
    const second = await open(isCandidateFirst ? [] : trial.options);
    const [candidate, defaults] = isCandidateFirst ? [first, second] : [second, first];
    if (!(await checkTrial(lab, trial, candidate))) return undefined;
    const mostMs = WARM_UP_SHARE * lengthMs;
    for (const rig of rigs) {
      await warmUpRig(rig, { blockMs: BLOCK_MS, mostBlocks: WARM_UP_BLOCKS, mostMs, clock });
    }
    return await measureBlockPairs(defaults, candidate, {
      pairs: MOST_PAIRS,
      blockMs: BLOCK_MS,
      rng,
      clock,
      isEnough: ({ baseline }) => baseline.length >= LEAST_PAIRS && clock.now() - began >= lengthMs,
    });
  } finally {
    await Promise.all(rigs.map((rig) => rig.close()));
  }
};

/** What the sessions so far say. A user who stops the search here gets this as well. */
const conclude = (
  trial: Trial,
  sessions: readonly PairedBlocks[],
  estimate: Estimate,
  { margin, candidates }: ProofOptions,
): void => {
  const { ratio, ci95, verdict } = answerOf(estimate, { margin });
  const isClear = intervalOf(estimate, 1 - ALPHA / candidates)[1] < 1;
  trial.proof = {
    ratio,
    ci95,
    sessions: sessions.length,
    defaultMs: median(sessions.flatMap(({ baseline }) => baseline)),
    tunedMs: median(sessions.flatMap(({ candidate }) => candidate)),
    isProven: verdict === 'faster' && isClear,
  };
  trial.outcome = verdict === 'faster' && !isClear ? 'inconclusive' : verdict;
  trial.message =
    verdict === 'faster' && !isClear
      ? `faster by itself, not clearly enough as one of ${candidates}`
      : undefined;
};

/** What a session of the proof may take, in ms: both sides are loaded. */
export const sessionCost = ({ costMs }: Trial): number => 1.5 * costMs;

/** Measures fresh sessions until the answer is clear or the time is spent; sets outcome and proof of the trial. */
export const proveFaster = async (lab: TuneLab, trial: Trial, options: ProofOptions): Promise<void> => {
  const { clock } = lab;
  const { margin, endMs } = options;
  const began = clock.now();
  const budgetMs = endMs - began;
  const isAnswered = startLooks({ margin });
  const sessions: PairedBlocks[] = [];
  let costMs = sessionCost(trial);
  while (clock.now() + costMs <= endMs) {
    trial.stage = 'final';
    trial.outcome = sessions.length === 0 ? 'inconclusive' : trial.outcome;
    lab.onStep(`proof of ${describeChoices(trial.choices)}, session ${sessions.length + 1}`);
    const sessionBegan = clock.now();
    try {
      const session = await proofSession(lab, trial, budgetMs * OF_BUDGET);
      if (session === undefined) return;
      sessions.push(session);
    } catch (error) {
      if (!isOwnFailure(error)) throw error;
      failTrial(trial, error);
      return;
    }
    const now = clock.now();
    costMs = now - sessionBegan;
    if (sessions.length < LEAST_SESSIONS) continue;
    const estimate = estimateOf(sessions.map((session) => Math.log(ratioOfPairs(session))));
    conclude(trial, sessions, estimate, options);
    if (isAnswered(() => estimate, sessions.length, (now - began) / budgetMs)) return;
  }
};
