/** Folders of weights: which file is taken, and what is said where none or several could be. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { float32Tensor } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { writeNpz } from '../../src/formats/npz.ts';
import { safetensorsChunks } from '../../src/formats/safetensors.ts';
import { torchZipChunks } from '../../src/formats/torch-zip-write.ts';
import { tempFolder } from '../support/torch-files.ts';

const gathered = (chunks: Iterable<Uint8Array>): Buffer =>
  Buffer.concat([...chunks].map((chunk) => Buffer.from(chunk)));
const one = (key: string) => new Map([[key, float32Tensor([1], [1])]]);
const safetensors = (key: string): Buffer => gathered(safetensorsChunks(one(key)));
const bin = (key: string): Buffer => gathered(torchZipChunks(one(key)));

const folderWith = (files: Readonly<Record<string, Uint8Array | string>>): string => {
  const folder = join(tempFolder(), 'folder');
  mkdirSync(folder);
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return folder;
};
const look = (files: Readonly<Record<string, Uint8Array | string>>) => {
  const file = openWeights(folderWith(files));
  file.close();
  const keys = file.stateDicts.flatMap(({ tensors }) => [...tensors.keys()]);
  return { keys, format: file.format, metadata: file.metadata, rules: file.findings.map(({ rule }) => rule) };
};
const errorOf = (files: Readonly<Record<string, Uint8Array | string>>): OrthoError => {
  try {
    look(files);
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('it was opened');
};

const index = (key: string, file: string): string => JSON.stringify({ weight_map: { [key]: file } });

describe('the file that is taken', () => {
  const layout = {
    'model.safetensors.index.json': index('1', 'model-00001-of-00001.safetensors'),
    'model-00001-of-00001.safetensors': safetensors('1'),
    'model.safetensors': safetensors('2'),
    'pytorch_model.bin.index.json': index('3', 'pytorch_model-00001-of-00001.bin'),
    'pytorch_model-00001-of-00001.bin': bin('3'),
    'pytorch_model.bin': bin('4'),
    'diffusion_pytorch_model.safetensors': safetensors('5'),
    'diffusion_pytorch_model.bin': bin('6'),
    'adapter_model.safetensors': safetensors('7'),
    'adapter_model.bin': bin('8'),
  };
  it('is the first of the documented order', () => {
    const names = Object.keys(layout).filter((name) => !/-0000/.test(name));
    const order: string[] = [];
    for (let at = 0; at < names.length; at++) {
      const left = Object.fromEntries(
        Object.entries(layout).filter(([name]) => /-0000/.test(name) || names.indexOf(name) >= at),
      );
      const { keys, rules } = look(left);
      order.push(...keys);
      expect(rules.filter((rule) => rule !== 'unlisted-shards')).toEqual(
        at < names.length - 1 ? ['other-weights'] : [],
      );
    }
    expect(order).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
  });
  it('is the only weight file or index under another name', () => {
    const beside = {
      'config.txt': 'x',
      'training_args.bin': 'x',
      'optimizer.pt': 'x',
      'rng_state_0.pth': 'x',
      'README.md': 'x',
    };
    expect(look({ ...beside, 'best.pth': bin('a') })).toMatchObject({ keys: ['a'], format: 'torch-zip' });
    expect(look({ ...beside, 'w.npz': gathered(writeNpz(one('a'))) })).toMatchObject({
      keys: ['a'],
      format: 'npz',
    });
    const consolidated = {
      'consolidated.safetensors.index.json': index('c', 'c-1.safetensors'),
      'c-1.safetensors': safetensors('c'),
      'c-2.safetensors': safetensors('d'),
    };
    expect(look(consolidated).keys).toEqual(['c']);
  });
});

describe('config.json', () => {
  const weights = { 'model.safetensors': safetensors('a') };
  it('is metadata', () => {
    const { metadata, rules } = look({
      ...weights,
      'config.json': '{"hidden_size": 8, "__proto__": {"a": [1]}}',
    });
    expect(JSON.stringify(metadata.get('config'))).toBe('{"hidden_size":8,"__proto__":{"a":[1]}}');
    expect(rules).toEqual([]);
  });
  it.each([
    ['no JSON', '{'],
    ['a key twice', '{"a":1,"a":2}'],
    ['deep', '['.repeat(40) + ']'.repeat(40)],
    ['large', `"${'x'.repeat(2_000_000)}"`],
  ])('that is unsound (%s) is a finding', (_, text) => {
    const { metadata, rules } = look({ ...weights, 'config.json': text });
    expect([metadata.has('config'), rules]).toEqual([false, ['config-unreadable']]);
  });
});

describe('folders that cannot be opened', () => {
  it('several files and no index: they are listed', () => {
    const error = errorOf({ 'epoch1.pth': bin('a'), 'epoch2.pth': bin('a'), 'optimizer.pt': 'x' });
    expect([error.code, error.exitCode]).toEqual(['file/ambiguous', 3]);
    expect(error.message).toContain('2 weight files: epoch1.pth, epoch2.pth');
    expect(error.hint).toContain('give one of them');
  });
  it('shards without their index: that is said', () => {
    const shards = { 'model-00001-of-00002.safetensors': 'x', 'model-00002-of-00002.safetensors': 'x' };
    expect(errorOf(shards).hint).toContain('index');
  });
  it('several indexes are listed', () => {
    const error = errorOf({ 'a.safetensors.index.json': '{}', 'b.safetensors.index.json': '{}' });
    expect(error.message).toContain('a.safetensors.index.json, b.safetensors.index.json');
  });
  it('no weights: folders in it that have some are named', () => {
    const pipeline = {
      'model_index.json': '{}',
      'unet/diffusion_pytorch_model.safetensors': safetensors('a'),
      'vae/diffusion_pytorch_model.safetensors': safetensors('a'),
      'scheduler/scheduler_config.json': '{}',
    };
    const error = errorOf(pipeline);
    expect([error.code, error.hint]).toEqual(['file/unknown-format', 'give one of its folders: unet, vae']);
    expect(errorOf({}).hint).toContain('model.safetensors');
  });
  it('a pointer of Git LFS in place of the weights: that is said', () => {
    const error = errorOf({
      'model.safetensors': 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n',
    });
    expect(error.message).toContain('Git LFS');
  });
});
