/** The jobs on weights in several files: folders, sets of shards, distributed checkpoints. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { float32Tensor } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { safetensorsChunks } from '../../src/formats/safetensors.ts';
import { convertCheckpoint } from '../../src/jobs/convert.ts';
import { inspectFile } from '../../src/jobs/inspect.ts';
import { remapFile } from '../../src/jobs/remap.ts';
import { repository } from '../support/golden.ts';
import { tensorRows } from '../support/tensor-table.ts';
import { tempFolder } from '../support/torch-files.ts';

const fixture = (name: string): string => join(repository, 'test/fixtures', name);
const rowsOf = (path: string): string[] => {
  const file = openWeights(path);
  try {
    return tensorRows(file).toSorted();
  } finally {
    file.close();
  }
};

describe('inspect', () => {
  it.each([
    ['sharded', 'safetensors', 32],
    ['distributed/grid', 'torch-dcp', 9],
  ])('%s', async (name, format, tensors) => {
    const report = await inspectFile(fixture(name), { check: true });
    expect(report.subject).toMatchObject({ file: fixture(name), sha256: null });
    expect(report.subject.bytes).toBeGreaterThan(10_000);
    expect(report.data).toMatchObject({ format, tensors: { length: tensors } });
    expect(report.findings.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('remap', () => {
  it.each(['sharded', 'sharded/pytorch_model.bin.index.json', 'distributed/flat', 'distributed/shards'])(
    '%s becomes one file with the same tensors',
    async (name) => {
      const output = join(tempFolder(), 'one.safetensors');
      const report = await remapFile({ source: fixture(name), output });
      expect(report.ok).toBe(true);
      expect(rowsOf(output)).toEqual(rowsOf(fixture(name)));
    },
  );
  it('does not write over one of its parts', async () => {
    const folder = join(tempFolder(), 'set');
    cpSync(fixture('sharded'), folder, { recursive: true });
    const output = join(folder, 'model-00002-of-00003.safetensors');
    const before = readFileSync(output);
    const options = { source: folder, output, force: true };
    await expect(remapFile(options)).rejects.toMatchObject({ code: 'usage/conflict' });
    expect(readFileSync(output).equals(before)).toBe(true);
  });
  it('does not write over a part of a tensor', async () => {
    const folder = join(tempFolder(), 'grid.pth');
    cpSync(fixture('distributed/flat'), folder, { recursive: true });
    const linked = join(tempFolder(), 'out.pth');
    symlinkSync(join(folder, '__2_0.distcp'), linked);
    const options = { source: folder, output: linked, force: true };
    await expect(remapFile(options)).rejects.toMatchObject({ code: 'usage/conflict' });
  });
  it('keeps the metadata of safetensors in safetensors, and says what it leaves elsewhere', async () => {
    const source = join(tempFolder(), 'in.safetensors');
    const texts = new Map([
      ['z', 'last'],
      ['license', 'MIT'],
    ]);
    const chunks = safetensorsChunks(new Map([['a', float32Tensor([1], [1])]]), texts);
    writeFileSync(source, Buffer.concat([...chunks].map((chunk) => Buffer.from(chunk))));
    const output = join(tempFolder(), 'out.safetensors');
    const kept = await remapFile({ source, output, addPrefix: 'net.' });
    expect(kept.findings).toEqual([]);
    const file = openWeights(output);
    expect(Object.fromEntries(file.metadata)).toEqual({ format: 'pt', license: 'MIT', z: 'last' });
    file.close();
    const left = await remapFile({ source, output: join(tempFolder(), 'out.npz') });
    expect(left.findings).toMatchObject([
      { rule: 'metadata-left', message: expect.stringContaining('"license"') },
    ]);
  });
});

describe('convert', () => {
  it('a folder gives the model that its file gives', async () => {
    const source = join(repository, 'models/raw/mtcnn-pnet.pth.tar');
    const folder = join(tempFolder(), 'pnet');
    mkdirSync(folder);
    await remapFile({ source, output: join(folder, 'model.safetensors'), stripPrefix: ['module.'] });
    writeFileSync(join(folder, 'config.json'), '{"architectures": ["pnet"]}');
    const [fromFolder, fromFile] = [join(tempFolder(), 'model.onnx'), join(tempFolder(), 'model.onnx')];
    const report = await convertCheckpoint({ source: folder, output: fromFolder });
    expect([report.ok, report.data.architecture, report.subject.file]).toEqual([true, 'pnet', folder]);
    await convertCheckpoint({ source, output: fromFile });
    expect(readFileSync(fromFolder).equals(readFileSync(fromFile))).toBe(true);
  });
});
