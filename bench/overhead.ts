/**
 * What the timed loop adds to a run: a model of one node, run by the loop of `bench` and by a bare loop around the
 * runtime's own `run`, in turn, in one process.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median } from '../src/bench/statistics.ts';
import { float32Tensor } from '../src/core/tensor.ts';
import { timeLoop } from '../src/runtime/child-timing.ts';
import { loadOnnxRuntime, openInProcess } from '../src/runtime/onnxruntime.ts';
import { atMost, type Benchmark, type Row } from './benchmark.ts';
import { oneNodeModel } from './models.ts';
import { withFolderAsync } from './process.ts';

const RUNS = 2000;
const ROUNDS = 31;
const LIMIT_US = 10;

const microseconds = (us: number): string => `${us.toFixed(2)} µs`;

export const overhead: Benchmark = {
  summary: 'what the timed loop adds to a run',
  run: () =>
    withFolderAsync(async (folder): Promise<Row[]> => {
      const path = join(folder, 'relu.onnx');
      writeFileSync(path, oneNodeModel());
      const { InferenceSession, Tensor } = await loadOnnxRuntime();
      const bare = await InferenceSession.create(path, { intraOpNumThreads: 1 });
      const feeds = { x: new Tensor('float32', new Float32Array(4), [4]) };
      const timed = await openInProcess(path, { threads: 1 });
      const runOnce = timed.prepare(new Map([['x', float32Tensor([4], new Float32Array(4))]]));
      const loop = { leastRounds: RUNS, mostRounds: RUNS, maxMs: 0, order: 'fixed', seed: 0 } as const;
      const added: number[] = [];
      const seen: number[] = [];
      const runs: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const before = performance.now();
        for (let i = 0; i < RUNS; i++) await bare.run(feeds, ['y']);
        const bareUs = (1000 * (performance.now() - before)) / RUNS;
        const { facts, samples } = await timeLoop([runOnce], loop);
        const loopUs = (1000 * facts.wallMs) / RUNS;
        const sampleUs = (1000 * samples[0]!.reduce((sum, ms) => sum + ms, 0)) / RUNS;
        runs.push(bareUs);
        added.push(loopUs - bareUs);
        seen.push(sampleUs - bareUs);
      }
      await timed.close();
      await bare.release();
      const against = `a bare loop, ${microseconds(median(runs))} a run`;
      return [
        atMost('timed loop, a run of one node', against, median(added), LIMIT_US, microseconds),
        atMost('mean of its samples', against, median(seen), LIMIT_US, microseconds),
      ];
    }),
};
