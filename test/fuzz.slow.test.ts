/** A quarter of a minute of the fuzz run, seeded. `npm run fuzz` runs ten minutes of it. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const main = fileURLToPath(new URL('../dist/test/fuzz/main.js', import.meta.url));

it('damaged checkpoints give an OrthoError or are read', () => {
  const output = execFileSync(process.execPath, [main, '--seconds', '15', '--seed', '2026'], {
    encoding: 'utf8',
  });
  expect(output).toMatch(/^\d+ cases with seed 2026: [1-9]\d* files opened, [1-9]\d* refused;/);
});
