/** Tensors as rows of a table (path, shape, dtype, sha256), as the oracle's .tsv files have them. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chunksOf } from '../../src/core/source.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';

const TORCH_NAMES: Record<string, string> = { float8e4m3fn: 'float8_e4m3fn', float8e5m2: 'float8_e5m2' };

/** One row for every tensor of all state dicts; the keys of nested dicts are joined by slashes. */
export const tensorRows = (file: WeightFile, chunk = 1000): string[] =>
  file.stateDicts.flatMap(({ path, tensors }) =>
    [...tensors].map(([key, { dtype, dims, data }]) => {
      const hash = createHash('sha256');
      for (const piece of chunksOf(data, chunk)) hash.update(piece);
      const name = path === '' ? key : `${path.replaceAll('.', '/')}/${key}`;
      return [name, `[${dims.join(', ')}]`, TORCH_NAMES[dtype] ?? dtype, hash.digest('hex')].join('\t');
    }),
  );

/** The rows of tensors in a .tsv file. */
export const expectedRows = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.split('\t').slice(0, 4))
    .filter(([, shape]) => shape?.startsWith('['))
    .map((cells) => cells.join('\t'));
