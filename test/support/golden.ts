/** Golden files: what is generated must equal what is committed; `UPDATE=1` rewrites, and the diff is the review. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

export const repository = fileURLToPath(new URL('../../', import.meta.url));

/** Compares `text` with the file at `path` (from the root of the repository). */
export const expectGolden = (path: string, text: string): void => {
  const file = `${repository}${path}`;
  if (process.env.UPDATE === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  expect(existsSync(file), `${path} is missing; UPDATE=1 writes it`).toBe(true);
  expect(text, `${path} is stale; UPDATE=1 rewrites it`).toBe(readFileSync(file, 'utf8'));
};
