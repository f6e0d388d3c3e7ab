/** What a fuzzed file goes through: opened as every command does, described as inspect does, and read to its last byte. */
import { OrthoError } from '../../src/core/errors.ts';
import { chunksOf } from '../../src/core/source.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';
import { inspectWeights } from '../../src/inspect/weights.ts';

/** Expanded tensors may pretend to be large; this much of each file is read. */
const READ_AT_MOST = 32 << 20;

const readAll = (file: WeightFile): void => {
  let left = READ_AT_MOST;
  for (const { tensors } of file.stateDicts) {
    for (const { data } of tensors.values()) {
      for (const chunk of chunksOf(data)) {
        left -= chunk.length;
        if (left <= 0) return;
      }
    }
  }
};

const attempt = async (action: () => Promise<void> | void): Promise<OrthoError | undefined> => {
  try {
    await action();
    return undefined;
  } catch (error) {
    if (error instanceof OrthoError && error.code !== 'internal/bug') return error;
    throw error;
  }
};

const withFile = async (
  file: WeightFile,
  action: (file: WeightFile) => Promise<void> | void,
): Promise<void> => {
  try {
    await action(file);
  } finally {
    file.close();
  }
};

/**
 * Opens and reads `path` in every way that takes a file from outside. Gives the error that refused it, or undefined.
 * @throws whatever is no OrthoError, and internal/bug
 */
export const exercise = async (path: string): Promise<OrthoError | undefined> => {
  const refused = await attempt(() =>
    withFile(openWeights(path), (file) => {
      readAll(file);
      file.checkIntegrity?.();
    }),
  );
  await attempt(() =>
    withFile(openWeights(path, { describe: true }), async (file) => {
      JSON.stringify((await inspectWeights(file)).data);
    }),
  );
  return refused;
};
