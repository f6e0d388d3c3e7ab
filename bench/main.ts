/**
 * `npm run bench [-- NAME...]`: the benchmarks, one after the other, each a table of ratios taken in one run.
 * Ratios travel between machines; absolute times do not.
 */
import type { Benchmark, Row } from './benchmark.ts';
import { checkpoints } from './checkpoints.ts';
import { codec } from './codec.ts';
import { convert } from './convert.ts';
import { memory } from './memory.ts';
import { overhead } from './overhead.ts';
import { startup } from './startup.ts';

const benchmarks: Readonly<Record<string, Benchmark>> = {
  startup,
  codec,
  convert,
  checkpoints,
  memory,
  overhead,
};

const print = (rows: readonly Row[]): void => {
  const cells = rows.map((row) => [
    row.what,
    row.against,
    row.measured,
    row.wanted,
    row.isMet === undefined ? '' : row.isMet ? 'met' : 'NOT MET',
  ]);
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...cells.map((row) => (row[column] as string).length)),
  );
  for (const row of cells) {
    console.log(`  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
  }
};

const names = process.argv.slice(2);
const unknown = names.find((name) => !Object.hasOwn(benchmarks, name));
if (unknown !== undefined) {
  console.error(`no benchmark "${unknown}"; there are ${Object.keys(benchmarks).join(', ')}`);
  process.exitCode = 2;
} else {
  for (const [name, { summary, run }] of Object.entries(benchmarks)) {
    if (names.length > 0 && !names.includes(name)) continue;
    console.log(`${name}: ${summary}`);
    print(await run());
    console.log('');
  }
}
