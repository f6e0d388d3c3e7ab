/** What `ortho bench` is asked for. */
import type { GivenInputs } from '../bench/feeds.ts';
import type { JobIo } from '../core/job-io.ts';
import type { Level, ProcessLimits, SessionOptions, Spinning } from '../runtime/session.ts';
import type { PlotOption } from './bench-plots.ts';

export interface BenchModel {
  readonly file: string;
  /** Default: the file name, or what tells it from others of that name. */
  readonly name?: string;
  /** Dimensions of its inputs, by name; they win over those given for all models. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
}

export interface BenchOptions {
  readonly models: readonly BenchModel[];
  /** A model, or the `.json` file of a stored baseline. */
  readonly baseline?: BenchModel | undefined;
  /** Measure the model of a stored baseline again instead of taking the stored numbers. */
  readonly remeasure?: boolean;
  /** Where to store what is measured of `models`, for later comparisons. */
  readonly saveBaseline?: string | undefined;
  /** Seconds for everything. Default: {@link defaultDuration}. */
  readonly duration?: number | undefined;
  /** Measure several models alone only. */
  readonly alone?: boolean;
  /** Also measure so many processes at once; with it, or with `batches`, models are not measured together. */
  readonly workers?: number | undefined;
  /** Also measure batches of these sizes; for models that leave their batch open. */
  readonly batches?: readonly number[];
  /** Also profile every model: where its time goes. */
  readonly profile?: boolean;
  /** SVG files to draw; `roofline` profiles the models. */
  readonly plot?: readonly PlotOption[];
  /** Replace outputs that exist. */
  readonly force?: boolean;
  /** Differences within this share count as none. Default 0.03. */
  readonly margin?: number;
  /** A regression beyond this share of the baseline's time, when proven, makes the report not ok. */
  readonly maxRegression?: number | undefined;
  /** What becomes of a regression that is neither proven nor excluded. Default: `pass`. */
  readonly onInconclusive?: 'fail' | 'pass' | undefined;
  /** How far outputs of compared models may be apart: `[OUT=]atol:1e-4,rtol:1e-3`. */
  readonly tolerance?: readonly string[];
  /** Compare models although their outputs differ. */
  readonly ignoreParity?: boolean;
  readonly level?: Level;
  readonly spinning?: Spinning;
  readonly given?: GivenInputs;
  readonly seed?: number;
  readonly hash?: boolean;
  readonly session?: Pick<SessionOptions, 'threads'> & ProcessLimits;
  readonly io?: JobIo;
}

/** 10 s, and 2 s a model beyond five. */
export const defaultDuration = (models: number): number => Math.max(10, 2 * models);
