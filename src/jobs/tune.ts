/**
 * The fastest session options for models on this machine, written as a file that `createTunedSession` loads. Options are
 * only written when they are proven faster than the runtime's defaults and give the same outputs; else the defaults are.
 */
import { availableParallelism } from 'node:os';
import { dirname, relative, resolve, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isBusy, readEnvironment } from '../bench/environment.ts';
import { checkGivenNames, chooseFeeds, type GivenInputs } from '../bench/feeds.ts';
import { fingerprintOf } from '../bench/fingerprint.ts';
import type { Target } from '../bench/measure.ts';
import { median } from '../bench/statistics.ts';
import { describeChoices } from '../bench/tune/configuration.ts';
import type { Objective } from '../bench/tune/rig.ts';
import { ratioOf, type Trial } from '../bench/tune/trial.ts';
import { type TuneResult, tuneSessions } from '../bench/tune/tune.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report, type Subject } from '../core/report.ts';
import { VERSION } from '../core/version.ts';
import type { TriedData, TuneData } from '../report/schemas/tune.ts';
import { SessionHost } from '../runtime/isolated.ts';
import type { ProcessLimits, SessionOptions } from '../runtime/session.ts';
import type { Tolerances } from '../verify/tolerance.ts';
import { checkOutput, writeAtomically } from './output.ts';
import { subjectOf } from './subject.ts';
import { subjectNames } from './subject-names.ts';
import type { TunedOptions } from './tuned-options.ts';

export interface TuneJobOptions {
  readonly models: readonly string[];
  /** Where the options go. */
  readonly output: string;
  readonly force?: boolean;
  /** Default: latency. See bench/tune/rig.ts. */
  readonly objective?: Objective;
  /** Seconds for everything. Default 30. */
  readonly duration?: number;
  /** Differences within this share count as none. Default 0.03. */
  readonly margin?: number;
  readonly tolerances?: Tolerances;
  readonly given?: GivenInputs;
  /** `threads`: the most that configurations may use; default: the processors of this machine. */
  readonly session?: Pick<SessionOptions, 'threads'> & ProcessLimits;
  readonly seed?: number;
  readonly io?: JobIo;
}

const p50Of = ({ candidate, proof }: Trial): number | null =>
  proof?.tunedMs ?? (candidate.length === 0 ? null : median(candidate));

const triedData = (trial: Trial): TriedData => {
  const { choices, options, stage, parity, outcome, message, proof } = trial;
  const p50 = p50Of(trial);
  return {
    name: describeChoices(choices),
    options,
    stage,
    p50,
    ratio: proof?.ratio ?? (p50 === null ? null : ratioOf(trial)),
    ci95: proof?.ci95 ?? null,
    sessions: proof?.sessions ?? 0,
    parity,
    verdict: outcome,
    ...(message === undefined ? {} : { message }),
  };
};

/** Finalists first, then by ratio; what cannot be used last. */
const byMerit = (a: TriedData, b: TriedData): number => {
  const rank = ({ verdict, stage }: TriedData): number =>
    verdict === 'differs' || verdict === 'failed' ? 2 : stage === 'final' ? 0 : 1;
  return rank(a) - rank(b) || (a.ratio ?? Infinity) - (b.ratio ?? Infinity);
};

const resultFindings = (result: TuneResult): Finding[] => {
  const { best, trials, defaultParity, random, wasInterrupted } = result;
  const findings: Finding[] = [];
  const differing = trials.filter(({ outcome }) => outcome === 'differs').length;
  if (wasInterrupted) {
    findings.push({
      level: 'warning',
      rule: 'interrupted',
      message: 'the search was interrupted: what was found until then counts',
    });
  }
  if (best === undefined) {
    findings.push({
      level: 'note',
      rule: 'default-kept',
      message: 'nothing is proven faster than the default options: they are written',
      hint: 'a quiet machine and a longer --duration prove smaller differences',
    });
  }
  if (!defaultParity.ok) {
    findings.push({
      level: 'warning',
      rule: 'default-differs',
      message: `the default options give other outputs than the graph as it is written: ${defaultParity.message}`,
      hint: 'look at it with ortho verify; --tolerance allows what is meant to differ (quantised models)',
    });
  }
  if (differing > 0) {
    findings.push({
      level: 'note',
      rule: 'outputs-differ',
      message: `${differing} configurations give other outputs and were left out`,
    });
  }
  if (random.length > 0) {
    findings.push({
      level: 'note',
      rule: 'random-outputs',
      message: `outputs that differ from run to run were not compared: ${random.join(', ')}`,
    });
  }
  return findings;
};

/** Chooses what each model is fed. @param findings receives what was assumed. */
const chooseTargets = async (
  models: readonly string[],
  given: GivenInputs,
  seed: number,
  host: SessionHost,
  findings: Finding[],
): Promise<Target[]> => {
  const names = subjectNames(models.map((file) => ({ file })));
  const targets: Target[] = [];
  for (const [i, path] of models.entries()) {
    const name = names[i]!;
    const { feeds, assumed } = await chooseFeeds(path, host, given, { seed, session: {} });
    targets.push({ name, path, feeds });
    for (const input of assumed) {
      findings.push({
        level: 'note',
        rule: 'assumed-shape',
        message: `${name}: input "${input}" leaves dimensions open; tuned for [${feeds.get(input)!.dims.join(', ')}]`,
        hint: `--shape ${input}=…`,
        at: { file: path, value: input },
      });
    }
  }
  checkGivenNames(
    given,
    targets.map(({ feeds }) => feeds),
  );
  return targets;
};

/** Processors that may be used: no more than a quota allows. */
const usableCores = (quota: number | null): number =>
  Math.max(1, Math.min(availableParallelism(), Math.ceil(quota ?? Infinity)));

const tunedFile = (data: TuneData, subjects: readonly Subject[], result: TuneResult): TunedOptions => {
  const { best } = result;
  const folder = dirname(resolve(data.output));
  return {
    schema: 'session-options@1',
    tool: 'ortho',
    version: VERSION,
    objective: data.objective,
    models: subjects.map(({ file, sha256, bytes }, i) => ({
      name: data.models[i]!.name,
      file: relative(folder, resolve(file)).split(sep).join('/'),
      sha256: sha256!,
      bytes,
      session: structuredClone(data.options[i]!.session) as TunedOptions['models'][number]['session'],
    })),
    machine: data.machine,
    evidence:
      best?.proof === undefined
        ? null
        : {
            ratio: best.proof.ratio,
            ci95: [...best.proof.ci95],
            sessions: best.proof.sessions,
            p50: { default: best.proof.defaultMs, tuned: best.proof.tunedMs },
            parity: true,
          },
    ...(data.interrupted ? { interrupted: true } : {}),
  };
};

/**
 * Searches for the fastest session options and writes them to `output`.
 * @throws OrthoError when a model cannot run with the default options: file/*, model/*, runtime/*, usage/*;
 *   verify/nothing-compared when its outputs are all random; internal/interrupted before anything was measured.
 */
export const tuneModels = async (options: TuneJobOptions): Promise<Report<'tune', TuneData>> => {
  const { models, output, force = false, objective = 'latency', duration = 30, margin = 0.03 } = options;
  const { given = { files: [], shapes: [] }, seed = 0, tolerances = {}, io = silentIo() } = options;
  const began = performance.now();
  checkOutput(output, { force, inputs: models });
  const { threads, ...limits } = options.session ?? {};
  const start = (): SessionHost => new SessionHost({ ...limits, signal: io.signal });
  const subjects = models.map((file) => subjectOf(file, { hash: true }));
  const findings: Finding[] = [];
  const host = start();
  const { environment, targets } = await (async () => ({
    environment: readEnvironment(await host.version()),
    targets: await chooseTargets(models, given, seed, host, findings),
  }))().finally(() => host.close());
  if (isBusy(environment)) {
    findings.push({
      level: 'warning',
      rule: 'busy-machine',
      message: `the load average is ${environment.loadAverage} on ${environment.cores} cores: these are the best options beside that work`,
    });
  }
  const result = await tuneSessions(
    { start, targets, objective },
    {
      cores: threads ?? usableCores(environment.cpuQuota),
      endMs: began + duration * 1000,
      margin,
      tolerances,
      seed,
      clock: { now: () => performance.now(), sleep },
      onStep: (step) => {
        const spent = (performance.now() - began) / 1000;
        const left = Math.max(0, duration - spent);
        io.progress(`${step}, ${Math.ceil(left)} s left`, Math.min(1, spent / duration));
        io.log(step);
      },
    },
  );
  const { best, trials, untried, defaultMs, defaultParity, wasInterrupted } = result;
  findings.push(...resultFindings(result));
  const data: TuneData = {
    environment,
    machine: fingerprintOf(environment),
    objective,
    models: subjects.map((subject, i) => ({ name: targets[i]!.name, ...subject })),
    defaults: { p50: best?.proof?.defaultMs ?? defaultMs, parity: defaultParity },
    tried: trials.map(triedData).toSorted(byMerit),
    untried,
    best: {
      name: describeChoices(best?.choices ?? []),
      isDefault: best === undefined,
      p50: best === undefined ? defaultMs : p50Of(best),
      ratio: best?.proof?.ratio ?? null,
      ci95: best?.proof?.ci95 ?? null,
      sessions: best?.proof?.sessions ?? 0,
    },
    options: targets.map(({ name }, i) => ({ model: name, session: best?.options[i] ?? {} })),
    output,
    interrupted: wasInterrupted,
  };
  const text = `${JSON.stringify(tunedFile(data, subjects, result), undefined, 2)}\n`;
  await writeAtomically(output, (sink) => sink.write(new TextEncoder().encode(text)), { force });
  return createReport('tune', { subject: subjects[0]!, data, findings });
};
