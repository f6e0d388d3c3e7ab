/**
 * Latency of models: each alone in a fresh process, all together in one, and each against a baseline.
 *
 * The duration is a budget for everything; phases get shares of what is left, and a slow model still runs a few times.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { isBusy, readEnvironment } from '../bench/environment.ts';
import { checkGivenNames } from '../bench/feeds.ts';
import type { Latency } from '../bench/measure.ts';
import { OrthoError } from '../core/errors.ts';
import { createReport, type Report } from '../core/report.ts';
import type { BenchData, BenchModelData } from '../report/schemas/bench.ts';
import { compareCandidates, liveBaseline, rankCandidates } from './bench-baseline.ts';
import { BenchBudget } from './bench-budget.ts';
import { BenchLab, type BenchTarget } from './bench-lab.ts';
import { type BenchModel, type BenchOptions, defaultDuration } from './bench-options.ts';
import { benchAlone, benchPipeline } from './bench-phases.ts';
import { chooseBaseline, saveBaseline, storedBaseline } from './bench-stored.ts';
import { checkOutput } from './output.ts';
import { subjectOf } from './subject.ts';

const ALONE_WEIGHT = 1;
const TOGETHER_WEIGHT = 0.5;
/** Of a comparison, and of a model that is stored as a baseline. */
const COMPARE_WEIGHT = 6;

const uniqueNames = (models: readonly BenchModel[]): string[] => {
  const seen = new Map<string, number>();
  return models.map(({ file, name = basename(file) }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
};

/** @throws usage/conflict for options that need another one. */
const checkOptions = (options: BenchOptions): void => {
  const { baseline, maxRegression, onInconclusive, models, saveBaseline: path, force = false } = options;
  if (path !== undefined) {
    checkOutput(path, { force, inputs: [baseline, ...models].flatMap((model) => model?.file ?? []) });
  }
  if (maxRegression !== undefined && baseline === undefined) {
    throw new OrthoError('usage/conflict', '--max-regression needs a --baseline to be slower than');
  }
  if (onInconclusive !== undefined && maxRegression === undefined) {
    throw new OrthoError('usage/conflict', '--on-inconclusive says something of --max-regression only');
  }
};

const modelData = (lab: BenchLab, { name, path, feeds }: BenchTarget, latency: Latency): BenchModelData => {
  const { loadMs, firstMs, warmUp, summary } = latency;
  return {
    name,
    file: path,
    session: lab.described,
    inputs: [...feeds].map(([input, { dtype, dims }]) => ({ name: input, dtype, shape: [...dims] })),
    loadMs,
    firstMs,
    warmUp,
    summary: { ...summary, ci95: [...summary.ci95] },
  };
};

/**
 * Measures models.
 * @returns the report; `ok` is false when a model failed.
 * @throws OrthoError when no model (or the baseline) can be measured: file/*, model/*, runtime/*, usage/*.
 */
export const benchModels = async (options: BenchOptions): Promise<Report<'bench', BenchData>> => {
  const { models, alone = false, margin = 0.03 } = options;
  checkOptions(options);
  const { live: baseline, stored } = chooseBaseline(options);
  const all = baseline === undefined ? models : [baseline, ...models];
  const names = uniqueNames(all);
  const lab = new BenchLab(options);
  const comparisonsPlanned = options.baseline === undefined ? 0 : models.length;
  const isPipeline = !alone && models.length > 1;
  const weight =
    all.length * ALONE_WEIGHT +
    (isPipeline ? 2 * models.length * TOGETHER_WEIGHT : 0) +
    (comparisonsPlanned + (options.saveBaseline === undefined ? 0 : models.length)) * COMPARE_WEIGHT;
  const budget = new BenchBudget((options.duration ?? defaultDuration(all.length)) * 1000, weight);

  const readable = [...models, ...(baseline === undefined ? [] : [baseline])].find(({ file }) =>
    existsSync(file),
  );
  const subject = subjectOf((readable ?? models[0]!).file, { hash: options.hash === true });
  const environment = readEnvironment(await lab.runtimeVersion());
  if (isBusy(environment)) {
    lab.findings.push({
      level: 'note',
      rule: 'busy-machine',
      message: `the load average is ${environment.loadAverage} on ${environment.cores} cores: timings include that work`,
    });
  }
  const prepared = await lab.each(
    all.map((model, i) => ({ model, name: names[i]!, isBaseline: baseline !== undefined && i === 0 })),
    ({ model }) => model.file,
    ({ model, name, isBaseline }) => lab.prepare(model, name, isBaseline),
  );
  const targets = prepared.map(([, target]) => target);
  checkGivenNames(
    options.given ?? { files: [], shapes: [] },
    targets.map(({ feeds }) => feeds),
  );
  const base = targets.find(({ isBaseline }) => isBaseline);
  const others = targets.filter(({ isBaseline }) => !isBaseline);
  const against =
    stored === undefined ? base && liveBaseline(lab, base) : await storedBaseline(lab, environment, stored);
  const ranking = against && (await rankCandidates(lab, against, others, options));
  const alive = ranking?.alive ?? others;
  const measured = await lab.each(
    base === undefined ? alive : [base, ...alive],
    ({ path }) => path,
    (target) => benchAlone(lab, target, budget.take(ALONE_WEIGHT)),
  );
  const candidates = measured.filter(([{ isBaseline }]) => !isBaseline);
  const pipeline =
    isPipeline && candidates.length > 1
      ? await benchPipeline(lab, candidates, () => budget.take(TOGETHER_WEIGHT * candidates.length))
      : null;
  const comparisons =
    against === undefined
      ? []
      : await compareCandidates(
          lab,
          against,
          candidates.map(([target]) => target).filter((target) => ranking?.ranked.has(target)),
          { margin, maxRegression: options.maxRegression, onInconclusive: options.onInconclusive ?? 'pass' },
          () => budget.take(COMPARE_WEIGHT),
        );
  const { saveBaseline: path } = options;
  if (path !== undefined) {
    await saveBaseline(lab, environment, candidates, { path, force: options.force === true }, () =>
      budget.take(COMPARE_WEIGHT),
    );
  }
  const data: BenchData = {
    environment,
    models: measured.map(([target, latency]) => modelData(lab, target, latency)),
    comparisons,
    parity: [...(ranking?.parity ?? [])],
    pipeline,
  };
  return createReport('bench', { subject, data, findings: lab.findings });
};
