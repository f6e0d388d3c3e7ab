import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentIo } from '../../src/core/job-io.ts';
import { float32Tensor, tensorBytes } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';
import { writerFor, writeWeights } from '../../src/jobs/remap-output.ts';
import { ortho } from '../support/cli.ts';
import { tempFolder } from '../support/torch-files.ts';

const filled = (elements: number, value: number): WeightTensor =>
  float32Tensor([elements], new Float32Array(elements).fill(value));

const tied: ReadonlyMap<string, WeightTensor> = new Map([
  ['emb', filled(4, 1)],
  ['w', filled(3, 2)],
  ['big', filled(20, 3)],
  ['head', { ...filled(4, 1), sharedWith: 'emb' }],
]);

const contentOf = (path: string): Record<string, string> => {
  const file = openWeights(path);
  const content = [...(file.stateDicts[0]?.tensors ?? [])].map(([key, tensor]) => [
    key,
    Buffer.from(tensorBytes(tensor)).toString('hex'),
  ]);
  file.close();
  return Object.fromEntries(content);
};

const hexOf = (tensors: ReadonlyMap<string, WeightTensor>): Record<string, string> =>
  Object.fromEntries(
    [...tensors].map(([key, tensor]) => [key, Buffer.from(tensorBytes(tensor)).toString('hex')]),
  );

describe('writerFor', () => {
  it('knows extensions in either case, and which formats come in shards', () => {
    expect(writerFor('A.SafeTensors').format).toBe('safetensors');
    expect(writerFor('a.pth.tar').format).toBe('torch-zip');
    expect(() => writerFor('a.onnx')).toThrow(expect.objectContaining({ code: 'usage/option' }));
    expect(writerFor('a.bin', { maxShard: 1 }).format).toBe('torch-zip');
    for (const name of ['a.pth', 'a.npz']) {
      expect(() => writerFor(name, { maxShard: 1 })).toThrow(
        expect.objectContaining({ code: 'usage/conflict' }),
      );
    }
  });
});

describe('sharded output', () => {
  it.each(['model.safetensors', 'pytorch_model.bin'])(
    '%s: shards, an index, and all tensors back',
    async (name) => {
      const folder = tempFolder();
      const written = await writeWeights(join(folder, name), tied, { maxShard: 32 });
      const [stem, extension] = name.split('.') as [string, string];
      const count = name.endsWith('.bin') ? 2 : 3;
      const shards = Array.from(
        { length: count },
        (_, i) => `${stem}-0000${i + 1}-of-0000${count}.${extension}`,
      );
      expect(written.files.map((path) => basename(path))).toEqual([...shards, `${name}.index.json`]);
      expect(readdirSync(folder).sort()).toEqual([...shards, `${name}.index.json`].sort());
      const index = JSON.parse(readFileSync(join(folder, `${name}.index.json`), 'utf8'));
      expect(index.weight_map.head).toBe(index.weight_map.emb);
      expect(index.weight_map.big).toBe(shards.at(-1));
      expect(index.metadata.total_size).toBe(name.endsWith('.bin') ? 108 : 124);
      for (const shard of shards) {
        const inside = Object.keys(contentOf(join(folder, shard))).sort();
        expect(inside).toEqual(
          Object.keys(index.weight_map)
            .filter((key) => index.weight_map[key] === shard)
            .sort(),
        );
      }
      expect(contentOf(join(folder, `${name}.index.json`))).toEqual(hexOf(tied));
      expect(contentOf(folder)).toEqual(hexOf(tied));
    },
  );

  it('is one plain file where everything fits', async () => {
    const folder = tempFolder();
    await writeWeights(join(folder, 'model.safetensors'), tied, { maxShard: 124 });
    expect(readdirSync(folder)).toEqual(['model.safetensors']);
  });

  it('replaces nothing unasked, never an input, and no file that would be loaded first', async () => {
    const folder = tempFolder();
    const output = join(folder, 'model.safetensors');
    const shard = join(folder, 'model-00001-of-00003.safetensors');
    await writeWeights(shard, tied);
    const write = (force: boolean) => writeWeights(output, tied, { maxShard: 32, force });
    await expect(write(false)).rejects.toMatchObject({ code: 'usage/output-exists' });
    const source = openWeights(shard);
    const { tensors } = source.stateDicts[0]!;
    await expect(writeWeights(output, tensors, { maxShard: 32, force: true })).rejects.toMatchObject({
      code: 'usage/conflict',
    });
    source.close();
    await expect(
      writeWeights(output, tied, { maxShard: 32, force: true, inputs: [shard] }),
    ).rejects.toMatchObject({
      code: 'usage/conflict',
    });
    writeFileSync(output, '');
    await expect(write(true)).rejects.toMatchObject({
      code: 'usage/conflict',
      hint: expect.stringContaining('delete'),
    });
    expect(readdirSync(folder).sort()).toEqual([basename(shard), 'model.safetensors']);
  });

  it('leaves nothing behind when the last name cannot be taken', async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, 'model.safetensors.index.json'));
    const written = writeWeights(join(folder, 'model.safetensors'), tied, { maxShard: 32 });
    await expect(written).rejects.toMatchObject({ code: 'output/unwritable' });
    expect(readdirSync(folder)).toEqual(['model.safetensors.index.json']);
  });

  it('the same tensors give the same bytes', async () => {
    const write = async (): Promise<Buffer[]> => {
      const { files } = await writeWeights(join(tempFolder(), 'm.safetensors'), tied, { maxShard: 32 });
      return files.map((path) => readFileSync(path));
    };
    expect(await write()).toEqual(await write());
  });

  it('on the command line', () => {
    const folder = tempFolder();
    const source = join(folder, 'source.pth');
    const output = join(folder, 'model.safetensors');
    const made = writeWeights(source, tied);
    return made.then(() => {
      const { status, stdout } = ortho(['remap', source, '-o', output, '--max-shard', '32B', '--json']);
      expect(status).toBe(0);
      expect(JSON.parse(stdout).findings.map(({ rule }: { rule: string }) => rule)).toContain('copied-alias');
      expect(contentOf(join(folder, 'model.safetensors.index.json'))).toEqual(hexOf(tied));
      expect(readdirSync(folder).filter((name) => name.startsWith('model-'))).toHaveLength(3);
      expect(ortho(['remap', source, '-o', output, '--max-shard', 'little']).status).toBe(2);
      expect(ortho(['remap', source, '-o', join(folder, 'x.pth'), '--max-shard', '1GB']).status).toBe(2);
    });
  });
});

it('a long write ends when it is interrupted, and leaves nothing', async () => {
  const folder = tempFolder();
  const controller = new AbortController();
  const steps: number[] = [];
  const io = {
    ...silentIo(),
    signal: controller.signal,
    progress: (_step: string, fraction = 0) => {
      steps.push(fraction);
      controller.abort(new Error('enough'));
    },
  };
  const long = new Map([
    ['a', filled(20 << 20, 1)],
    ['b', filled(20 << 20, 2)],
  ]);
  await expect(writeWeights(join(folder, 'a.safetensors'), long, { io })).rejects.toThrow('enough');
  expect(steps.at(-1)).toBeLessThan(0.9);
  expect(readdirSync(folder)).toEqual([]);
});

describe('tied tensors', () => {
  it('are written once in a checkpoint, and once each where the format has no sharing, with a note', async () => {
    const folder = tempFolder();
    const checkpoint = await writeWeights(join(folder, 'a.pth'), tied);
    expect(checkpoint.findings).toEqual([]);
    for (const name of ['a.safetensors', 'a.npz']) {
      const { findings } = await writeWeights(join(folder, name), tied);
      expect(findings).toMatchObject([{ level: 'note', rule: 'copied-alias', at: { key: 'head' } }]);
      expect(contentOf(join(folder, name))).toEqual(hexOf(tied));
    }
  });
});
