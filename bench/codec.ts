/** Decode → Graph → encode → write of a large model, against reading and writing its bytes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { atMost, type Benchmark, megabytes, times } from './benchmark.ts';
import { rawModel } from './models.ts';
import { runOnce, runPaired, withFolder } from './process.ts';

const MODEL_MB = 100;

/** Each side runs in a process of its own, so that peak memory is its own too. */
const source = (name: string): string => new URL(name, import.meta.url).href;

const rewrite = (from: string, to: string): string => `
  const { loadModel } = await import(${JSON.stringify(source('../src/ir/load.js'))});
  const { modelToProto } = await import(${JSON.stringify(source('../src/ir/to-proto.js'))});
  const { encodeModel } = await import(${JSON.stringify(source('../src/proto/encode.js'))});
  const { writeAtomically } = await import(${JSON.stringify(source('../src/jobs/output.js'))});
  await writeAtomically(${JSON.stringify(to)}, (sink) => {
    for (const segment of encodeModel(modelToProto(loadModel(${JSON.stringify(from)})))) sink.write(segment);
  }, { force: true });`;

const copy = (from: string, to: string): string => `
  const fs = await import('node:fs');
  const fd = fs.openSync(${JSON.stringify(to)}, 'w');
  fs.writeSync(fd, fs.readFileSync(${JSON.stringify(from)}));
  fs.fsyncSync(fd);
  fs.closeSync(fd);`;

export const codec: Benchmark = {
  summary: `decode, build the graph, encode and write a model of ${MODEL_MB} MB`,
  run: () =>
    withFolder((folder) => {
      const [model, ours, theirs] = [`${folder}/model.onnx`, `${folder}/ours.onnx`, `${folder}/copy.onnx`];
      writeFileSync(model, rawModel(MODEL_MB));
      const node = (program: string) => () =>
        runOnce([process.execPath, '--input-type=module', '-e', program]);
      const { a, ratio } = runPaired(node(rewrite(model, ours)), node(copy(model, theirs)), 7);
      const isSame = Buffer.compare(readFileSync(model), readFileSync(ours)) === 0;
      return [
        atMost('decode + write', 'read + write + fsync of its bytes', ratio, 2, times),
        atMost('peak memory', 'the size of the model', a.peakMb, (1.5 * MODEL_MB * 1e6) / 2 ** 20, megabytes),
        {
          what: 'bytes',
          against: 'the model',
          measured: isSame ? 'identical' : 'DIFFERENT',
          wanted: 'identical',
          isMet: isSame,
        },
      ];
    }),
};
