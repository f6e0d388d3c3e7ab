/** The phases of a benchmark that load a model: several workers at once, and batches of several sizes. */
import { measureBatches } from '../bench/batches.ts';
import { isInterrupted } from '../bench/blocks.ts';
import { measureLoad, threadsPerWorker } from '../bench/throughput.ts';
import type { BatchSweepData, ThroughputData } from '../report/schemas/bench-load.ts';
import type { BenchBudget } from './bench-budget.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';

/** @param cores processors that may be used. */
export const benchThroughput = async (
  lab: BenchLab,
  budget: BenchBudget,
  target: BenchTarget,
  plan: { readonly workers: number; readonly cores: number; readonly weight: number },
): Promise<ThroughputData> => {
  const { workers, cores, weight } = plan;
  const threads = lab.session.threads ?? threadsPerWorker(workers, cores);
  const session = { ...lab.session, threads };
  budget.progress(`${target.name}: one worker`);
  const single = await measureLoad(lab.start, target, session, 1, budget.take(weight / 2));
  budget.progress(`${target.name}: ${workers} workers`);
  const load = await measureLoad(lab.start, target, session, workers, budget.take(weight / 2));
  if (workers * threads > cores) {
    lab.findings.push({
      level: 'note',
      rule: 'oversubscribed',
      message: `${target.name}: ${workers} workers of ${threads} threads share ${cores} processors`,
      hint: '--threads 1, and at most one worker a processor, is fastest on most machines',
      at: { file: target.path },
    });
  }
  return { name: target.name, threads, single, load, scaling: load.perSecond / single.perSecond };
};

export const benchBatches = async (
  lab: BenchLab,
  budget: BenchBudget,
  target: BenchTarget,
  plan: { readonly sizes: readonly number[]; readonly weight: number },
): Promise<BatchSweepData> => {
  const { name, path } = target;
  const onBlock = (): void => budget.progress(`${name}: batches of ${plan.sizes.join(', ')}`);
  onBlock();
  const sweep = await measureBatches(lab.start, target, lab.session, plan.sizes, budget.take(plan.weight), {
    onBlock,
  });
  if (sweep.refused !== null && !isInterrupted(sweep.refused.error)) {
    const { batch, error } = sweep.refused;
    lab.findings.push({
      level: 'error',
      rule: error.code,
      message: `${name}: a batch of ${batch} fails: ${error.message}`,
      at: { ...error.at, file: path },
    });
  }
  return {
    name,
    points: sweep.points.map(({ batch, summary, msPerItem }) => ({
      batch,
      summary: { ...summary, ci95: [...summary.ci95] },
      msPerItem,
    })),
  };
};
