/**
 * SIGKILL at any moment leaves the old output or the new one, never half of one, and nobody behind.
 * The moments are seeded; what is asserted does not depend on how fast the machine is.
 */
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { createRng } from '../../src/core/rng.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const main = join(root, 'dist/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'ortho-kill-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MOMENTS = 50;

interface Finished {
  readonly code: number | null;
  readonly ms: number;
}

const runTool = (args: readonly string[], marker: string, killAfter?: number): Promise<Finished> =>
  new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, [main, ...args], {
      cwd: root,
      stdio: 'ignore',
      env: { ...process.env, ORTHO_TEST_MARKER: marker },
    });
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
    child.on('error', reject);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve({ code, ms: performance.now() - start });
    });
  });

/** Processes that still carry the marker in their environment. */
const survivors = (marker: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(marker);
    } catch {
      return false; // gone, or somebody else's
    }
  });

const noneAlive = async (marker: string): Promise<string[]> => {
  for (let waited = 0; waited < 100 && survivors(marker).length > 0; waited++) await sleep(100);
  return survivors(marker);
};

const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

const checkpoint = 'models/raw/mtcnn-onet.pth.tar';
const float = join(folder, 'float.onnx');
const jobs: Readonly<Record<string, readonly string[]>> = {
  convert: ['convert', checkpoint],
  remap: ['remap', checkpoint, '--strip-prefix', 'module.'],
  optimize: ['optimize', float],
};

describe.skipIf(!existsSync('/proc/self/environ')).each(Object.entries(jobs))('%s', (name, args) => {
  test(`killed at ${MOMENTS} moments`, { timeout: 300_000 }, async () => {
    if (name === 'optimize')
      expect((await runTool(['convert', checkpoint, '-o', float], randomUUID())).code).toBe(0);
    const extension = name === 'remap' ? '.safetensors' : '.onnx';
    const fresh = join(folder, `${name}.new${extension}`);
    const { code, ms } = await runTool([...args, '-o', fresh], randomUUID());
    expect(code).toBe(0);
    const old = join(root, 'package.json');
    const place = mkdtempSync(join(folder, `${name}-`));
    const output = join(place, `output${extension}`);
    const allowed = new Set([digest(old), digest(fresh)]);
    const input = digest(join(root, checkpoint));
    const rng = createRng(50);
    const marker = randomUUID();
    for (let i = 0; i < MOMENTS; i++) {
      copyFileSync(old, output);
      await runTool([...args, '-o', output, '--force'], marker, rng.next() * ms * 1.1);
      expect(allowed).toContain(digest(output));
    }
    expect(await noneAlive(marker)).toEqual([]);
    expect(digest(join(root, checkpoint))).toBe(input);
    // The next run that ends by itself sweeps up what the killed ones left.
    expect((await runTool([...args, '-o', output, '--force'], marker)).code).toBe(0);
    expect(readdirSync(place)).toEqual([`output${extension}`]);
    expect(digest(output)).toBe(digest(fresh));
  });
});
