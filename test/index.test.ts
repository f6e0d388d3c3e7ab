/** The library as a package sees it. */
import { expect, test } from 'vitest';
import * as library from '../src/index.ts';
import { tools } from '../tools/index.ts';

test('every command is a function', () => {
  const jobs = {
    bench: library.benchModels,
    doctor: library.examineModels,
    convert: library.convertCheckpoint,
    diff: library.diffFiles,
    inspect: library.inspectFile,
    optimize: library.optimizeModel,
    quantize: library.quantizeModel,
    remap: library.remapFile,
    run: library.runJobs,
    tune: library.tuneModels,
    verify: library.verifyModel,
  };
  expect(Object.keys(jobs).sort()).toEqual(Object.keys(tools).sort());
  for (const job of Object.values(jobs)) expect(job).toBeTypeOf('function');
});

test('a job throws what it documents', async () => {
  const job = library.remapFile({ source: 'no-such-file.pth', output: 'no-such-output.npz' });
  await expect(job).rejects.toThrow(library.OrthoError);
  await expect(job).rejects.toMatchObject({ code: 'file/not-found', exitCode: library.EXIT.inputInvalid });
});

test('weights are opened and read as numbers', () => {
  const file = library.openWeights('models/raw/mtcnn-pnet.pth.tar');
  const tensor = file.stateDicts[0]!.tensors.get('module.conv1.bias')!;
  expect(tensor).toMatchObject({ dtype: 'float32', dims: [10] });
  expect(library.toFloat32(tensor).every(Number.isFinite)).toBe(true);
  file.close();
});
