/**
 * Do models that live in one process slow each other down, and is it because idle threads spin?
 *
 * slowdown = p50 together / p50 alone. The factor of all is the ratio of the sums: what the pipeline as a whole loses.
 * Spinning is the cause when stopping it takes away at least half of the loss.
 */
import type { Finding } from '../core/report.ts';

export interface Stage {
  readonly name: string;
  readonly aloneP50: number;
  /** In one process with the others, spinning as asked for. */
  readonly togetherP50: number;
  readonly slowdown: number;
  /** The same with spinning stopped between runs; null when not measured. */
  readonly togetherSpinStopP50: number | null;
}

/** A loss below this share is not worth a word. */
const WORTH_A_WORD = 0.25;

const sumOf = (stages: readonly Stage[], time: (stage: Stage) => number): number =>
  stages.reduce((sum, stage) => sum + time(stage), 0);

/** What to say about these stages: nothing, or one finding. */
export const contentionFinding = (stages: readonly Stage[]): Finding | undefined => {
  const alone = sumOf(stages, ({ aloneP50 }) => aloneP50);
  const factor = sumOf(stages, ({ togetherP50 }) => togetherP50) / alone;
  if (!(factor >= 1 + WORTH_A_WORD)) return undefined;
  const slower = `together the models take ×${factor.toFixed(2)} of their time alone`;
  const stopped = stages.every(({ togetherSpinStopP50 }) => togetherSpinStopP50 !== null)
    ? sumOf(stages, ({ togetherSpinStopP50 }) => togetherSpinStopP50 ?? 0) / alone
    : undefined;
  if (stopped !== undefined && stopped <= 1 + (factor - 1) / 2) {
    return {
      level: 'warning',
      rule: 'spinning-contention',
      message: `${slower}, with spinning stopped ×${stopped.toFixed(2)}: idle threads of one session spin while another runs`,
      hint: 'set the session configuration entry session.force_spinning_stop=1 in every session of the process',
    };
  }
  return {
    level: 'note',
    rule: 'contention',
    message:
      stopped === undefined
        ? slower
        : `${slower}, and ×${stopped.toFixed(2)} with spinning stopped: spinning is not the main cause`,
    hint: 'models share caches and memory; fewer threads each, or smaller models, may help',
  };
};
