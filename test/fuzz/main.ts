/**
 * `npm run fuzz [-- --seconds N] [--seed S]`: damaged checkpoints, one after the other, each in every way that ortho
 * reads files from outside. Only an OrthoError may come out, within SLOW_MS and BIG_MB. Ends with exit code 1 when
 * anything else happened; the files that did it are kept and named.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Message } from './worker.ts';

/** A hostile file is refused within a second; a busy machine gets three. */
const SLOW_MS = 3_000;
const HANG_MS = 15_000;
const BIG_MB = 700;

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string', default: '1' } },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) throw new Error('usage: fuzz [--seconds N] [--seed S]');

const fixtures = fileURLToPath(new URL('../../../test/fixtures/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'ortho-fuzz-'));
const deadline = Date.now() + seconds * 1000;

const problems: string[] = [];
let cases = 0;
let opened = 0;
let slowest = 0;
let largest = 0;

/** One worker, until it dies, hangs or the time is over. Gives the number of the next case. */
const runWorker = (first: number): Promise<number> =>
  new Promise((resolve) => {
    let index = first;
    let name = '';
    const worker: ChildProcess = fork(
      fileURLToPath(new URL('./worker.js', import.meta.url)),
      [String(seed), String(first), folder, fixtures],
      { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: ['--max-old-space-size=512'] },
    );
    let stderr = '';
    worker.stderr?.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString()).slice(-4000);
    });
    let since = Date.now();
    let ended = '';
    const stop = (why: string): void => {
      ended = why;
      worker.kill('SIGKILL');
    };
    const clock = setInterval(() => {
      if (Date.now() > deadline) stop('time');
      else if (Date.now() - since > HANG_MS) stop('hang');
    }, 100);
    worker.on('message', (message: Message) => {
      since = Date.now();
      if (message.kind === 'case') {
        index = message.index;
        name = message.seed;
      } else if (message.kind === 'broken') {
        problems.push(`case ${message.index} (${name}): ${message.error}`);
      } else {
        cases++;
        if (message.opened) opened++;
        slowest = Math.max(slowest, message.ms);
        largest = Math.max(largest, message.megabytes);
        if (message.ms > SLOW_MS) problems.push(`case ${index} (${name}) took ${message.ms.toFixed(0)} ms`);
        if (message.megabytes > BIG_MB) {
          problems.push(`case ${index} (${name}) left ${message.megabytes.toFixed(0)} MB in use`);
          stop('memory');
        }
      }
    });
    worker.on('exit', (code, signal) => {
      clearInterval(clock);
      if (ended === 'hang') problems.push(`case ${index} (${name}) did not end within ${HANG_MS} ms`);
      else if (ended === '')
        problems.push(`case ${index} (${name}) ended the process: ${code ?? signal}\n${stderr}`);
      resolve(index + 1);
    });
  });

for (let next = 0; Date.now() < deadline && problems.length < 20; ) next = await runWorker(next);

console.log(
  `${cases} cases with seed ${seed}: ${opened} files opened, ${cases - opened} refused; slowest ${slowest.toFixed(0)} ms, largest process ${largest.toFixed(0)} MB`,
);
for (const problem of problems) console.log(problem);
if (problems.length > 0) {
  console.log(`the files are kept in ${folder}: ${readdirSync(folder).join(', ')}`);
  process.exitCode = 1;
} else {
  rmSync(folder, { recursive: true, force: true });
}
if (cases < seconds) {
  console.log('fewer than one case a second: the fuzzer itself does not work');
  process.exitCode = 1;
}
