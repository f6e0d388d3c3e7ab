/** run: one row a job, then the bench of all. */
import { printable } from '../../core/printable.ts';
import { type Layout, table } from '../document.ts';
import type { RunData } from '../schemas/run.ts';
import { benchLayout } from './bench.ts';

export const runLayout: Layout<RunData> = ({ jobs, bench }) => [
  table(
    ['job', 'steps', 'result'],
    jobs.map(({ name, ok, reports }) => [
      printable(name),
      reports.map(({ schema, ok }) => `${schema.split('@')[0]}${ok ? '' : ' FAILED'}`).join(', '),
      ok ? 'ok' : 'FAILED',
    ]),
  ),
  ...(bench === null ? [] : benchLayout(bench)),
];
