/**
 * Latency of models: each alone in a fresh process, all together in one, and each against a baseline.
 *
 * The duration is a budget for everything; phases get shares of what is left, and a slow model still runs a few times.
 */
import { existsSync } from 'node:fs';
import { isBusy, readEnvironment } from '../bench/environment.ts';
import { checkGivenNames } from '../bench/feeds.ts';
import { OrthoError } from '../core/errors.ts';
import { createReport, type Report } from '../core/report.ts';
import type { BenchData } from '../report/schemas/bench.ts';
import { compareCandidates, liveBaseline, rankCandidates } from './bench-baseline.ts';
import { BenchBudget } from './bench-budget.ts';
import { BenchLab } from './bench-lab.ts';
import { benchBatches, benchThroughput } from './bench-load.ts';
import { modelData } from './bench-model-data.ts';
import { type BenchOptions, defaultDuration } from './bench-options.ts';
import { benchAlone, benchPipeline } from './bench-phases.ts';
import { planPlots, plotData, writePlots } from './bench-plots.ts';
import { benchProfiles } from './bench-profile.ts';
import { chooseBaseline, saveBaseline, storedBaseline } from './bench-stored.ts';
import { checkOutput } from './output.ts';
import { subjectOf } from './subject.ts';
import { subjectNames } from './subject-names.ts';

const ALONE_WEIGHT = 1;
const TOGETHER_WEIGHT = 0.5;
/** Of a comparison, and of a model that is stored as a baseline. */
const COMPARE_WEIGHT = 6;
const PROFILE_WEIGHT = 1;
const LOAD_WEIGHT = 1;

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
  const names = subjectNames(all);
  const lab = new BenchLab(options);
  const comparisonsPlanned = options.baseline === undefined ? 0 : models.length;
  const { workers = 0, batches = [] } = options;
  const isPipeline = !alone && models.length > 1 && workers === 0 && batches.length === 0;
  const { plot = [], force = false } = options;
  const inputs = [...all, ...(options.given?.files ?? []).map(({ path }) => ({ file: path }))];
  const drawn = planPlots(plot, { isPipeline, force, inputs: inputs.map(({ file }) => file) });
  const isProfiled = options.profile === true || drawn.some(({ kind }) => kind === 'roofline');
  const weight =
    all.length * ALONE_WEIGHT +
    (isPipeline ? 2 * models.length * TOGETHER_WEIGHT : 0) +
    (comparisonsPlanned + (options.saveBaseline === undefined ? 0 : models.length)) * COMPARE_WEIGHT +
    (isProfiled ? (all.length + 1) * PROFILE_WEIGHT : 0) +
    all.length * LOAD_WEIGHT * ((workers > 0 ? 1 : 0) + (batches.length > 0 ? 1 : 0));
  const budget = new BenchBudget((options.duration ?? defaultDuration(all.length)) * 1000, weight, lab.io);

  const readable = [...models, ...(baseline === undefined ? [] : [baseline])].find(({ file }) =>
    existsSync(file),
  );
  const subject = subjectOf((readable ?? models[0]!).file, { hash: options.hash === true });
  const environment = readEnvironment(await lab.startScouting());
  if (isBusy(environment)) {
    lab.findings.push({
      level: 'note',
      rule: 'busy-machine',
      message: `the load average is ${environment.loadAverage} on ${environment.cores} cores: timings include that work`,
    });
  }
  const preparing = performance.now();
  const prepared = await lab.each(
    all.map((model, i) => ({ model, name: names[i]!, isBaseline: baseline !== undefined && i === 0 })),
    ({ model }) => model.file,
    ({ model, name, isBaseline }) => {
      budget.progress(`trying ${name}`);
      return lab.prepare(model, name, isBaseline);
    },
  );
  await lab.endScouting();
  const targets = prepared.map(([, target]) => target);
  // A name may be meant for a model that failed.
  if (targets.length === all.length) {
    checkGivenNames(
      options.given ?? { files: [], shapes: [] },
      targets.map(({ feeds }) => feeds),
    );
  }
  // Loading and feeding take about as long again whenever models are opened: alone, and together.
  const openedMs = performance.now() - preparing;
  const processes =
    targets.length * (1 + (workers > 0 ? 2 : 0) + (batches.length > 0 ? 1 : 0)) +
    (isPipeline ? 2 : 0) +
    (isProfiled ? targets.length + 1 : 0);
  budget.announce(
    targets.length === 1 ? 'measuring a model' : `measuring ${targets.length} models`,
    2 * processes * lab.startMs + openedMs * (1 + (isPipeline ? 2 : 0)),
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
    (target) => benchAlone(lab, budget, target, ALONE_WEIGHT),
  );
  if (measured.length === 0) throw new OrthoError('internal/interrupted', 'interrupted');
  const candidates = measured.filter(([{ isBaseline }]) => !isBaseline);
  const pipeline =
    isPipeline && candidates.length > 1
      ? ((await lab.unlessInterrupted(() =>
          benchPipeline(lab, budget, candidates, TOGETHER_WEIGHT * candidates.length),
        )) ?? null)
      : null;
  const cores = Math.max(1, Math.min(environment.cores, environment.cpuQuota ?? environment.cores));
  const throughput =
    workers === 0
      ? []
      : await lab.each(
          measured,
          ([{ path }]) => path,
          ([target]) => benchThroughput(lab, budget, target, { workers, cores, weight: LOAD_WEIGHT }),
        );
  const swept =
    batches.length === 0
      ? []
      : await lab.each(
          measured,
          ([{ path }]) => path,
          ([target]) => benchBatches(lab, budget, target, { sizes: batches, weight: LOAD_WEIGHT }),
        );
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
  const profiled = isProfiled
    ? await lab.unlessInterrupted(() => {
        const timed = measured.map(([target]) => target);
        return benchProfiles(lab, budget, timed, PROFILE_WEIGHT);
      })
    : undefined;
  const { saveBaseline: path } = options;
  if (path !== undefined) {
    await lab.unlessInterrupted(() =>
      saveBaseline(lab, environment, candidates, { path, force: options.force === true }, () =>
        budget.take(COMPARE_WEIGHT),
      ),
    );
  }
  const data: BenchData = {
    environment,
    models: measured.map(([target, latency]) =>
      modelData(lab, target, latency, profiled?.profiles.get(target) ?? null),
    ),
    comparisons,
    parity: [...(ranking?.parity ?? [])],
    pipeline,
    throughput: throughput.map(([, data]) => data),
    batches: swept.map(([, data]) => data),
    interrupted: lab.isInterrupted,
    peaks: profiled?.peaks ?? null,
    attributions: profiled?.attributions ?? [],
  };
  lab.findings.push(...(await writePlots(drawn, plotData(data, measured), { force })));
  if (lab.isInterrupted) {
    lab.findings.push({
      level: 'warning',
      rule: 'interrupted',
      message: 'stopped before everything was measured: this is what there was',
    });
  }
  const ok = lab.isInterrupted ? false : undefined;
  return createReport('bench', {
    subject,
    data,
    findings: lab.findings,
    ...(ok === undefined ? {} : { ok }),
  });
};
