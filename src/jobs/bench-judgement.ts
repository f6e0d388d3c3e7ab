/** What a comparison means for the one who asked: findings, by what is allowed of a regression. */
import type { Comparison } from '../bench/compare.ts';
import type { Question } from '../bench/sequential.ts';
import type { ComparisonData } from '../report/schemas/bench.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';

export interface ComparePlan extends Question {
  /** What becomes of a regression that is neither proven nor excluded. */
  readonly onInconclusive: 'fail' | 'pass';
}

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;

const describeRatio = ({ ratio, ci95 }: Comparison, baseline: string): string =>
  `×${ratio.toFixed(3)} of the time of ${baseline} (95 % interval ${ci95.map((bound) => bound.toFixed(3)).join(' to ')})`;

/** The comparison as the report carries it; what it means becomes findings. */
export const judgeComparison = (
  lab: BenchLab,
  baseline: string,
  candidate: BenchTarget,
  result: Comparison,
  { maxRegression = 0, onInconclusive }: ComparePlan,
): ComparisonData => {
  const { regression, ...rest } = result;
  const at = { file: candidate.path };
  const measured = describeRatio(result, baseline);
  if (regression === 'proven') {
    lab.findings.push({
      level: 'error',
      rule: 'regression',
      message: `${candidate.name} takes ${measured}: slower by more than the ${percent(maxRegression)} allowed`,
      at,
    });
  } else if (result.verdict === 'slower') {
    lab.findings.push({
      level: 'warning',
      rule: 'slower-than-baseline',
      message: `${candidate.name} takes ${measured}`,
      at,
    });
  }
  if (regression === 'inconclusive') {
    lab.findings.push({
      level: onInconclusive === 'fail' ? 'error' : 'warning',
      rule: 'regression-inconclusive',
      message: `${candidate.name} takes ${measured}: whether it is slower by more than ${percent(maxRegression)} was not decided`,
      hint: 'a quiet machine or a longer --duration may decide it',
      at,
    });
  }
  return {
    baseline,
    candidate: candidate.name,
    ...rest,
    ci95: [...rest.ci95],
    sessionRatios: [...rest.sessionRatios],
    ...(regression === undefined ? {} : { regression }),
  };
};
