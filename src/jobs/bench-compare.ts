/** The phase of a benchmark that compares: each model against the baseline. */
import { compareModels } from '../bench/compare.ts';
import type { ComparisonData } from '../report/schemas/bench.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';

export interface ComparePlan {
  /** Differences within this share count as none. */
  readonly margin: number;
  readonly budgetMs: number;
}

/** @throws OrthoError of the runtime. */
export const compareWithBaseline = async (
  lab: BenchLab,
  baseline: BenchTarget,
  candidate: BenchTarget,
  plan: ComparePlan,
): Promise<ComparisonData> => {
  const { session, seed } = lab;
  lab.io.progress(`${candidate.name} against ${baseline.name}`);
  const result = await compareModels(lab.start, baseline, candidate, { ...plan, session, seed });
  if (result.verdict === 'slower') {
    lab.findings.push({
      level: 'warning',
      rule: 'slower-than-baseline',
      message: `${candidate.name} takes ×${result.ratio.toFixed(3)} of the time of ${baseline.name} (95 % interval ${result.ci95.map((bound) => bound.toFixed(3)).join(' to ')})`,
      at: { file: candidate.path },
    });
  }
  return { baseline: baseline.name, candidate: candidate.name, ...result, ci95: [...result.ci95] };
};
