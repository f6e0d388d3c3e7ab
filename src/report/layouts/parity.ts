/** Parity, as its own report (verify) and as a part of others. */

import { printable } from '../../core/printable.ts';
import { type Block, facts, table } from '../document.ts';
import { formatNumber, formatScalar, formatShape, NONE } from '../format.ts';
import type { OutputParityData, ParityData } from '../schemas/verify.ts';

const formatMetric = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : formatNumber(value);

const formatWorst = ({ worst }: OutputParityData): string =>
  worst === null
    ? NONE
    : `[${worst.index.join(', ')}] ${formatMetric(worst.expected)} / ${formatMetric(worst.actual)}`;

const formatTolerance = (tolerance: ParityData['tolerance']): string =>
  Object.entries(tolerance)
    .map(([name, { atol, rtol }]) => {
      const whose = name === '' ? '' : `${printable(name)}: `;
      return `${whose}atol ${formatNumber(atol)}, rtol ${formatNumber(rtol)}`;
    })
    .join('; ');

/** The blocks of a comparison; `title` where it is a part of another report. */
export const parityBlocks = (parity: ParityData, title?: string): Block[] => {
  const outputs = parity.cases.flatMap(({ outputs }) => outputs);
  const metrics = [...new Set(outputs.flatMap(({ metrics }) => Object.keys(metrics)))];
  const hasNonFinite = outputs.some(({ nonFinite }) => nonFinite.expected + nonFinite.actual > 0);
  const isWorstShown = outputs.some(({ ok }) => !ok);
  const rows = parity.cases.flatMap(({ name, outputs }) =>
    outputs.map((output) => [
      printable(name),
      printable(output.name),
      `${output.dtype} ${formatShape(output.dims)}`,
      ...metrics.map((metric) => formatMetric(output.metrics[metric])),
      ...(hasNonFinite ? [`${output.nonFinite.expected} / ${output.nonFinite.actual}`] : []),
      ...(isWorstShown ? [formatWorst(output)] : []),
      output.ok ? 'ok' : 'FAILED',
    ]),
  );
  const columns = [
    'case',
    'output',
    'type',
    ...metrics.map((metric) => `>${metric}`),
    ...(hasNonFinite ? ['>non-finite exp/act'] : []),
    ...(isWorstShown ? ['worst: expected / actual'] : []),
    'result',
  ];
  return [
    facts(
      [
        ['reference', printable(parity.reference)],
        ['candidate', printable(parity.candidate)],
        ['tolerance', formatTolerance(parity.tolerance)],
        ...(parity.firstDivergence === null
          ? []
          : ([['first divergence', formatScalar(parity.firstDivergence)]] as const)),
      ],
      title,
    ),
    table(columns, rows),
  ];
};
