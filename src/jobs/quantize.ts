/**
 * Quantises a model: optimise → calibrate → rewrite → judge → write.
 *
 * The judgement is made at the runtime's default level on samples that the calibration did not see. Below the bar
 * nothing is written; the report says how far below, and what to try.
 */
import { join } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { globMatcher } from '../core/glob.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { nearestNames } from '../core/nearest.ts';
import { createReport, type Finding, type Report } from '../core/report.ts';
import { modelSizeOf } from '../inspect/model-size.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import { inferShapes } from '../ops/infer/index.ts';
import type { Range } from '../quantize/affine.ts';
import { collectRanges, observeRanges } from '../quantize/calibrate.ts';
import { type Evaluation, evaluate, MIN_VARIATION } from '../quantize/evaluate.ts';
import type { Normalization } from '../quantize/image.ts';
import { type SchemeName, schemes } from '../quantize/index.ts';
import { randomSamples } from '../quantize/random-samples.ts';
import { calibratedTensors, loadFloat, rewrite } from '../quantize/rewrite.ts';
import { holdOut, NO_NORMALIZATION, openSamples, type SampleSet } from '../quantize/samples.ts';
import type { Excluded, Scheme, SchemeContext } from '../quantize/scheme.ts';
import type { QuantizeData } from '../report/schemas/quantize.ts';
import { openIsolatedSession } from '../runtime/isolated.ts';
import type { ProcessLimits, Session, SessionOptions } from '../runtime/session.ts';
import { type GivenShape, shapesByName } from '../verify/inputs.ts';
import { requiredInputs } from '../verify/model-inputs.ts';
import { modelDataFiles } from './data-files.ts';
import { writeModel } from './model-file.ts';
import { optimizeModel } from './optimize.ts';
import { checkOutput } from './output.ts';
import { adviseExclusions } from './quantize-advice.ts';
import { subjectOf } from './subject.ts';
import { withTempFolder } from './temp-files.ts';

/** Least centred SQNR in dB that a quantised model must reach unless told otherwise. */
export const DEFAULT_MIN_SQNR = 10;

/** The level at which users run a model: the runtime's own default. */
const DEPLOYED_LEVEL = 'all';

export interface QuantizeOptions {
  readonly input: string;
  readonly output: string;
  readonly scheme: SchemeName;
  /** A folder (or file) of images, `.npy` or `.npz`; needed by schemes that calibrate. */
  readonly calibrate?: string | undefined;
  /** Samples to judge on; default: every third calibration sample is kept apart. */
  readonly evaluate?: string | undefined;
  /** Take this many seeded crops of the images instead of the whole images. */
  readonly crops?: number | undefined;
  readonly normalization?: Normalization | undefined;
  /** Least centred SQNR in dB; default {@link DEFAULT_MIN_SQNR}. */
  readonly minSqnr?: number | undefined;
  /** Globs of node names that stay float. */
  readonly exclude?: readonly string[];
  /** Also quantise convolutions where the scheme would leave them (dynamic: slower). */
  readonly convolutions?: boolean;
  /** Dimensions of the inputs that are made up: to prove the optimised model, and to judge where no samples are given. */
  readonly shapes?: readonly GivenShape[];
  readonly seed?: number;
  readonly force?: boolean;
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io?: JobIo;
}

type LimitedSession = Omit<SessionOptions, 'level'> & ProcessLimits;

const withSession = async <T>(
  path: string,
  options: SessionOptions & ProcessLimits,
  action: (session: Session) => Promise<T>,
): Promise<T> => {
  const session = await openIsolatedSession(path, options);
  try {
    return await action(session);
  } finally {
    await session.close();
  }
};

interface Samples {
  readonly calibration: SampleSet | undefined;
  readonly evaluation: SampleSet;
}

const findSamples = async (
  options: QuantizeOptions,
  scheme: Scheme,
  model: Model,
  reference: Session,
): Promise<Samples> => {
  const { seed = 0, normalization = NO_NORMALIZATION, crops } = options;
  const { inputs } = reference;
  const open = (path: string, ownSeed: number): Promise<SampleSet> =>
    openSamples(path, inputs, { crops, seed: ownSeed, normalization });
  // Other crops of the same photographs judge what these calibrate.
  const judged = options.evaluate === undefined ? undefined : await open(options.evaluate, seed + 1);
  if (!scheme.needsCalibration) {
    const samples = options.calibrate === undefined ? undefined : await open(options.calibrate, seed);
    const given = judged ?? samples;
    if (given !== undefined) return { calibration: undefined, evaluation: given };
    const shapes = shapesByName(requiredInputs(model), options.shapes ?? []);
    return { calibration: undefined, evaluation: await randomSamples(model, reference, { seed, shapes }) };
  }
  if (options.calibrate === undefined) {
    throw new OrthoError('usage/option', `the scheme ${scheme.name} needs samples to calibrate on`, {
      hint: 'give --calibrate FOLDER with images, .npy or .npz files',
    });
  }
  const samples = await open(options.calibrate, seed);
  if (judged) return { calibration: samples, evaluation: judged };
  const parts = holdOut(samples);
  if (parts.evaluation.count < 2) {
    throw new OrthoError(
      'usage/option',
      `${samples.count} samples are too few: every third is kept apart to judge on, and that takes two of them`,
      { hint: 'give six samples or more, --crops N of images, or --evaluate FOLDER' },
    );
  }
  return parts;
};

const calibrate = async (
  float: string,
  tensors: ReadonlySet<string>,
  samples: SampleSet,
  folder: string,
  session: LimitedSession,
  io: JobIo,
): Promise<Map<string, Range>> => {
  const observer = loadFloat(float);
  observeRanges(observer, tensors);
  const path = join(folder, 'observer.onnx');
  await writeModel(path, observer, { isTemporary: true });
  return withSession(path, { ...session, level: 'basic' }, (open) =>
    collectRanges(open, tensors, samples, (done) => io.progress('calibrate', done / samples.count)),
  );
};

const decibels = (value: number | null | undefined): string =>
  value === null || value === undefined ? 'no finite SQNR' : `${value.toFixed(1)} dB`;

/** What keeps the model from being written; none when it is good. */
const judge = ({ outputs }: Evaluation, minSqnr: number): Finding[] => {
  const findings: Finding[] = [];
  for (const { name, metrics, variation, isJudgeable } of outputs) {
    if (isJudgeable) continue;
    findings.push({
      level: 'error',
      rule: 'quantize-not-judgeable',
      message:
        `output "${name}" hardly varies over the samples (by ${variation.toExponential(1)} of its size, ` +
        `less than ${MIN_VARIATION.toExponential(0)}): its ${decibels(metrics.sqnrDb)} say nothing`,
      hint: 'judge on real samples with trained weights (--evaluate), or --min-sqnr -100 to write it unjudged',
      at: { value: name },
    });
  }
  for (const { name, metrics, isJudgeable } of outputs) {
    const centred = metrics.centredSqnrDb ?? (metrics.maxAbs === 0 ? Infinity : -Infinity);
    if (!isJudgeable || centred >= minSqnr) continue;
    findings.push({
      level: 'error',
      rule: 'quantize-below-bar',
      message: `output "${name}" reaches ${decibels(metrics.centredSqnrDb)} centred SQNR, the bar is ${minSqnr} dB`,
      at: { value: name },
    });
  }
  return findings;
};

const emptyRewrite = (scheme: Scheme, excluded: readonly Excluded[]): Finding => ({
  level: 'error',
  rule: 'quantize-nothing',
  message: `the scheme ${scheme.name} finds nothing to quantise${excluded[0] ? `; "${excluded[0].node}": ${excluded[0].reason}` : ''}`,
  hint: 'dynamic: --convolutions quantises convolutions too; static needs constant float32 weights',
});

/** A glob that names no node is a typing error, or speaks of another version of the model. */
const unmatchedExclusions = (globs: readonly string[], float: string): Finding[] => {
  const names = loadModel(float).graph.nodes.map(({ name }) => name);
  return globs
    .filter((glob) => !names.some(globMatcher([glob])))
    .map((glob) => ({
      level: 'warning',
      rule: 'exclude-matches-nothing',
      message: `--exclude '${glob}' matches no node of the optimised model`,
      hint:
        nearestNames(glob, names)[0] === undefined
          ? 'ortho inspect --text shows the names'
          : `did you mean '${nearestNames(glob, names)[0]}'?`,
    }));
};

/**
 * @throws OrthoError usage/*, file/*, op/unsupported, runtime/*. A model below the bar does not throw: the report is
 *   not ok, and nothing is written.
 */
export const quantizeModel = async (options: QuantizeOptions): Promise<Report<'quantize', QuantizeData>> => {
  const { input, output, seed = 0, force = false, minSqnr = DEFAULT_MIN_SQNR, io = silentIo() } = options;
  const scheme: Scheme = schemes[options.scheme];
  const session: LimitedSession = { signal: io.signal, ...options.session };
  checkOutput(output, { force, inputs: [input] });
  const subject = subjectOf(input);
  checkOutput(output, { force, inputs: modelDataFiles(loadModel(input)) });
  return withTempFolder(async (folder) => {
    const float = join(folder, 'float.onnx');
    const optimized = await optimizeModel({
      input,
      output: float,
      target: 'onnx',
      seed,
      shapes: options.shapes ?? [],
      session,
      io,
    });
    if (!optimized.ok) {
      throw new OrthoError(
        'verify/parity',
        `${input}: the model could not be optimised without changing it`,
        {
          hint: `see ortho optimize ${input}`,
        },
      );
    }
    const isExcluded = globMatcher(options.exclude ?? []);
    const context: SchemeContext = {
      isExcluded: ({ name }) => isExcluded(name),
      convolutions: options.convolutions ?? false,
    };
    return await withSession(float, { ...session, level: DEPLOYED_LEVEL }, async (reference) => {
      const samples = await findSamples(options, scheme, loadModel(float), reference);
      const tensors = calibratedTensors(float, scheme, context);
      const ranges =
        samples.calibration === undefined || tensors.size === 0
          ? new Map<string, Range>()
          : await calibrate(float, tensors, samples.calibration, folder, session, io);
      const { model, excluded, isQuantized } = rewrite(float, scheme, context, ranges);
      const candidate = join(folder, 'candidate.onnx');
      const { bytes } = await writeModel(candidate, model, { isTemporary: true });
      const evaluation = await withSession(candidate, { ...session, level: DEPLOYED_LEVEL }, (open) =>
        evaluate(reference, open, samples.evaluation, {
          reference: input,
          candidate: output,
          level: DEPLOYED_LEVEL,
          onSample: (done) => io.progress('judge', done / samples.evaluation.count),
        }),
      );
      const findings = judge(evaluation, minSqnr);
      if (!isQuantized) findings.push(emptyRewrite(scheme, excluded));
      findings.push(...unmatchedExclusions(options.exclude ?? [], float));
      const below = findings.findIndex(({ rule }) => rule === 'quantize-below-bar');
      if (below >= 0) {
        const hint = await adviseExclusions({
          float,
          reference,
          scheme,
          context,
          ranges,
          samples: samples.calibration ?? samples.evaluation,
          minSqnr,
          level: DEPLOYED_LEVEL,
          folder,
          session,
          io,
        });
        findings[below] = { ...(findings[below] as Finding), hint };
      }
      // A bar that everything passes also writes what cannot be judged: the user asked for it.
      const isRefused =
        !isQuantized ||
        findings.some(({ rule }) => rule === 'quantize-below-bar') ||
        (findings.some(({ rule }) => rule === 'quantize-not-judgeable') && minSqnr > -100);
      if (!isRefused) await writeModel(output, model, { force });
      inferShapes(model);
      const before = loadModel(input);
      inferShapes(before);
      return createReport('quantize', {
        subject,
        ok: !isRefused,
        findings: isRefused
          ? findings
          : findings.map((finding) => ({ ...finding, level: 'warning' as const })),
        data: {
          scheme: scheme.name,
          calibration: samples.calibration ? { samples: samples.calibration.count, method: 'minmax' } : null,
          evaluation: { samples: samples.evaluation.count, origin: samples.evaluation.origin, minSqnr },
          before: modelSizeOf(before, subject.bytes),
          after: modelSizeOf(model, bytes),
          excluded: excluded.map(({ node, reason }) => ({ node, reason })),
          outputs: evaluation.outputs.map(({ name, metrics, variation, isJudgeable }) => ({
            name,
            sqnrDb: metrics.sqnrDb ?? null,
            centredSqnrDb: metrics.centredSqnrDb ?? null,
            variation,
            judgeable: isJudgeable,
          })),
          parity: evaluation.parity,
        },
      });
    });
  });
};
