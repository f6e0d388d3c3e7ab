/** State dicts of known modules by key and shape only, as tab-separated lists: key, shape, dtype, and "= alias". */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { computedTensor } from '../../src/convert/computed-source.ts';
import type { DType } from '../../src/core/dtype.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';

/** Tensors of zeros under the keys of `fixtures/convert/keys/<name>.tsv`. */
export const keysOf = (name: string): Map<string, WeightTensor> => {
  const file = fileURLToPath(new URL(`../fixtures/convert/keys/${name}.tsv`, import.meta.url));
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return new Map(
    lines.map((line) => {
      const [key = '', shape = '[]', dtype = 'float32', alias] = line.split('\t');
      const dims: number[] = JSON.parse(shape);
      const tensor = computedTensor(dtype as DType, dims, (size) => new Uint8Array(size));
      return [key, alias === undefined ? tensor : { ...tensor, sharedWith: alias.replace(/^= /, '') }];
    }),
  );
};
