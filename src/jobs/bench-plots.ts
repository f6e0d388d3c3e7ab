/** The plots that a benchmark is asked for: checked before anything is measured, written when everything is. */
import { basename, extname, resolve } from 'node:path';
import type { Latency } from '../bench/measure.ts';
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Finding } from '../core/report.ts';
import { type PlotData, type PlotKind, type PlotName, plots } from '../report/plots/index.ts';
import type { BenchData } from '../report/schemas/bench.ts';
import type { ProfileNodeData } from '../report/schemas/bench-profile.ts';
import type { BenchTarget } from './bench-lab.ts';
import { checkOutput, writeFilesAtomically } from './output.ts';

/** `KIND=FILE` as it was given; without a kind, the name of the file may say it. */
export interface PlotOption {
  readonly name: string | undefined;
  readonly value: string;
}

export interface PlotRequest {
  readonly kind: PlotName;
  readonly path: string;
}

const kinds: ReadonlyMap<string, PlotName> = new Map(
  (Object.keys(plots) as PlotName[]).map((kind) => [kind, kind] as const),
);

const kindOf = ({ name, value }: PlotOption): PlotName => {
  if (name === undefined) return kinds.get(basename(value, extname(value))) ?? 'distribution';
  const kind = kinds.get(name);
  if (kind !== undefined) return kind;
  const near = nearestNames(name, kinds.keys(), 1)[0];
  throw new OrthoError('usage/unknown-name', `--plot: there is no kind "${name}"`, {
    hint: near === undefined ? `one of ${[...kinds.keys()].join(', ')}` : `did you mean ${near}?`,
  });
};

export interface PlotPlan {
  /** Models are measured together. */
  readonly isPipeline: boolean;
  /** Files that are read. */
  readonly inputs: readonly string[];
  readonly force: boolean;
}

/**
 * What is to be drawn, and where to.
 * @throws usage/unknown-name, usage/option for a file that is no SVG, usage/conflict, usage/output-exists,
 *   output/unwritable.
 */
export const planPlots = (options: readonly PlotOption[], plan: PlotPlan): readonly PlotRequest[] => {
  const requests = options.map((option): PlotRequest => ({ kind: kindOf(option), path: option.value }));
  const seen = new Set<string>();
  for (const { kind, path } of requests) {
    if (extname(path).toLowerCase() !== '.svg') {
      throw new OrthoError('usage/option', `--plot: ${path} is not the name of an SVG file`, {
        hint: `write ${kind}=FILE.svg`,
      });
    }
    if (kind === 'contention' && !plan.isPipeline) {
      throw new OrthoError('usage/conflict', '--plot contention draws models that are measured together', {
        hint: 'give several models, without --alone, --workers and --batch',
      });
    }
    if (seen.has(resolve(path))) throw new OrthoError('usage/conflict', `two plots would go to ${path}`);
    seen.add(resolve(path));
    checkOutput(path, { force: plan.force, inputs: plan.inputs });
  }
  return requests;
};

const dotsOf = (nodes: readonly ProfileNodeData[]): PlotData['rooflines'][number]['dots'] =>
  nodes.flatMap(({ name, op, gflops, gbPerS, share }) =>
    gflops === null || gbPerS === null ? [] : [{ name, op, intensity: gflops / gbPerS, gflops, share }],
  );

/** The numbers behind the plots. @param measured each model with its samples. */
export const plotData = (
  { models, pipeline, peaks }: BenchData,
  measured: readonly (readonly [BenchTarget, Pick<Latency, 'samples' | 'marks'>])[],
): PlotData => ({
  series: measured.map(([{ name }, { samples, marks }]) => ({
    name,
    samples: [...samples],
    disturbed: [...marks].map((mark) => mark !== 0),
  })),
  stages:
    pipeline?.stages.map(({ name, aloneP50, togetherP50, togetherSpinStopP50 }) => ({
      name,
      alone: aloneP50,
      together: togetherP50,
      stopped: togetherSpinStopP50,
    })) ?? [],
  rooflines:
    peaks === null
      ? []
      : models.flatMap(({ name, profile }) =>
          profile === null ? [] : [{ model: name, dots: dotsOf(profile.nodes), ...peaks }],
        ),
});

/**
 * Draws and writes, all files or none.
 * @returns a warning for each plot that there was nothing to draw for.
 * @throws OrthoError usage/output-exists, output/unwritable
 */
export const writePlots = async (
  requests: readonly PlotRequest[],
  data: PlotData,
  { force }: { readonly force: boolean },
): Promise<Finding[]> => {
  const findings: Finding[] = [];
  const files = requests.flatMap(({ kind, path }) => {
    const plot: PlotKind = plots[kind];
    const lacking = plot.lacks(data);
    if (lacking !== undefined) {
      findings.push({
        level: 'warning',
        rule: 'no-plot',
        message: `no ${kind} plot: ${lacking}`,
        at: { file: path },
      });
      return [];
    }
    const svg = Buffer.from(plot.draw(data));
    return [{ path, write: (sink: { write(bytes: Uint8Array): void }) => sink.write(svg) }];
  });
  if (files.length > 0) await writeFilesAtomically(files, { force });
  return findings;
};
