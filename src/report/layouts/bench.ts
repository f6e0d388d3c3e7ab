/** bench: one row a model, then the comparisons and the pipeline, then the machine. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatMs, formatScalar, NONE } from '../format.ts';
import type { BenchData } from '../schemas/bench.ts';
import { batchBlock, costBlock, throughputBlock } from './bench-load.ts';
import { attributionBlocks, peaksBlock, profileBlocks } from './bench-profile.ts';

const ratio = (value: number): string => value.toFixed(3);

export const benchLayout: Layout<BenchData> = (data, { all }) => {
  const { environment, models, comparisons, pipeline, peaks, attributions } = data;
  const blocks: Block[] = [
    table(
      ['model', '>p50 ms', '>p90', '>p99', '>min', '>±95 %', '>load', '>first', '>runs'],
      models.map(({ name, loadMs, firstMs, summary }) => [
        printable(name),
        formatMs(summary.p50),
        formatMs(summary.p90),
        formatMs(summary.p99),
        formatMs(summary.min),
        formatMs((summary.ci95[1] - summary.ci95[0]) / 2),
        formatMs(loadMs),
        formatMs(firstMs),
        String(summary.n),
      ]),
    ),
  ];
  if (comparisons.length > 0) {
    blocks.push(
      table(
        ['candidate', 'baseline', '>ratio', '95 % interval', '>sessions', '>pairs', 'verdict'],
        comparisons.map(
          ({ candidate, baseline, ratio: middle, ci95, sessions, pairs, verdict, regression }) => [
            printable(candidate),
            printable(baseline),
            ratio(middle),
            `${ratio(ci95[0])} to ${ratio(ci95[1])}`,
            String(sessions),
            String(pairs),
            regression === undefined ? verdict : `${verdict}, regression ${regression}`,
          ],
        ),
        'comparisons',
      ),
    );
  }
  if (pipeline !== null) {
    blocks.push(
      table(
        ['stage', '>alone p50 ms', '>together p50 ms', '>slowdown', '>spinning stopped p50 ms'],
        pipeline.stages.map(({ name, aloneP50, togetherP50, slowdown, togetherSpinStopP50 }) => [
          printable(name),
          formatMs(aloneP50),
          formatMs(togetherP50),
          `× ${slowdown.toFixed(2)}`,
          togetherSpinStopP50 === null ? NONE : formatMs(togetherSpinStopP50),
        ]),
        'together',
      ),
    );
  }
  if (models.length > 0) blocks.push(costBlock(models));
  if (data.throughput.length > 0) blocks.push(throughputBlock(data.throughput));
  for (const sweep of data.batches) blocks.push(batchBlock(sweep));
  for (const { name, profile } of models) {
    if (profile !== null) blocks.push(...profileBlocks(name, profile, all));
  }
  for (const attribution of attributions) blocks.push(...attributionBlocks(attribution, all));
  if (peaks !== null) blocks.push(peaksBlock(peaks));
  const machine = Object.entries(environment).map(
    ([key, value]) => `${printable(key)} ${formatScalar(value)}`,
  );
  if (machine.length > 0) blocks.push(facts([['environment', machine.join(', ')]]));
  return blocks;
};
