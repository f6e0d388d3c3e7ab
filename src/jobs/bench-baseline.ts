/**
 * What candidates are compared with, and the order of things: first parity, for all of them, then speed, for those that
 * compute the same.
 */
import { type CompareOptions, type Comparison, compareModels } from '../bench/compare.ts';
import type { ComparisonData } from '../report/schemas/bench.ts';
import type { ParityData } from '../report/schemas/verify.ts';
import { parseTolerances, type Tolerances } from '../verify/tolerance.ts';
import { type ComparePlan, judgeComparison } from './bench-judgement.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';
import type { BenchOptions } from './bench-options.ts';
import { checkParity, type ParityCheck, parityFinding } from './bench-parity.ts';

/** A model, or the record of one. */
export interface Baseline {
  /** What a candidate is compared with. @throws usage/unknown-name */
  nameFor(candidate: BenchTarget): string;
  /** @throws OrthoError of the runtime. */
  checkParity(candidate: BenchTarget, tolerances: Tolerances): Promise<ParityCheck>;
  /** @throws OrthoError of the runtime. */
  compare(candidate: BenchTarget, options: CompareOptions): Promise<Comparison>;
}

/** A baseline that is measured together with its candidates. */
export const liveBaseline = (lab: BenchLab, baseline: BenchTarget): Baseline => ({
  nameFor: () => baseline.name,
  checkParity: (candidate, tolerances) => checkParity(lab, baseline, candidate, tolerances),
  compare: (candidate, options) =>
    compareModels(lab.start, baseline, { ...candidate, feeds: baseline.feeds }, options),
});

export interface Ranking {
  /** Of every candidate whose outputs could be compared. */
  readonly parity: readonly ParityData[];
  /** Those that ran. */
  readonly alive: readonly BenchTarget[];
  /** Those of them whose speed may be compared. */
  readonly ranked: ReadonlySet<BenchTarget>;
}

/** Which candidates compute what the baseline does; the others become findings. */
export const rankCandidates = async (
  lab: BenchLab,
  baseline: Baseline,
  candidates: readonly BenchTarget[],
  { tolerance = [], ignoreParity = false }: BenchOptions,
): Promise<Ranking> => {
  if (candidates.length === 0) return { parity: [], alive: [], ranked: new Set() };
  const tolerances = parseTolerances(tolerance);
  const parity: ParityData[] = [];
  const ranked = new Set<BenchTarget>();
  const checked = await lab.each(
    candidates,
    ({ path }) => path,
    (candidate) => baseline.checkParity(candidate, tolerances),
  );
  for (const [candidate, check] of checked) {
    if (check.parity !== undefined) parity.push(check.parity);
    if (check.reason !== undefined) {
      lab.findings.push(parityFinding(baseline.nameFor(candidate), candidate, check.reason, ignoreParity));
    }
    if (check.reason === undefined || ignoreParity) ranked.add(candidate);
  }
  return { parity, alive: checked.map(([candidate]) => candidate), ranked };
};

/** Compares one candidate after the other. @param takeMs the time for the next. */
export const compareCandidates = async (
  lab: BenchLab,
  baseline: Baseline,
  candidates: readonly BenchTarget[],
  plan: ComparePlan,
  takeMs: () => number,
): Promise<ComparisonData[]> => {
  if (candidates.length === 0) return [];
  const { session, seed } = lab;
  const { margin, maxRegression } = plan;
  const compared = await lab.each(
    candidates,
    ({ path }) => path,
    (candidate) => {
      lab.io.progress(`${candidate.name} against ${baseline.nameFor(candidate)}`);
      return baseline.compare(candidate, { session, seed, margin, maxRegression, budgetMs: takeMs() });
    },
  );
  return compared.map(([candidate, result]) =>
    judgeComparison(lab, baseline.nameFor(candidate), candidate, result, plan),
  );
};
