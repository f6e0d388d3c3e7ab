/**
 * Names of files that a file gives (shards of an index, parts of a distributed checkpoint), resolved inside the folder
 * of that file and nowhere else.
 *
 * One link out of the folder is right: in the download cache of Hugging Face `snapshots/REVISION/NAME` is a link to
 * `blobs/HASH` beside `snapshots`.
 */
import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { OrthoError } from '../core/errors.ts';

/** Letters of a name: no path is longer. */
const MAX_NAME = 4096;

/** Why a name cannot be that of a file inside the folder, by its text alone. */
const faultOf = (name: string): string | undefined => {
  if (name === '' || name.includes('\0')) return 'is no file name';
  if (name.startsWith('/') || name.includes('\\') || /^[a-z]:/i.test(name)) return 'is no relative path';
  if (name.length > MAX_NAME) return `has a name of ${name.length} letters`;
  if (name.split('/').includes('..')) return 'leaves the folder';
  // One file under many names would be read as often.
  if (name.split('/').some((part) => part === '.' || part === '')) return 'has a name with empty parts';
  return undefined;
};

const isInside = (path: string, folder: string): boolean =>
  path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

/**
 * The path of `name` inside `folder`; `owner` is the file that names it.
 * @throws OrthoError checkpoint/invalid when it leaves the folder or does not exist
 */
export const locateInside = (folder: string, name: string, owner: string): string => {
  const fail = (message: string, hint: string): OrthoError =>
    new OrthoError('checkpoint/invalid', `${owner}: the file "${name.slice(0, 200)}" ${message}`, {
      hint,
      at: { file: owner },
    });
  const fault = faultOf(name);
  if (fault !== undefined) throw fail(fault, 'only files beside the one that names them are read');
  const path = join(folder, name);
  let real: string;
  try {
    real = realpathSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw code === 'ENOENT' || code === 'ENOTDIR'
      ? fail('does not exist', 'copy all files of the checkpoint into one folder')
      : fail(`cannot be read (${code})`, 'check the permissions and the links');
  }
  const home = realpathSync(resolve(folder));
  const isCache = basename(dirname(home)) === 'snapshots';
  const roots = isCache ? [home, join(dirname(dirname(home)), 'blobs')] : [home];
  if (roots.some((root) => isInside(real, root))) return path;
  throw fail('is a link that leaves the folder', 'copy the file itself into the folder');
};
