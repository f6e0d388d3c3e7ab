/** The plots of a bench report, by the names that `--plot KIND=FILE` takes. Each needs some of these numbers. */
import { type ContentionStage, contentionPlot } from './contention.ts';
import { distributionPlot } from './distribution.ts';
import { type RooflineData, rooflinePlot } from './roofline.ts';
import type { SampleSeries } from './samples.ts';
import { timelinePlot } from './timeline.ts';

export interface PlotData {
  /** One a model that was timed alone. */
  readonly series: readonly SampleSeries[];
  /** Models alone and together; none when they were not measured together. */
  readonly stages: readonly ContentionStage[];
  /** One a model that was profiled. */
  readonly rooflines: readonly RooflineData[];
}

export interface PlotKind {
  readonly summary: string;
  /** What is missing when there is nothing to draw; undefined otherwise. */
  lacks(data: PlotData): string | undefined;
  draw(data: PlotData): string;
}

const lacksSamples = ({ series }: PlotData): string | undefined =>
  series.length > 0 ? undefined : 'no model was timed';

export const plots = {
  distribution: {
    summary: 'histogram of run times a model, with median and 95th percentile',
    lacks: lacksSamples,
    draw: ({ series }) => distributionPlot(series),
  },
  timeline: {
    summary: 'run times in their order, disturbed ones marked',
    lacks: lacksSamples,
    draw: ({ series }) => timelinePlot(series),
  },
  contention: {
    summary: 'models alone and together',
    lacks: ({ stages }) => (stages.length > 0 ? undefined : 'models were not measured together'),
    draw: ({ stages }) => contentionPlot(stages),
  },
  roofline: {
    summary: 'what kernels reach against what the machine allows; profiles the models',
    lacks: ({ rooflines }) => (rooflines.length > 0 ? undefined : 'no model was profiled'),
    draw: ({ rooflines }) => rooflinePlot(rooflines),
  },
} as const satisfies Record<string, PlotKind>;

export type PlotName = keyof typeof plots;
