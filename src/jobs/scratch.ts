/** A file that lives only while a model is tried out, before it takes its place. */
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { discardTempFile, reserveTempFile } from './temp-files.ts';

/**
 * Gives `use` the path of a temporary file beside `target` (where `target` is a device: in the folder for temporary
 * files) that it may write, and removes the file afterwards.
 */
export const withScratchFile = async <T>(target: string, use: (path: string) => Promise<T>): Promise<T> => {
  const stat = statSync(target, { throwIfNoEntry: false });
  const isDevice = stat !== undefined && !stat.isFile();
  const path = reserveTempFile(isDevice ? join(tmpdir(), basename(target)) : target);
  try {
    return await use(path);
  } finally {
    discardTempFile(path);
  }
};
