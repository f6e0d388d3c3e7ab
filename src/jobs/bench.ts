/**
 * Latency of models: each alone in a fresh process, all together in one, and each against a baseline.
 *
 * The duration is a budget for everything; phases get shares of what is left, and a slow model still runs a few times.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { type CompareOptions, compareModels } from '../bench/compare.ts';
import { contentionFinding, type Stage } from '../bench/contention.ts';
import { isBusy, readEnvironment } from '../bench/environment.ts';
import { checkGivenNames, chooseFeeds, type GivenInputs } from '../bench/feeds.ts';
import {
  type Latency,
  measureAlone,
  measureTogether,
  type StartHost,
  type Target,
} from '../bench/measure.ts';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import type { BenchData, BenchModelData, ComparisonData } from '../report/schemas/bench.ts';
import { SessionHost } from '../runtime/isolated.ts';
import type { Level, ProcessLimits, SessionOptions, Spinning } from '../runtime/session.ts';
import { subjectOf } from './subject.ts';

export interface BenchModel {
  readonly file: string;
  /** Default: the file name. */
  readonly name?: string;
  /** Dimensions of its inputs, by name; they win over those given for all models. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
}

export interface BenchOptions {
  readonly models: readonly BenchModel[];
  readonly baseline?: BenchModel | undefined;
  /** Seconds for everything. Default: {@link defaultDuration}. */
  readonly duration?: number | undefined;
  /** Measure several models alone only. */
  readonly alone?: boolean;
  /** Differences within this share count as none. Default 0.03. */
  readonly margin?: number;
  readonly level?: Level;
  readonly spinning?: Spinning;
  readonly given?: GivenInputs;
  readonly seed?: number;
  readonly hash?: boolean;
  readonly session?: Pick<SessionOptions, 'threads'> & ProcessLimits;
  readonly io?: JobIo;
}

/** 10 s, and 2 s a model beyond five. */
const defaultDuration = (models: number): number => Math.max(10, 2 * models);

/** An interval wider than this share of the median is worth a note. */
const WIDE_INTERVAL = 0.1;

/** A model that loaded and has feeds. */
interface Subject extends Target {
  readonly isBaseline: boolean;
}

/** Hands out shares of the time that is left, by weight. */
class Budget {
  readonly #end: number;
  #weight: number;

  constructor(ms: number, weight: number) {
    this.#end = performance.now() + ms;
    this.#weight = weight;
  }

  /** Milliseconds for a phase of this weight; 0 when nothing is left. */
  take(weight: number): number {
    const share = Math.max(0, this.#end - performance.now()) * Math.min(1, weight / this.#weight);
    this.#weight = Math.max(weight, this.#weight - weight);
    return share;
  }
}

const ALONE_WEIGHT = 1;
const TOGETHER_WEIGHT = 0.5;
const COMPARE_WEIGHT = 3;

const uniqueNames = (models: readonly BenchModel[]): string[] => {
  const seen = new Map<string, number>();
  return models.map(({ file, name = basename(file) }) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
};

/** What goes wrong with one of several models is a finding; with the last one left, an error. */
const failureFinding = (error: unknown, file: string): Finding => {
  if (!(error instanceof OrthoError) || error.code.startsWith('internal/')) throw error;
  const { code, message, hint, at } = error;
  return {
    level: 'error',
    rule: code,
    message,
    at: { ...at, file },
    ...(hint === undefined ? {} : { hint }),
  };
};

class Bench {
  readonly findings: Finding[] = [];
  readonly #options: BenchOptions;
  readonly #io: JobIo;
  readonly #session: SessionOptions;
  readonly #start: () => SessionHost;
  #firstError: unknown;

  constructor(options: BenchOptions) {
    this.#options = options;
    this.#io = options.io ?? silentIo();
    const { threads, ...limits } = options.session ?? {};
    this.#session = {
      level: options.level ?? 'all',
      spinning: options.spinning ?? 'default',
      ...(threads === undefined ? {} : { threads }),
    };
    this.#start = () => new SessionHost({ ...limits, signal: this.#io.signal });
  }

  get start(): StartHost {
    return this.#start;
  }

  /** What the report says of the session options. */
  get described(): Record<string, unknown> {
    const { level, threads = null, spinning } = this.#session;
    return { runtime: 'onnxruntime-node', level, threads, spinning };
  }

  async runtimeVersion(): Promise<string> {
    const host = this.#start();
    try {
      return await host.version();
    } finally {
      await host.close();
    }
  }

  /** Does `work` for each target; those that fail become findings. @throws the first error when all fail. */
  async each<T, R>(
    items: readonly T[],
    fileOf: (item: T) => string,
    work: (item: T) => Promise<R>,
  ): Promise<[T, R][]> {
    const done: [T, R][] = [];
    for (const item of items) {
      try {
        done.push([item, await work(item)]);
      } catch (error) {
        this.findings.push(failureFinding(error, fileOf(item)));
        this.#firstError ??= error;
      }
    }
    if (done.length === 0) throw this.#firstError;
    return done;
  }

  async prepare(model: BenchModel, name: string, isBaseline: boolean): Promise<Subject> {
    const { seed = 0, given = { files: [], shapes: [] } } = this.#options;
    const own = [...(model.shapes ?? [])].map(([input, dims]) => ({ name: input, dims }));
    const host = this.#start();
    try {
      const { feeds, assumed } = await chooseFeeds(
        model.file,
        host,
        { files: given.files, shapes: [...given.shapes, ...own] },
        { seed, session: this.#session },
      );
      for (const input of assumed) {
        this.findings.push({
          level: 'note',
          rule: 'assumed-shape',
          message: `${name}: input "${input}" leaves dimensions open; timed with [${feeds.get(input)!.dims.join(', ')}]`,
          hint: `--shape ${input}=…`,
          at: { file: model.file, value: input },
        });
      }
      return { name, path: model.file, feeds, isBaseline };
    } finally {
      await host.close();
    }
  }

  async alone(target: Subject, budget: Budget): Promise<Latency> {
    this.#io.progress(`${target.name} alone`);
    const latency = await measureAlone(this.#start, target, this.#session, budget.take(ALONE_WEIGHT));
    const { summary, warmUp } = latency;
    this.#io.log(`${target.name}: p50 ${summary.p50.toFixed(3)} ms alone, ${summary.n} runs`);
    if (!warmUp.isSteady || summary.ci95[1] - summary.ci95[0] > WIDE_INTERVAL * summary.p50) {
      this.findings.push({
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
  }

  async pipeline(
    measured: readonly (readonly [Subject, Latency])[],
    budget: Budget,
  ): Promise<BenchData['pipeline']> {
    const targets = measured.map(([target]) => target);
    const weight = TOGETHER_WEIGHT * targets.length;
    this.#io.progress('all together');
    const together = await measureTogether(this.#start, targets, this.#session, budget.take(weight));
    let stopped: readonly { readonly p50: number }[] | undefined;
    if (this.#session.spinning === 'default') {
      this.#io.progress('all together, spinning stopped');
      const session: SessionOptions = { ...this.#session, spinning: 'stop' };
      stopped = await measureTogether(this.#start, targets, session, budget.take(weight));
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
    if (finding !== undefined) this.findings.push(finding);
    return { stages };
  }

  async compare(baseline: Subject, candidate: Subject, budget: Budget): Promise<ComparisonData> {
    const { margin = 0.03, seed = 0 } = this.#options;
    this.#io.progress(`${candidate.name} against ${baseline.name}`);
    const options: CompareOptions = {
      session: this.#session,
      budgetMs: budget.take(COMPARE_WEIGHT),
      margin,
      seed,
    };
    const result = await compareModels(this.#start, baseline, candidate, options);
    if (result.verdict === 'slower') {
      this.findings.push({
        level: 'warning',
        rule: 'slower-than-baseline',
        message: `${candidate.name} takes ×${result.ratio.toFixed(3)} of the time of ${baseline.name} (95 % interval ${result.ci95.map((bound) => bound.toFixed(3)).join(' to ')})`,
        at: { file: candidate.path },
      });
    }
    return { baseline: baseline.name, candidate: candidate.name, ...result, ci95: [...result.ci95] };
  }
}

/**
 * Measures models.
 * @returns the report; `ok` is false when a model failed.
 * @throws OrthoError when no model (or the baseline) can be measured: file/*, model/*, runtime/*, usage/*.
 */
export const benchModels = async (options: BenchOptions): Promise<Report<'bench', BenchData>> => {
  const { models, baseline, alone = false } = options;
  const all = baseline === undefined ? models : [baseline, ...models];
  const names = uniqueNames(all);
  const bench = new Bench(options);
  const comparisonsPlanned = baseline === undefined ? 0 : models.length;
  const isPipeline = !alone && models.length > 1;
  const weight =
    all.length * ALONE_WEIGHT +
    (isPipeline ? 2 * models.length * TOGETHER_WEIGHT : 0) +
    comparisonsPlanned * COMPARE_WEIGHT;
  const budget = new Budget((options.duration ?? defaultDuration(all.length)) * 1000, weight);

  const readable = [...models, ...(baseline === undefined ? [] : [baseline])].find(({ file }) =>
    existsSync(file),
  );
  const subject = subjectOf((readable ?? models[0]!).file, { hash: options.hash === true });
  const environment = readEnvironment(await bench.runtimeVersion());
  if (isBusy(environment)) {
    bench.findings.push({
      level: 'note',
      rule: 'busy-machine',
      message: `the load average is ${environment.loadAverage} on ${environment.cores} cores: timings include that work`,
    });
  }
  const prepared = await bench.each(
    all.map((model, i) => ({ model, name: names[i]!, isBaseline: baseline !== undefined && i === 0 })),
    ({ model }) => model.file,
    ({ model, name, isBaseline }) => bench.prepare(model, name, isBaseline),
  );
  const targets = prepared.map(([, target]) => target);
  checkGivenNames(
    options.given ?? { files: [], shapes: [] },
    targets.map(({ feeds }) => feeds),
  );
  const measured = await bench.each(
    targets,
    ({ path }) => path,
    (target) => bench.alone(target, budget),
  );
  const candidates = measured.filter(([{ isBaseline }]) => !isBaseline);
  const base = measured.find(([{ isBaseline }]) => isBaseline)?.[0];
  const pipeline = isPipeline && candidates.length > 1 ? await bench.pipeline(candidates, budget) : null;
  const comparisons: ComparisonData[] = [];
  if (base !== undefined && candidates.length > 0) {
    const compared = await bench.each(
      candidates.map(([target]) => target),
      ({ path }) => path,
      (target) => bench.compare(base, target, budget),
    );
    comparisons.push(...compared.map(([, comparison]) => comparison));
  }
  const data: BenchData = {
    environment,
    models: measured.map(([{ name, path, feeds }, latency]): BenchModelData => {
      const { loadMs, firstMs, warmUp, summary } = latency;
      return {
        name,
        file: path,
        session: bench.described,
        inputs: [...feeds].map(([input, { dtype, dims }]) => ({ name: input, dtype, shape: [...dims] })),
        loadMs,
        firstMs,
        warmUp,
        summary: { ...summary, ci95: [...summary.ci95] },
      };
    }),
    comparisons,
    pipeline,
  };
  return createReport('bench', { subject, data, findings: bench.findings });
};
