/** The phases of a benchmark that measure latency: each model alone, then all in one process. */
import type { Sampled } from '../bench/blocks.ts';
import { contentionFinding, type Stage } from '../bench/contention.ts';
import { type Latency, measureAlone, measureTogether } from '../bench/measure.ts';
import type { BenchData } from '../report/schemas/bench.ts';
import type { SessionOptions } from '../runtime/session.ts';
import type { BenchBudget } from './bench-budget.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';

/** An interval wider than this share of the median is worth a note. */
const WIDE_INTERVAL = 0.1;

/** What is certain to be run of a model that was run once: batches of warming up, the fewest rounds, a rest. */
const LEAST_RUNS = 7;
const REST_MS = 100;

/** Who waits longer than this for a result is told of the first run. */
const TOLD_AT_ONCE_MS = 1500;

const noteLatency = (lab: BenchLab, target: BenchTarget, latency: Latency): void => {
  const { summary, warmUp, disturbed, drift } = latency;
  const at = { file: target.path };
  if (!warmUp.isSteady || summary.ci95[1] - summary.ci95[0] > WIDE_INTERVAL * summary.p50) {
    lab.findings.push({
      level: 'note',
      rule: 'unsteady-timing',
      message: warmUp.isSteady
        ? `${target.name}: the median is known only to within ${summary.ci95.map((ms) => ms.toFixed(3)).join(' to ')} ms`
        : `${target.name}: its times still changed after ${warmUp.runs} runs of warming up`,
      hint: 'a quiet machine and a longer --duration make it sharper',
      at,
    });
  }
  if (disturbed.samples > 0) {
    const share = `${disturbed.samples} of ${latency.samples.length} runs`;
    const median = `p50 of all runs ${latency.summaryAll.p50.toFixed(3)} ms`;
    lab.findings.push({
      level: 'note',
      rule: 'disturbed-samples',
      message: disturbed.isLeftOut
        ? `${target.name}: the machine was disturbed during ${share}; they are left out (${median})`
        : `${target.name}: the machine was disturbed during ${share}: too few are left without them, so all count`,
      at,
    });
  }
  if (drift.isTrend) {
    const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
    lab.findings.push({
      level: 'warning',
      rule: 'drift',
      message: `${target.name}: a run took ${percent(Math.abs(drift.share))} ${drift.share > 0 ? 'longer' : 'less'} at the end than at the beginning; a fixed piece of work beside it changed by ${percent(drift.calibrationShare)}`,
      hint: 'heat, power limits or other processes; compare models with --baseline, which takes turns',
      at,
    });
  }
};

/** One model in a fresh process. */
export const benchAlone = async (
  lab: BenchLab,
  budget: BenchBudget,
  target: BenchTarget,
  weight: number,
): Promise<Latency> => {
  const onBlock = (): void => budget.progress(`${target.name} alone`);
  onBlock();
  const ms = budget.take(weight);
  const latency = await measureAlone(lab.start, target, lab.session, ms, {
    onFirstRun: ({ loadMs, firstMs }) => {
      if (ms > TOLD_AT_ONCE_MS) {
        lab.io.say(
          `${target.name}: loaded in ${loadMs.toFixed(0)} ms, first run ${firstMs.toPrecision(3)} ms`,
        );
      }
      budget.needs(LEAST_RUNS * firstMs + REST_MS, `${target.name} is slow`);
    },
    onBlock,
  });
  const { summary } = latency;
  lab.io.say(`${target.name}: p50 ${summary.p50.toFixed(3)} ms alone, ${summary.n} runs`);
  noteLatency(lab, target, latency);
  return latency;
};

/** Starting a process, loading, the first round, warming up and the fewest rounds of all models in it. */
const leastTogetherMs = (lab: BenchLab, measured: readonly (readonly [BenchTarget, Latency])[]): number =>
  lab.startMs +
  measured.reduce(
    (sum, [, { loadMs, firstMs, summaryAll }]) => sum + loadMs + firstMs + LEAST_RUNS * summaryAll.mean,
    0,
  );

/**
 * All models in one process, in turn, and again with spinning stopped where it is on.
 * @param weight of each of those two.
 */
export const benchPipeline = async (
  lab: BenchLab,
  budget: BenchBudget,
  measured: readonly (readonly [BenchTarget, Latency])[],
  weight: number,
): Promise<BenchData['pipeline']> => {
  const targets = measured.map(([target]) => target);
  const isSpinning = lab.session.spinning === 'default';
  const onBlock = (): void => budget.progress('all together');
  onBlock();
  budget.needs(leastTogetherMs(lab, measured) * (isSpinning ? 2 : 1), 'running them together takes longer');
  const together = await measureTogether(lab.start, targets, lab.session, budget.take(weight), { onBlock });
  let stopped: readonly Sampled[] | undefined;
  if (isSpinning) {
    const session: SessionOptions = { ...lab.session, spinning: 'stop' };
    stopped = await lab.unlessInterrupted(() =>
      measureTogether(lab.start, targets, session, budget.take(weight), { onBlock }),
    );
  }
  const stages = measured.map(([{ name }, { summary }], i): Stage => {
    const togetherP50 = together[i]!.summary.p50;
    const togetherSpinStopP50 = stopped?.[i]?.summary.p50 ?? null;
    return {
      name,
      aloneP50: summary.p50,
      togetherP50,
      slowdown: togetherP50 / summary.p50,
      togetherSpinStopP50,
    };
  });
  const finding = contentionFinding(stages);
  if (finding !== undefined) lab.findings.push(finding);
  return { stages };
};
