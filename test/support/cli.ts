/** Runs a command line in a process of its own and gives what it printed where. */
import { type SpawnSyncOptions, spawnSync } from 'node:child_process';
import { repository } from './golden.ts';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const runScript =
  (script: string) =>
  (words: readonly string[], options: SpawnSyncOptions = {}): Outcome => {
    const { NO_COLOR: _no, FORCE_COLOR: _force, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, [`${repository}${script}`, ...words], {
      timeout: 60_000,
      ...options,
      env: { ...env, ...options.env },
      encoding: 'utf8',
    });
    return { status, stdout: String(stdout), stderr: String(stderr) };
  };

/** The built `ortho`. */
export const ortho = runScript('dist/cli/main.js');

/** The framework around a tool that does on request everything that can happen to a tool. */
export const toy = runScript('test/cli/toy.mjs');
