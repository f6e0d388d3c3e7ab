/** Blocks of bench reports for what runs cost beside their time, workers at once, and batches. */
import { printable } from '../../core/printable.ts';
import { type Block, table } from '../document.ts';
import { formatMs, NONE } from '../format.ts';
import type { BenchModelData } from '../schemas/bench.ts';
import type { BatchSweepData, ThroughputData } from '../schemas/bench-load.ts';

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;
const megabytes = (mb: number | undefined): string => (mb === undefined ? NONE : mb.toFixed(0));

/** Processor time, memory, and how far the machine let them be measured. */
export const costBlock = (models: readonly BenchModelData[]): Block =>
  table(
    ['model', '>CPU ms a run', '>idle CPU', '>feed ms', '>peak MB', '>steady MB', '>disturbed', '>outliers'],
    models.map(({ name, cpuMsPerRun, idleCpuShare, feedMs, memory, disturbed, outliers }) => [
      printable(name),
      formatMs(cpuMsPerRun),
      idleCpuShare === null ? NONE : percent(idleCpuShare),
      feedMs === null ? NONE : formatMs(feedMs),
      megabytes(memory?.peakMb),
      megabytes(memory?.steadyMb),
      `${percent(disturbed.share)}${disturbed.isLeftOut ? ' left out' : ''}`,
      percent(outliers.share),
    ]),
    'cost',
  );

export const throughputBlock = (throughput: readonly ThroughputData[]): Block =>
  table(
    ['model', '>workers', '>threads', '>a second', '>p50 ms', '>p99', '>one worker', '>scaling'],
    throughput.map(({ name, threads, single, load, scaling }) => [
      printable(name),
      String(load.workers),
      String(threads),
      load.perSecond.toFixed(1),
      formatMs(load.p50),
      formatMs(load.p99),
      single.perSecond.toFixed(1),
      `× ${scaling.toFixed(2)}`,
    ]),
    'throughput',
  );

export const batchBlock = ({ name, points }: BatchSweepData): Block =>
  table(
    ['>batch', '>p50 ms', '>p99', '>ms an item', '>items a second'],
    points.map(({ batch, summary, msPerItem }) => [
      String(batch),
      formatMs(summary.p50),
      formatMs(summary.p99),
      formatMs(msPerItem),
      (1000 / msPerItem).toFixed(1),
    ]),
    `batches: ${printable(name)}`,
  );
