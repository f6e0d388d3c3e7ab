/** The built command line. */
import { fileURLToPath } from 'node:url';
import type { Command } from './process.ts';

const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));

export const ortho = (...args: string[]): Command => [process.execPath, main, ...args];

/** The repository's root (this file runs from dist/bench). */
export const root: string = fileURLToPath(new URL('../../', import.meta.url));
