/** Checkpoints made for measuring: a state dict of a given size under the prefix of DataParallel, seeded. */
import { BytesSource } from '../src/core/source.ts';
import type { Tensor } from '../src/core/tensor.ts';
import { writeWeights } from '../src/jobs/remap-output.ts';

const WIDTH = 1024;
/** Values that tensors are cut from, each from another place: 16 MB of float32. */
const POOL = 4 << 20;

const pool = (): Uint8Array => {
  const values = new Float32Array(POOL);
  let state = 1;
  for (let i = 0; i < POOL; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = (state / 2 ** 31) * 0.05;
  }
  return new Uint8Array(values.buffer);
};

/** Layers of 16 MB (or of 1 MB, for a small file): two matrices and a vector. */
export const writeCheckpoint = async (path: string, megabytes: number): Promise<void> => {
  const bytes = pool();
  const rows = megabytes < 100 ? WIDTH / 16 : WIDTH;
  const layerBytes = 4 * rows * WIDTH * 4;
  const tensors = new Map<string, Tensor>();
  const add = (name: string, dims: readonly number[]): void => {
    const size = dims.reduce((product, dim) => product * dim, 4);
    const start = (tensors.size * 4096) % (bytes.length - size);
    tensors.set(name, { dtype: 'float32', dims, data: new BytesSource(bytes.subarray(start, start + size)) });
  };
  for (let layer = 0; layer < Math.round((megabytes * 1e6) / layerBytes); layer++) {
    add(`module.layers.${layer}.attention.weight`, [rows, WIDTH]);
    add(`module.layers.${layer}.mlp.weight`, [3 * rows, WIDTH]);
    add(`module.layers.${layer}.norm.weight`, [rows]);
  }
  await writeWeights(path, tensors, { force: true });
};
