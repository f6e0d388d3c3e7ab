/**
 * Temporary files beside their targets, and their removal: on failure, when the process exits, and, after a kill that
 * left no chance, at the next write to the same target.
 *
 * Name: `.<target>.ortho-<host>-<pid>-<random>.tmp`. Host and pid tell a later run whether the writer still lives;
 * a file of another host (a shared folder) is never touched. Folders for whole jobs lie in the system's own place for
 * temporary files and are swept alike.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { OrthoError } from '../core/errors.ts';

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

const removeQuietly = (path: string): void => {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // As above.
  }
};

/** Removes every temporary file and folder that this process has open. Runs by itself when the process exits. */
const removeTempFiles = (): void => {
  for (const path of live) removeQuietly(path);
  live.clear();
};

const track = (path: string): string => {
  if (live.size === 0) process.once('exit', removeTempFiles);
  live.add(path);
  return path;
};

/** The entries of `folder` that killed processes of this host made: `<prefix><host>-<pid>-<random><suffix>`. */
const staleEntries = (folder: string, prefix: string, suffix: string): string[] => {
  const start = `${prefix}${hostTag()}-`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.filter((name) => {
    if (!name.startsWith(start) || !name.endsWith(suffix)) return false;
    const rest = name.slice(start.length, name.length - suffix.length);
    const pid = /^(\d+)-[0-9a-f]{8}$/.exec(rest)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  });
};

/** The end of a name: who made it, and a random part. */
const signature = (): string => `${hostTag()}-${process.pid}-${randomBytes(4).toString('hex')}`;

/**
 * A fresh name beside `target`, removed on exit until `forgetTempFile`. What killed processes left there goes first.
 */
export const reserveTempFile = (target: string): string => {
  const folder = dirname(target);
  const prefix = `.${stemOf(target)}.ortho-`;
  for (const name of staleEntries(folder, prefix, '.tmp')) unlinkQuietly(join(folder, name));
  return track(join(folder, `${prefix}${signature()}.tmp`));
};

/** The file that a temporary one was reserved for (its name cut where it is long); any other path is its own. */
export const targetOf = (path: string): string => {
  const name = /^\.(.+)\.ortho-[0-9a-f]{8}-\d+-[0-9a-f]{8}\.tmp$/s.exec(basename(path))?.[1];
  return name === undefined ? path : join(dirname(path), name);
};

const makeOwnFolder = (folder: string): void => {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (cause) {
    const { code = 'failed' } = cause as NodeJS.ErrnoException;
    throw new OrthoError(
      'output/unwritable',
      `no temporary folder can be made in ${dirname(folder)} (${code})`,
      {
        at: { file: dirname(folder) },
        hint: 'make room there, or let TMPDIR name another folder',
        cause,
      },
    );
  }
};

/**
 * Gives `use` a fresh folder of its own and removes it afterwards, or when the process exits. What killed processes
 * left goes first.
 * @throws OrthoError output/unwritable when there is no place for it
 */
export const withTempFolder = async <T>(use: (folder: string) => Promise<T>): Promise<T> => {
  const parent = tmpdir();
  for (const name of staleEntries(parent, 'ortho-', '')) removeQuietly(join(parent, name));
  const folder = track(join(parent, `ortho-${signature()}`));
  try {
    makeOwnFolder(folder);
    return await use(folder);
  } finally {
    removeQuietly(folder);
    forgetTempFile(folder);
  }
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
