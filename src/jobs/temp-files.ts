/**
 * Temporary files beside their targets, and their removal: on failure, when the process exits, and, after a kill that
 * left no chance, at the next write to the same target.
 *
 * Name: `.<target>.ortho-<host>-<pid>-<random>.tmp`. Host and pid tell a later run whether the writer still lives;
 * a file of another host (a shared folder) is never touched.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, unlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** Keeps the temporary name below the 255 bytes that file systems allow. */
const LONGEST_STEM = 48;

const live = new Set<string>();

const hostTag = (): string => createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** A hash is part of the stem of a long name, so that two long names never share it. */
const stemOf = (target: string): string => {
  const name = basename(target);
  if (name.length <= LONGEST_STEM) return name;
  return `${name.slice(0, LONGEST_STEM - 9)}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
};

const unlinkQuietly = (path: string): void => {
  try {
    unlinkSync(path);
  } catch {
    // Gone already, or not ours to remove: either way nothing is left to do.
  }
};

/** Removes every temporary file that this process has open. Runs by itself when the process exits. */
const removeTempFiles = (): void => {
  for (const path of live) unlinkQuietly(path);
  live.clear();
};

/** Removes what killed processes of this host left beside `target`. */
const removeStaleTempFiles = (target: string): void => {
  const folder = dirname(target);
  const prefix = `.${stemOf(target)}.ortho-${hostTag()}-`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return;
  }
  for (const name of names) {
    if (!name.startsWith(prefix)) continue;
    const pid = /^(\d+)-[0-9a-f]{8}\.tmp$/.exec(name.slice(prefix.length))?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) unlinkQuietly(join(folder, name));
  }
};

/**
 * A fresh name beside `target`, removed on exit until `forgetTempFile`. What killed processes left there goes first.
 */
export const reserveTempFile = (target: string): string => {
  removeStaleTempFiles(target);
  const random = randomBytes(4).toString('hex');
  const path = join(dirname(target), `.${stemOf(target)}.ortho-${hostTag()}-${process.pid}-${random}.tmp`);
  if (live.size === 0) process.once('exit', removeTempFiles);
  live.add(path);
  return path;
};

/** The file was renamed (or never came to be): it is no longer removed on exit. */
export const forgetTempFile = (path: string): void => {
  live.delete(path);
  if (live.size === 0) process.removeListener('exit', removeTempFiles);
};

/** Removes a temporary file now. */
export const discardTempFile = (path: string): void => {
  unlinkQuietly(path);
  forgetTempFile(path);
};
