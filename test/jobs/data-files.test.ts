/** An output must not be a file that the input reads its tensors from. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeModelWithData } from '../../src/jobs/model-file.ts';
import { optimizeModel } from '../../src/jobs/optimize.ts';
import { quantizeModel } from '../../src/jobs/quantize.ts';
import { remapFile } from '../../src/jobs/remap.ts';
import { repository } from '../support/golden.ts';
import { modelFromText } from '../support/model-text.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-data-files-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('the data file of a model is an input too, force or not', async () => {
  const input = join(folder, 'in.onnx');
  const weights = Array.from({ length: 1024 }, (_, i) => (i % 7) - 3).join(',');
  await writeModelWithData(
    input,
    modelFromText(
      `g (float[1,32] x) => (float[1,32] y) <float[32,32] w = {${weights}}> { y = MatMul (x, w) }`,
    ),
  );
  const [name] = readdirSync(folder).filter((file) => file.endsWith('.data'));
  const output = join(folder, name as string);
  const before = readFileSync(output);
  const refusal = { code: 'usage/conflict' };
  await expect(optimizeModel({ input, output, force: true })).rejects.toMatchObject(refusal);
  await expect(quantizeModel({ input, output, force: true, scheme: 'dynamic' })).rejects.toMatchObject(
    refusal,
  );
  expect(readFileSync(output)).toEqual(before);
});

test('so is a checkpoint under another name of the same file', async () => {
  const source = join(folder, 'in.pth.tar');
  copyFileSync(join(repository, 'models/raw/mtcnn-pnet.pth.tar'), source);
  const before = readFileSync(source);
  await expect(
    remapFile({ source, output: join(folder, '.', 'in.pth.tar'), force: true }),
  ).rejects.toMatchObject({
    code: 'usage/conflict',
  });
  expect(readFileSync(source)).toEqual(before);
});
