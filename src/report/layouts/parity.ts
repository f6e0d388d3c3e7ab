/** Parity, as its own report (verify) and as a part of others. */

import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, type Table, table } from '../document.ts';
import { formatNumber, formatScalar, formatShape, NONE } from '../format.ts';
import type { OutputParityData, ParityData } from '../schemas/verify.ts';

const formatMetric = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : formatNumber(value);

/** Enough digits to see where two float32 values part. */
const formatElement = (value: number | null): string => (value === null ? NONE : formatNumber(value, 9));

const formatWorst = ({ worst }: OutputParityData): string =>
  worst === null
    ? NONE
    : `[${worst.index.join(', ')}] ${formatElement(worst.expected)} / ${formatElement(worst.actual)}`;

const formatTolerance = (tolerance: ParityData['tolerance']): string =>
  Object.entries(tolerance)
    .map(([name, { atol, rtol, ofMax }]) => {
      const whose = name === '' ? '' : `${printable(name)}: `;
      if (atol === Number.MAX_VALUE) return `${whose}any difference`;
      const relative = ofMax === 0 ? '' : `, ${formatNumber(ofMax)} of the largest`;
      return `${whose}atol ${formatNumber(atol)}, rtol ${formatNumber(rtol)}${relative}`;
    })
    .join('; ');

const metricNames = (rows: readonly { readonly metrics: OutputParityData['metrics'] }[]): string[] => [
  ...new Set(rows.flatMap(({ metrics }) => Object.keys(metrics))),
];

const resultText = (ok: boolean): string => (ok ? 'ok' : 'FAILED');

/** One row an output and level, over all cases. */
const summaryTable = (summaries: ParityData['outputs']): Table => {
  const metrics = metricNames(summaries);
  return table(
    ['output', 'level', '>cases', ...metrics.map((metric) => `>${metric}`), 'result'],
    summaries.map((one) => [
      printable(one.name),
      one.level,
      String(one.cases),
      ...metrics.map((metric) => formatMetric(one.metrics[metric])),
      resultText(one.ok),
    ]),
  );
};

/** One row an output of a case. */
const caseTable = (cases: ParityData['cases']): Table => {
  const all = cases.flatMap(({ outputs }) => outputs);
  const metrics = metricNames(all);
  const hasNonFinite = all.some(({ nonFinite }) => nonFinite.expected + nonFinite.actual > 0);
  const hasFailed = all.some(({ ok }) => !ok);
  const columns = [
    'case',
    'level',
    'output',
    'type',
    ...metrics.map((metric) => `>${metric}`),
    ...(hasNonFinite ? ['>non-finite exp/act'] : []),
    ...(hasFailed ? ['worst: expected / actual'] : []),
    'result',
  ];
  const rows = cases.flatMap(({ name, level, outputs }) =>
    outputs.map((output) => [
      printable(name),
      level,
      printable(output.name),
      `${output.dtype} ${formatShape(output.dims)}`,
      ...metrics.map((metric) => formatMetric(output.metrics[metric])),
      ...(hasNonFinite ? [`${output.nonFinite.expected} / ${output.nonFinite.actual}`] : []),
      ...(hasFailed ? [formatWorst(output)] : []),
      resultText(output.ok),
    ]),
  );
  return table(columns, rows);
};

/** The blocks of a comparison; `title` where it is a part of another report, which then has the summary only. */
export const parityBlocks = (parity: ParityData, title?: string): Block[] => {
  const { reference, candidate, tolerance, cases, outputs, skipped, firstDivergence } = parity;
  const blocks: Block[] = [
    facts(
      [
        ['reference', printable(reference)],
        ['candidate', printable(candidate)],
        ['tolerance', formatTolerance(tolerance)],
        ...(firstDivergence === null ? [] : ([['first divergence', formatScalar(firstDivergence)]] as const)),
      ],
      title,
    ),
    summaryTable(outputs),
  ];
  if (title === undefined || cases.some((one) => one.outputs.some(({ ok }) => !ok)))
    blocks.push(caseTable(cases));
  if (skipped.length > 0) {
    const rows = skipped.map(({ name, reason }) => [printable(name), printable(reason)]);
    blocks.push(table(['output', 'reason'], rows, 'not compared'));
  }
  return blocks;
};

export const verifyLayout: Layout<ParityData> = (data) => parityBlocks(data);
