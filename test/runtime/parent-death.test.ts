import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';

const dist = (path: string): string => new URL(`../../dist/src/${path}`, import.meta.url).href;
const model = (name: string): string => new URL(`../fixtures/runtime/${name}.onnx`, import.meta.url).pathname;

/** Starts a program that uses the runtime; it prints the id of its model process first. */
const start = (body: string): ChildProcess =>
  spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { SessionHost } from ${JSON.stringify(dist('runtime/isolated.js'))};
       import { float32Tensor, int64Tensor } from ${JSON.stringify(dist('core/tensor.js'))};
       const host = new SessionHost();
       const add = await host.open(${JSON.stringify(model('add'))});
       const endless = await host.open(${JSON.stringify(model('endless-loop'))});
       const loop = new Map([['trips', int64Tensor([], [10n ** 12n])], ['x', float32Tensor([1], [1])]]);
       ${body}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );

const firstNumber = (program: ChildProcess): Promise<number> =>
  new Promise((resolve) => program.stdout!.once('data', (text: Buffer) => resolve(Number(text.toString()))));

/** Dead but not yet collected (a zombie) counts as dead: some containers have nobody who collects. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return (
      process.platform !== 'linux' || !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    );
  } catch {
    return false;
  }
};

/** Resolves when the process is gone; the test's time limit is the only clock. */
const gone = async (pid: number): Promise<void> => {
  while (isAlive(pid)) await sleep(20);
};

test('a hung model process dies when its parent is killed', async () => {
  const program = start(`
    const run = endless.run(loop);
    setTimeout(() => console.log(host.pid), 100);
    await run;`);
  const pid = await firstNumber(program);
  expect(isAlive(pid)).toBe(true);
  program.kill('SIGKILL');
  await gone(pid);
});

test('an idle model process does not keep its parent alive and ends with it', async () => {
  const program = start(`
    await add.run(new Map([['x', float32Tensor([1, 3], [1, 2, 3])]]));
    console.log(host.pid);`);
  const exit = new Promise((resolve) => program.once('exit', resolve));
  const pid = await firstNumber(program);
  expect(await exit).toBe(0);
  await gone(pid);
});

test('an orderly exit in the middle of a run takes the model process along', async () => {
  const program = start(`
    endless.run(loop).catch(() => {});
    setTimeout(() => { console.log(host.pid); process.exit(3); }, 100);`);
  const exit = new Promise((resolve) => program.once('exit', resolve));
  const pid = await firstNumber(program);
  expect(await exit).toBe(3);
  await gone(pid);
});
