/** quantize: the scheme, before and after, what was left in float, parity. */
import { printable } from '../../core/printable.ts';
import { facts, type Layout, table } from '../document.ts';
import type { QuantizeData } from '../schemas/quantize.ts';
import { modelChange } from './model-change.ts';
import { parityBlocks } from './parity.ts';

export const quantizeLayout: Layout<QuantizeData> = ({
  scheme,
  calibration,
  before,
  after,
  excluded,
  parity,
}) => [
  facts([
    ['scheme', printable(scheme)],
    [
      'calibration',
      calibration === null ? 'none' : `${printable(calibration.method)}, ${calibration.samples} samples`,
    ],
  ]),
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
