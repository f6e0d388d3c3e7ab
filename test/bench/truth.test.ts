import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { plantedFeeds, plantedModel } from '../../bench/truth/planted.ts';
import { bothWays, replay } from '../../bench/truth/replay.ts';
import { createRng } from '../../src/core/rng.ts';
import { toFloat32 } from '../../src/core/tensor.ts';
import { openIsolatedSession } from '../../src/runtime/isolated.ts';

const folder = mkdtempSync(join(tmpdir(), 'ortho-truth-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([1, 3, 7, 32])('a net with %d more MatMuls gives the same bytes', async (extra) => {
  const outputs = [];
  for (const count of [0, extra]) {
    const path = join(folder, `${count}.onnx`);
    writeFileSync(path, plantedModel('0.1ms', count));
    const session = await openIsolatedSession(path, { threads: 1 });
    outputs.push(toFloat32((await session.run(plantedFeeds('0.1ms'))).get('y')!));
    await session.close();
  }
  expect(outputs[1]).toEqual(outputs[0]);
});

test('replayed trials are the decisions of a comparison, the same for the same seed', () => {
  const rng = createRng(4);
  const logRatios = bothWays(Array.from({ length: 40 }, () => 0.006 * rng.normal()));
  expect(logRatios.reduce((sum, one) => sum + one, 0)).toBeCloseTo(0, 12);
  const options = { most: 20, margin: 0.03, trials: 2000, seed: 1 };
  const equal = replay({ ...options, logRatios });
  expect(equal.counts.same).toBeGreaterThan(1990);
  expect(replay({ ...options, logRatios })).toEqual(equal);
  const shifted = (by: number): number[] => logRatios.map((one) => one + Math.log1p(by));
  expect(replay({ ...options, logRatios: shifted(0.05) }).counts.slower).toBe(2000);
  expect(replay({ ...options, logRatios: shifted(-0.05) }).counts.faster).toBe(2000);
  const unclear = replay({ ...options, most: 3, logRatios: shifted(0.02) });
  expect(unclear.counts.inconclusive).toBeGreaterThan(0);
});
