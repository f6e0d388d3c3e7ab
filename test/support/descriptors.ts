/** Open files of this process, where the system tells. */
import { existsSync, readdirSync, readlinkSync } from 'node:fs';

const FOLDER = '/proc/self/fd';

/** Whether openIn can tell. */
export const canCountDescriptors = existsSync(FOLDER);

/** How many files inside this folder are open. */
export const openIn = (folder: string): number =>
  readdirSync(FOLDER).filter((name) => {
    try {
      return readlinkSync(`${FOLDER}/${name}`).startsWith(folder);
    } catch {
      return false; // closed meanwhile
    }
  }).length;
