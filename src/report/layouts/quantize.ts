/** quantize: the scheme, before and after, what was left in float, parity. */
import { printable } from '../../core/printable.ts';
import { facts, type Layout, table } from '../document.ts';
import { formatNumber, NONE } from '../format.ts';
import type { QuantizeData } from '../schemas/quantize.ts';
import { modelChange } from './model-change.ts';
import { parityBlocks } from './parity.ts';

const decibels = (value: number | null): string => (value === null ? NONE : formatNumber(value));

export const quantizeLayout: Layout<QuantizeData> = ({
  scheme,
  calibration,
  evaluation,
  before,
  after,
  excluded,
  outputs,
  parity,
}) => [
  facts([
    ['scheme', printable(scheme)],
    [
      'calibration',
      calibration === null ? 'none' : `${printable(calibration.method)}, ${calibration.samples} samples`,
    ],
    [
      'judged on',
      `${evaluation.samples} samples (${printable(evaluation.origin)}), at least ${formatNumber(evaluation.minSqnr)} dB`,
    ],
  ]),
  table(
    ['output', '>centred SQNR dB', '>SQNR dB', '>varies by', 'judgeable'],
    outputs.map(({ name, sqnrDb, centredSqnrDb, variation, judgeable }) => [
      printable(name),
      decibels(centredSqnrDb),
      decibels(sqnrDb),
      formatNumber(variation),
      judgeable ? 'yes' : 'no',
    ]),
  ),
  modelChange(before, after),
  ...(excluded.length === 0
    ? []
    : [
        table(
          ['node', 'reason'],
          excluded.map(({ node, reason }) => [printable(node), printable(reason)]),
          'left in float',
        ),
      ]),
  ...(parity === null ? [] : parityBlocks(parity, 'parity')),
];
