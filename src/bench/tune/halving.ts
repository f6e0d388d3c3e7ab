/**
 * Successive halving (Karnin, Koren & Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013; Jamieson &
 * Talwalkar, AISTATS 2016): every configuration is measured a little, the better half again and with twice the samples,
 * and so on. After each round the best are also joined with each other (what helps on one axis mostly helps together with
 * what helps on another, and the product of all axes is too large to try), and the very best is tried without each of its
 * choices.
 *
 * Each measurement is relative to the default configuration, whose processes live through the whole search: machines drift
 * by more than most options make.
 */
import { describeChoices, joinChoices, keyOf } from './configuration.ts';
import { warmUpRig } from './pairs.ts';
import type { Rig } from './rig.ts';
import { distinct, poolOf } from './space.ts';
import { BLOCK_MS, measureTrial, ratioOf, scoreOf, startTrial, type Trial, type TuneLab } from './trial.ts';

/** Configurations that go on to the proof at most. */
export const MOST_FINALISTS = 3;

const FIRST_PAIRS = 3;
/** Share of the time of the search that the first round may take. */
const FIRST_ROUND_SHARE = 0.4;
/** Joined: each of the best with each of the next best. */
const BEST = 3;
const NEXT_BEST = 6;
const MOST_JOINED = 10;
/** Below this ratio a configuration is worth joining: it is faster by more than what chance mostly gives. */
const HELPED = 0.98;
/** Finalists that are this much slower than the best one have no chance. */
const WITHIN = 1.05;
const WARM_UP_BLOCKS = 8;
const WARM_UP_SHARE = 0.1;

const isUsable = ({ outcome, candidate }: Trial): boolean => outcome === 'dropped' && candidate.length > 0;

const ranked = (trials: readonly Trial[]): Trial[] =>
  trials.filter(isUsable).toSorted((a, b) => scoreOf(a) - scoreOf(b));

/** Joins of the best with each other, and of the best with everything that helped. */
const joinBest = (trials: readonly Trial[], models: number): Trial[] => {
  const good = ranked(trials).filter((trial) => ratioOf(trial) < HELPED);
  const [first] = good;
  if (first === undefined) return [];
  const all = joinChoices(...good.toReversed().map(({ choices }) => choices));
  const joined = good
    .slice(0, BEST)
    .flatMap((a) => good.slice(0, NEXT_BEST).map((b) => joinChoices(b.choices, a.choices)));
  const known = trials.map(({ options }) => keyOf(options));
  return distinct([all, ...joined], models, known)
    .slice(0, MOST_JOINED)
    .map((choices) => startTrial(choices, models));
};

/** The best one without each of its choices: what came along by chance does not stay. */
const simplify = (trials: readonly Trial[], models: number): Trial[] => {
  const { choices } = ranked(trials)[0] ?? { choices: [] };
  if (choices.length < 2) return [];
  const known = trials.map(({ options }) => keyOf(options));
  const simpler = choices.map((left) => choices.filter((choice) => choice !== left));
  return distinct(simpler, models, known).map((fewer) => startTrial(fewer, models));
};

export interface SearchResult {
  /** Everything that was measured, or that failed. */
  readonly trials: readonly Trial[];
  /** Configurations for which there was no time. */
  readonly untried: number;
  /** The best few that seem faster than the default, best first. */
  readonly finalists: readonly Trial[];
}

/**
 * @param defaults the default configuration, which lives through the search.
 * @param cores processors that configurations may use.
 * @param endMs when the search must be over, on the clock of the lab.
 * @param trials filled while it goes on, so that they are there when it is interrupted.
 * @throws OrthoError when the default configuration cannot run, and internal/interrupted.
 */
export const searchByHalving = async (
  lab: TuneLab,
  defaults: Rig,
  { cores, endMs }: { readonly cores: number; readonly endMs: number },
  trials: Trial[],
): Promise<SearchResult> => {
  const { plan, clock } = lab;
  const models = plan.targets.length;
  const skipped = new Set<string>();

  /** Measures what there is time for; the rest keeps what is known of it. */
  const round = async (group: readonly Trial[], pairs: number, end: number): Promise<void> => {
    let costMs = 0;
    for (const [i, trial] of group.entries()) {
      if (clock.now() + costMs > end) {
        for (const { options } of group.slice(i)) skipped.add(keyOf(options));
        return;
      }
      lab.onStep(`${describeChoices(trial.choices)} (${i + 1} of ${group.length}, ${pairs} pairs)`);
      if (trial.candidate.length === 0) trials.push(trial);
      await measureTrial(lab, trial, defaults, { pairs, endMs });
      costMs = Math.max(costMs * 0.5, trial.costMs);
    }
  };

  const began = clock.now();
  const mostMs = WARM_UP_SHARE * (endMs - began);
  await warmUpRig(defaults, { blockMs: BLOCK_MS, mostBlocks: WARM_UP_BLOCKS, mostMs, clock });
  const pool = poolOf({ models, cores }).map((choices) => startTrial(choices, models));
  await round(pool, FIRST_PAIRS, began + FIRST_ROUND_SHARE * (endMs - began));
  let added = joinBest(trials, models);
  let group = ranked(trials);
  for (let pairs = 2 * FIRST_PAIRS; clock.now() < endMs; pairs *= 2) {
    const half = group.slice(0, Math.max(MOST_FINALISTS, Math.ceil(group.length / 2)));
    for (const trial of half) trial.stage = 'halved';
    await round([...added, ...half], pairs, endMs);
    const isLast = half.length === group.length && added.length === 0;
    group = ranked([...added, ...half]);
    if (isLast) break;
    added = [...simplify(trials, models), ...joinBest(trials, models)];
  }
  const best = ranked(trials).filter((trial) => ratioOf(trial) < 1);
  const finalists = best
    .filter((trial) => scoreOf(trial) <= WITHIN * scoreOf(best[0]!))
    .slice(0, MOST_FINALISTS);
  for (const { options } of trials) skipped.delete(keyOf(options));
  return { trials, untried: skipped.size, finalists };
};
