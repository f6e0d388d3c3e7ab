/**
 * What to do about a quantised model below the bar: which layers to keep in float, measured on samples that the final
 * judgement does not use.
 */
import { join } from 'node:path';
import type { JobIo } from '../core/job-io.ts';
import type { Range } from '../quantize/affine.ts';
import { evaluate, lowestQuality } from '../quantize/evaluate.ts';
import { loadFloat, rewrite } from '../quantize/rewrite.ts';
import { type SampleSet, subset } from '../quantize/samples.ts';
import type { Scheme, SchemeContext } from '../quantize/scheme.ts';
import { findSensitive } from '../quantize/sensitivity.ts';
import { isWeighted } from '../quantize/static-plan.ts';
import { SessionHost } from '../runtime/isolated.ts';
import type { Level, ProcessLimits, Session, SessionOptions } from '../runtime/session.ts';
import { writeModel } from './model-file.ts';

/** Samples that each trial runs: enough to tell layers apart, few enough to try them all. */
const TRIAL_SAMPLES = 4;

export interface AdviceOptions {
  /** The float model's file, and a session that runs it. */
  readonly float: string;
  readonly reference: Session;
  readonly scheme: Scheme;
  readonly context: SchemeContext;
  readonly ranges: ReadonlyMap<string, Range>;
  readonly samples: SampleSet;
  readonly minSqnr: number;
  readonly level: Level;
  /** For temporary files. */
  readonly folder: string;
  readonly session: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly io: JobIo;
}

/** A hint in words, with the options to type. */
export const adviseExclusions = async (options: AdviceOptions): Promise<string> => {
  const { float, reference, scheme, context, ranges, minSqnr, level, folder, session, io } = options;
  const { samples: all } = options;
  const count = Math.min(TRIAL_SAMPLES, all.count);
  const samples = subset(
    all,
    Array.from({ length: count }, (_, i) => i),
  );
  const layers = loadFloat(float)
    .graph.nodes.filter((node) => isWeighted(node) && node.name !== '' && !context.isExcluded(node))
    .map(({ name }) => name);
  const host = new SessionHost(session);
  try {
    const measure = async (floats: ReadonlySet<string>): Promise<number> => {
      const trial: SchemeContext = {
        ...context,
        isExcluded: (node) => context.isExcluded(node) || floats.has(node.name),
      };
      const path = join(folder, 'trial.onnx');
      await writeModel(path, rewrite(float, scheme, trial, ranges).model, { isTemporary: true });
      const candidate = await host.open(path, { ...session, level });
      const names = { reference: float, candidate: path, level };
      const evaluation = await evaluate(reference, candidate, samples, names);
      await candidate.close();
      return lowestQuality(evaluation);
    };
    const found = await findSensitive(layers, measure, minSqnr, (done, of) =>
      io.progress('find the sensitive layers', done / of),
    );
    if (found === undefined) {
      return 'no single layer explains it: give more samples, or lower --min-sqnr';
    }
    const { nodes, quality } = found;
    const reaches = quality >= minSqnr ? 'reaches' : 'comes to';
    const options = nodes.map((node) => `--exclude '${node}'`).join(' ');
    return `with ${nodes.length === 1 ? 'this layer' : `these ${nodes.length} layers`} in float it ${reaches} ${quality.toFixed(1)} dB on calibration samples: ${options}`;
  } finally {
    await host.close();
  }
};
