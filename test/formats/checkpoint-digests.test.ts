/**
 * Checkpoints of PyTorch 1.13 against what PyTorch reads from them: one digest a state dict. test/golden/make has the
 * script that made the table, and one that compares files which are too large to be kept here.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { chunksOf } from '../../src/core/source.ts';
import { openWeights } from '../../src/formats/index.ts';

const rows = readFileSync(new URL('../golden/checkpoint-digests.tsv', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => line.split('\t') as [file: string, path: string, tensors: string, digest: string])
  .map(
    ([file, ...row]) =>
      [new URL(`../fixtures/checkpoints/${file}`, import.meta.url).pathname, ...row] as const,
  )
  .filter(([path]) => existsSync(path));

describe('state dicts are what PyTorch reads', () => {
  it('the table has some of the files that are kept here', () => {
    expect(rows.length).toBeGreaterThan(10);
  });
  it.each(rows.map(([file, ...row]) => [file.slice(file.lastIndexOf('/') + 1), file, ...row] as const))(
    '%s',
    (_, file, path, tensors, digest) => {
      const weights = openWeights(file);
      const dict = weights.stateDicts.find((each) => each.path === path);
      const lines = [...(dict?.tensors ?? [])].map(([key, { dtype, dims, data }]) => {
        const hash = createHash('sha256');
        for (const chunk of chunksOf(data)) hash.update(chunk);
        return `${key}\t[${dims.join(', ')}]\t${dtype}\t${hash.digest('hex')}\n`;
      });
      expect(lines).toHaveLength(Number(tensors));
      expect(createHash('sha256').update(lines.sort().join('')).digest('hex')).toBe(digest);
      weights.close();
    },
  );
});
