/**
 * Runs a job file: each job from its source to proven artifacts (inspect → convert → optimise → verify → quantise), then
 * the models of the bench group alone and together. What is built is compared with the bytes that the manifest records.
 */
import { dirname, join, resolve } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { NO_NORMALIZATION } from '../quantize/samples.ts';
import type { ConvertData } from '../report/schemas/convert.ts';
import type { InspectData } from '../report/schemas/inspect.ts';
import type { QuantizeData } from '../report/schemas/quantize.ts';
import type { RunData, StageData } from '../report/schemas/run.ts';
import type { VerifyData } from '../report/schemas/verify.ts';
import type { ProcessLimits, SessionOptions } from '../runtime/session.ts';
import { benchModels } from './bench.ts';
import { convertCheckpoint } from './convert.ts';
import { inspectFile } from './inspect.ts';
import { type BuiltFile, compareWithManifest, writeManifest } from './manifest.ts';
import { optimizeModel } from './optimize.ts';
import { makeFolder } from './output.ts';
import { quantizeModel } from './quantize.ts';
import { type RunConfig, type RunJob, readRunConfig } from './run-config.ts';
import { checkRunOutputs } from './run-outputs.ts';
import { subjectOf } from './subject.ts';
import { withTempFolder } from './temp-files.ts';
import { verifyModel } from './verify.ts';

export interface RunOptions {
  /** Path of the job file. */
  readonly config: string;
  /** Replace outputs that exist, whatever the file says. */
  readonly force?: boolean;
  /** Record what was built in the manifest instead of comparing with it. */
  readonly updateManifest?: boolean;
  readonly seed?: number;
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io?: JobIo;
}

/** What one job left behind. */
interface JobResult {
  readonly reports: Report[];
  readonly findings: Finding[];
  readonly ok: boolean;
  readonly stage: StageData;
  readonly built: BuiltFile[];
}

interface Workplace {
  readonly folder: string;
  readonly force: boolean;
  readonly seed: number;
  readonly session: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io: JobIo;
  /** A path of the job file as seen from here. */
  path(relative: string): string;
}

/** What the whole run should say of one report: its anomalies. Its other notes stay in the report itself. */
const anomaliesOf = (name: string, { findings }: Report): Finding[] =>
  findings
    .filter(({ level, rule }) => level !== 'note' || rule === 'flushed-subnormals')
    .map((finding) => ({ ...finding, message: `${name}: ${finding.message}` }));

const isCheckpoint = (report: Report<'inspect', InspectData>): boolean => report.data.format !== 'onnx';

const convertJob = async (
  job: RunJob,
  output: string,
  place: Workplace,
): Promise<Report<'convert', ConvertData>> => {
  const { remap = {} } = job;
  return convertCheckpoint({
    source: place.path(job.source),
    output,
    architecture: job.architecture,
    stateDict: remap.stateDict,
    stripPrefix: remap.stripPrefix,
    rename: Object.entries(remap.rename ?? {}).map(([from, to]) => ({ from, to })),
    allowMissing: remap.allowMissing ?? [],
    allowUnexpected: remap.allowUnexpected ?? [],
    opset: job.opset,
    inputShapes: Object.entries(job.inputShape ?? {}).map(([name, dims]) => ({ name, dims })),
    reference: job.references === undefined ? undefined : place.path(job.references),
    tolerance: job.tolerance ?? [],
    session: place.session,
    seed: place.seed,
    io: place.io,
  });
};

const quantizeJob = async (
  job: RunJob,
  float: string,
  place: Workplace,
): Promise<Report<'quantize', QuantizeData> | undefined> => {
  const { quantize } = job;
  if (quantize === undefined) return undefined;
  const { calibrate } = quantize;
  const output = place.path(quantize.output);
  makeFolder(dirname(output));
  return quantizeModel({
    input: float,
    output,
    scheme: quantize.scheme,
    calibrate: calibrate && place.path(calibrate.path),
    evaluate: quantize.evaluate && place.path(quantize.evaluate),
    crops: calibrate?.crops,
    normalization: {
      mean: calibrate?.mean ?? NO_NORMALIZATION.mean,
      std: calibrate?.std ?? NO_NORMALIZATION.std,
    },
    minSqnr: quantize.minSqnr,
    exclude: quantize.exclude ?? [],
    seed: place.seed,
    force: place.force,
    session: place.session,
    io: place.io,
  });
};

/** Largest absolute difference over all outputs and cases; null where nothing was compared. */
const worstDifference = (parity: VerifyData | undefined): number | null => {
  const differences = (parity?.outputs ?? [])
    .map(({ metrics }) => metrics.maxAbs ?? null)
    .filter((value) => value !== null);
  return differences.length > 0 ? Math.max(...differences) : null;
};

const quantizationOf = (report: Report<'quantize', QuantizeData> | undefined): StageData['quantization'] => {
  if (report === undefined) return null;
  if (report.ok) return 'written';
  return report.data.outputs.some(({ judgeable }) => !judgeable) ? 'not judgeable' : 'refused';
};

const runJob = async (job: RunJob, place: Workplace): Promise<JobResult> => {
  const { io, session, seed } = place;
  const source = place.path(job.source);
  const output = place.path(job.output);
  const reports: Report[] = [];
  const keep = <R extends Report>(report: R): R => {
    reports.push(report);
    return report;
  };
  io.progress(`${job.name}: inspect`);
  const inspected = keep(await inspectFile(source));
  let float = source;
  let converted: Report<'convert', ConvertData> | undefined;
  if (isCheckpoint(inspected)) {
    io.progress(`${job.name}: convert`);
    float = join(
      place.folder,
      `${reports.length}-${place.folder.length}-${encodeURIComponent(job.name)}.onnx`,
    );
    converted = keep(await convertJob(job, float, place));
  }
  let verified: Report<'verify', VerifyData> | undefined;
  let quantized: Report<'quantize', QuantizeData> | undefined;
  const built: BuiltFile[] = [];
  if (converted === undefined || converted.ok) {
    makeFolder(dirname(output));
    io.progress(`${job.name}: optimize`);
    const optimized = keep(
      await optimizeModel({
        input: float,
        output,
        target: job.optimize.target,
        seed,
        force: place.force,
        session,
        io,
      }),
    );
    if (optimized.ok) {
      built.push({ file: job.output, path: output, kind: 'float' });
      if (job.references !== undefined) {
        io.progress(`${job.name}: verify`);
        const reference = place.path(job.references);
        verified = keep(
          await verifyModel({ candidate: output, reference, tolerance: job.tolerance ?? [], session, io }),
        );
      }
      io.progress(`${job.name}: quantize`);
      quantized = await quantizeJob(job, output, place);
      if (quantized) keep(quantized);
      if (quantized?.ok && job.quantize) {
        built.push({ file: job.quantize.output, path: place.path(job.quantize.output), kind: 'int8' });
      }
    }
  }
  const mayRefuse = job.quantize?.onRefusal === 'report';
  const findings = reports.flatMap((report) => {
    const own = anomaliesOf(job.name, report);
    const isRefusal = report === quantized && mayRefuse;
    return isRefusal
      ? own.map((finding) =>
          finding.level === 'error' ? { ...finding, level: 'warning' as const } : finding,
        )
      : own;
  });
  const stage: StageData = {
    name: job.name,
    architecture: converted?.data.architecture ?? null,
    keysMatched: converted?.data.matched ?? null,
    keysNeeded: converted === undefined ? null : converted.data.matched + converted.data.missing.length,
    maxAbs: worstDifference(verified?.data ?? converted?.data.parity ?? undefined),
    bytes: built[0] ? subjectOf(built[0].path).bytes : null,
    quantization: quantizationOf(quantized),
    quantizedBytes: built[1] ? subjectOf(built[1].path).bytes : null,
    aloneP50: null,
    togetherP50: null,
    togetherSpinStopP50: null,
  };
  const ok = reports.every((report) => report.ok || (report === quantized && mayRefuse));
  return { reports, findings, ok, stage, built };
};

const benchGroup = async (
  config: RunConfig,
  place: Workplace,
): Promise<Awaited<ReturnType<typeof benchModels>> | undefined> => {
  const { bench } = config;
  if (bench === undefined) return undefined;
  const outputs = new Map(config.jobs.map(({ name, output }) => [name, place.path(output)]));
  const report = await benchModels({
    models: bench.pipeline.map((name) => ({
      name,
      file: outputs.get(name) as string,
      shapes: new Map(Object.entries(bench.shapes?.[name] ?? {})),
    })),
    ...(bench.duration === undefined ? {} : { duration: bench.duration }),
    seed: place.seed,
    session: place.session,
    io: place.io,
  });
  // Half a benchmark proves no budget.
  if (report.data.interrupted) throw new OrthoError('internal/interrupted', 'interrupted');
  return report;
};

/** @throws OrthoError config/invalid, and what the jobs throw; checks that fail make the report not ok instead. */
export const runJobs = async (options: RunOptions): Promise<Report<'run', RunData>> => {
  const { io = silentIo(), seed = 0 } = options;
  const config = readRunConfig(options.config);
  const force = options.force === true || config.force;
  const at = (path: string): string => resolve(dirname(options.config), path);
  checkRunOutputs(config, { config: options.config, force, at });
  return withTempFolder(async (folder) => {
    const place: Workplace = {
      folder,
      force,
      seed,
      session: { signal: io.signal, ...options.session },
      io,
      path: at,
    };
    const results: (JobResult & { name: string })[] = [];
    for (const job of config.jobs) results.push({ name: job.name, ...(await runJob(job, place)) });
    const findings = results.flatMap((result) => result.findings);
    const isBuilt = results.every(({ ok }) => ok);
    const bench = isBuilt ? await benchGroup(config, place) : undefined;
    if (bench) findings.push(...bench.findings);
    const built = results.flatMap((result) => result.built);
    if (config.manifest !== undefined && isBuilt) {
      const manifest = place.path(config.manifest);
      if (options.updateManifest) await writeManifest(manifest, built);
      else findings.push(...(await compareWithManifest(manifest, built)));
    }
    const stages = results.map(({ stage }) => {
      const times = bench?.data.pipeline?.stages.find(({ name }) => name === stage.name);
      return times === undefined
        ? stage
        : {
            ...stage,
            aloneP50: times.aloneP50,
            togetherP50: times.togetherP50,
            togetherSpinStopP50: times.togetherSpinStopP50,
          };
    });
    return createReport('run', {
      subject: subjectOf(options.config),
      findings,
      ok:
        isBuilt &&
        (bench?.ok ?? true) &&
        !findings.some(({ level, rule }) => level === 'error' && rule === 'not-reproduced'),
      data: {
        stages,
        jobs: results.map(({ name, ok, reports }) => ({ name, ok, reports })),
        bench: bench?.data ?? null,
      },
    });
  });
};
