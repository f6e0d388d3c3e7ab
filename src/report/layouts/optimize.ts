/** optimize: before and after, the passes that did or declined something, parity. */
import { printable } from '../../core/printable.ts';
import { type Layout, table } from '../document.ts';
import { formatMs } from '../format.ts';
import type { OptimizeData } from '../schemas/optimize.ts';
import { modelChange } from './model-change.ts';
import { parityBlocks } from './parity.ts';

export const optimizeLayout: Layout<OptimizeData> = ({ before, after, passes, rolledBack, parity }) => {
  const active = passes.filter(({ changes, declined }) => changes > 0 || declined.length > 0);
  const rows = active.map(({ name, changes, ms, declined }) => [
    printable(name),
    String(changes),
    formatMs(ms),
    declined.map(({ reason, count }) => `${count} × ${printable(reason)}`).join('; '),
  ]);
  return [
    modelChange(before, after),
    ...(rows.length === 0 ? [] : [table(['pass', '>changes', '>ms', 'declined'], rows, 'passes')]),
    ...(rolledBack.length === 0
      ? []
      : [
          table(
            ['pass', 'reason'],
            rolledBack.map(({ name, reason }) => [printable(name), printable(reason)]),
            'rolled back',
          ),
        ]),
    ...(parity === null ? [] : parityBlocks(parity, 'parity')),
  ];
};
