/** The phases of a benchmark that measure latency: each model alone, then all in one process. */
import { contentionFinding, type Stage } from '../bench/contention.ts';
import { type Latency, measureAlone, measureTogether } from '../bench/measure.ts';
import type { BenchData } from '../report/schemas/bench.ts';
import type { SessionOptions } from '../runtime/session.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';

/** An interval wider than this share of the median is worth a note. */
const WIDE_INTERVAL = 0.1;

/** One model in a fresh process. @param budgetMs see `measureAlone`. */
export const benchAlone = async (lab: BenchLab, target: BenchTarget, budgetMs: number): Promise<Latency> => {
  lab.io.progress(`${target.name} alone`);
  const latency = await measureAlone(lab.start, target, lab.session, budgetMs);
  const { summary, warmUp } = latency;
  lab.io.log(`${target.name}: p50 ${summary.p50.toFixed(3)} ms alone, ${summary.n} runs`);
  if (!warmUp.isSteady || summary.ci95[1] - summary.ci95[0] > WIDE_INTERVAL * summary.p50) {
    lab.findings.push({
      level: 'note',
      rule: 'unsteady-timing',
      message: warmUp.isSteady
        ? `${target.name}: the median is known only to within ${summary.ci95.map((ms) => ms.toFixed(3)).join(' to ')} ms`
        : `${target.name}: its times still changed after ${warmUp.runs} runs of warming up`,
      hint: 'a quiet machine and a longer --duration make it sharper',
      at: { file: target.path },
    });
  }
  return latency;
};

/**
 * All models in one process, in turn, and again with spinning stopped where it is on.
 * @param takeMs the time for the next of those two.
 */
export const benchPipeline = async (
  lab: BenchLab,
  measured: readonly (readonly [BenchTarget, Latency])[],
  takeMs: () => number,
): Promise<BenchData['pipeline']> => {
  const targets = measured.map(([target]) => target);
  lab.io.progress('all together');
  const together = await measureTogether(lab.start, targets, lab.session, takeMs());
  let stopped: readonly { readonly p50: number }[] | undefined;
  if (lab.session.spinning === 'default') {
    lab.io.progress('all together, spinning stopped');
    const session: SessionOptions = { ...lab.session, spinning: 'stop' };
    stopped = await measureTogether(lab.start, targets, session, takeMs());
  }
  const stages = measured.map(([{ name }, { summary }], i): Stage => {
    const togetherP50 = together[i]!.p50;
    const togetherSpinStopP50 = stopped?.[i]?.p50 ?? null;
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
