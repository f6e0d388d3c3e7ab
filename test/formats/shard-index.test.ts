/** Sharded checkpoints: a real set, and sets made wrong in every way an index can be. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { float32Tensor, type Tensor } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { safetensorsChunks } from '../../src/formats/safetensors.ts';
import { mergedGlobals } from '../../src/formats/shard-index.ts';
import type { GlobalUse, WeightFile } from '../../src/formats/state-dict.ts';
import { torchZipChunks } from '../../src/formats/torch-zip-write.ts';
import { canCountDescriptors, openIn } from '../support/descriptors.ts';
import { expectedRows, tensorRows } from '../support/tensor-table.ts';
import { tempFolder } from '../support/torch-files.ts';

const real = new URL('../fixtures/sharded/', import.meta.url).pathname;

const gathered = (chunks: Iterable<Uint8Array>): Buffer =>
  Buffer.concat([...chunks].map((chunk) => Buffer.from(chunk)));
const tensors = (names: readonly string[]): Map<string, Tensor> =>
  new Map(names.map((name, i) => [name, float32Tensor([1], [i])]));
const shard = (...names: string[]): Buffer =>
  gathered(safetensorsChunks(tensors(names), new Map([['format', 'pt']])));

/** A folder with these files; the index is JSON or its text. */
const set = (files: Readonly<Record<string, Uint8Array>>, index: unknown): string => {
  const folder = join(tempFolder(), 'set');
  mkdirSync(folder);
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  const path = join(folder, 'model.safetensors.index.json');
  writeFileSync(path, typeof index === 'string' ? index : JSON.stringify(index));
  return path;
};
const errorOf = (action: () => unknown): OrthoError => {
  try {
    action();
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('a real set', () => {
  it.each([
    ['model.safetensors.index.json', 'safetensors', ['format']],
    ['pytorch_model.bin.index.json', 'torch-zip', []],
    ['', 'safetensors', ['format']],
  ])('%s', (name, format, metadata) => {
    const file = openWeights(join(real, name));
    expect([file.format, [...file.metadata.keys()]]).toEqual([format, metadata]);
    expect(tensorRows(file).toSorted()).toEqual(expectedRows(join(real, 'expected.tsv')).toSorted());
    expect(file.checkIntegrity?.()).toEqual([]);
    expect(file.findings.filter(({ level }) => level !== 'note')).toEqual([]);
    file.close();
  });
});

it('a global of several files is what it is at its worst', () => {
  const use = (kind: GlobalUse['kind']): Pick<WeightFile, 'globals'> => ({
    globals: [{ name: 'functools.partial', kind, calls: 1 }],
  });
  expect(mergedGlobals([use('opaque'), use('dangerous'), use('opaque')])).toEqual([
    { name: 'functools.partial', kind: 'dangerous', calls: 3 },
  ]);
});

describe('a set', () => {
  const files = { 'a.safetensors': shard('x', 'y'), 'b.safetensors': shard('z') };
  const map = { z: 'b.safetensors', x: 'a.safetensors', y: 'a.safetensors' };
  const rulesOf = (path: string): string[] => {
    const file = openWeights(path);
    file.close();
    return file.findings.map(({ rule }) => rule);
  };
  it('has the order of its index, and needs no metadata', () => {
    const file = openWeights(set(files, { weight_map: map }));
    expect([...file.stateDicts[0]!.tensors.keys()]).toEqual(['z', 'x', 'y']);
    expect([file.findings, Object.fromEntries(file.metadata)]).toEqual([[], { format: 'pt' }]);
    const paths = [...file.stateDicts[0]!.tensors.values()].map(({ data }) => data.path?.slice(-13));
    expect(paths).toEqual(['b.safetensors', 'a.safetensors', 'a.safetensors']);
    file.close();
  });
  it('keeps the tied weights of a shard, in the order of the index', () => {
    const one = float32Tensor([1], [1]);
    const tied = new Map([
      ['emb', one],
      ['head', { ...one, sharedWith: 'emb' }],
    ]);
    const bin = { 'a.bin': gathered(torchZipChunks(tied)) };
    const file = openWeights(
      set(bin, { weight_map: { head: 'a.bin', emb: 'a.bin' }, metadata: { total_size: 4 } }),
    );
    const shared = [...file.stateDicts[0]!.tensors].map(([key, { sharedWith }]) => [key, sharedWith]);
    expect([shared, file.findings]).toEqual([
      [
        ['head', undefined],
        ['emb', 'head'],
      ],
      [],
    ]);
    file.close();
  });
  it('says what the index leaves out, and that its size is another', () => {
    const { y: _, ...fewer } = map;
    expect(rulesOf(set(files, { weight_map: fewer }))).toEqual(['unlisted-tensors']);
    const more = { ...files, 'model-00003-of-00003.safetensors': shard('w') };
    expect(rulesOf(set(more, { weight_map: map }))).toEqual(['unlisted-shards']);
    expect(rulesOf(set(files, { weight_map: map, metadata: { total_size: 11 } }))).toEqual(['total-size']);
    expect(rulesOf(set(files, { weight_map: map, metadata: { total_size: 12 } }))).toEqual([]);
  });
  it('shows what else its metadata says', () => {
    const file = openWeights(set(files, { weight_map: map, metadata: { total_size: 12, version: '1' } }));
    expect(file.metadata.get('index')).toEqual({ version: '1' });
    file.close();
  });
  it.skipIf(!canCountDescriptors)('is closed as a whole, also when a shard is wrong', () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`s${i}`, shard(`k${i}`)]));
    const all = Object.fromEntries(Object.keys(many).map((name, i) => [`k${i}`, name]));
    const path = set(many, { weight_map: all });
    const open = (): number => openIn(dirname(path));
    const file = openWeights(path);
    expect(open()).toBe(64);
    expect([...file.stateDicts[0]!.tensors.values()].map(({ data }) => data.read(0, 4).length)).toHaveLength(
      300,
    );
    file.close();
    expect(open()).toBe(0);
    writeFileSync(path.replace('model.safetensors.index.json', 's299'), 'damaged');
    expect(() => openWeights(path)).toThrow(OrthoError);
    expect(open()).toBe(0);
  });
  it.each<[string, unknown, string]>([
    ['a shard that is missing', { weight_map: { x: 'a.safetensors', z: 'c.safetensors' } }, 'does not exist'],
    [
      'a key that its shard lacks',
      { weight_map: { ...map, q: 'b.safetensors' } },
      'lack keys that the index names: "q"',
    ],
    [
      'a key in another shard',
      { weight_map: { ...map, z: 'a.safetensors' } },
      '"z" (expected in "a.safetensors")',
    ],
    ['a key twice', '{"weight_map":{"x":"a.safetensors","x":"b.safetensors"}}', 'the key "x" twice'],
    ['a path upwards', { weight_map: { x: '../set/a.safetensors' } }, 'leaves the folder'],
    ['an absolute path', { weight_map: { x: '/etc/passwd' } }, 'no relative path'],
    ['a file under a second name', { weight_map: { x: './a.safetensors' } }, 'empty parts'],
    ['a path of 5,000 letters', { weight_map: { x: 'a'.repeat(5000) } }, 'a name of 5000 letters'],
    [
      'a key of 5,000 letters',
      { weight_map: { ['x'.repeat(5000)]: 'a.safetensors' } },
      'a key of 5000 letters',
    ],
    ['a path of Windows', { weight_map: { x: 'C:\\a' } }, 'no relative path'],
    ['a NUL in a path', { weight_map: { x: 'a\0b' } }, 'no file name'],
    ['itself as a shard', { weight_map: { x: 'model.safetensors.index.json' } }, 'in the place of one'],
    ['no map', { metadata: { weight_map: 1 } }, 'no "weight_map"'],
    ['an empty map', { weight_map: {} }, 'empty'],
    ['a file that is no text', { weight_map: { x: 1 } }, 'the file of "x" is 1'],
    ['metadata that is no object', { metadata: [], weight_map: map }, '"metadata" is no object'],
    [
      'deep metadata',
      `{"metadata":${'{"a":'.repeat(50)}1${'}'.repeat(50)},"weight_map":{}}`,
      'nests 51 levels',
    ],
    ['JSON that ends early', '{"weight_map":{"x":', 'no valid JSON'],
  ])('%s is an error', (_, index, words) => {
    const error = errorOf(() => openWeights(set(files, index)));
    expect([error.code, error.message]).toEqual(['checkpoint/invalid', expect.stringContaining(words)]);
    expect(error.hint).toBeTruthy();
  });
  it('with a damaged index fails only as damaged files do', () => {
    const text = Buffer.from(JSON.stringify({ metadata: { total_size: 12 }, weight_map: map }));
    const path = set(files, { weight_map: map });
    fc.assert(
      fc.property(
        fc.nat(text.length - 1),
        fc.nat(255),
        fc.option(fc.nat(text.length)),
        (at, value, length) => {
          const damaged = Buffer.from(text);
          damaged[at] = value;
          writeFileSync(path, damaged.subarray(0, length ?? damaged.length));
          try {
            openWeights(path).close();
          } catch (error) {
            if (!(error instanceof OrthoError) || error.code === 'internal/bug') throw error;
          }
        },
      ),
      { numRuns: 200 },
    );
  });
  it('does not follow a link out of its folder, but for the download cache', () => {
    const path = set({ 'b.safetensors': files['b.safetensors'] }, { weight_map: map });
    const elsewhere = join(tempFolder(), 'a.safetensors');
    writeFileSync(elsewhere, files['a.safetensors']);
    symlinkSync(elsewhere, join(path, '..', 'a.safetensors'));
    expect(errorOf(() => openWeights(path)).message).toContain('is a link that leaves the folder');

    const cache = join(tempFolder(), 'models--acme--net');
    const snapshot = join(cache, 'snapshots', '0123abc');
    mkdirSync(join(cache, 'blobs'), { recursive: true });
    mkdirSync(snapshot, { recursive: true });
    for (const [i, name] of ['a.safetensors', 'b.safetensors', 'model.safetensors.index.json'].entries()) {
      const content = name in files ? files[name as keyof typeof files] : JSON.stringify({ weight_map: map });
      writeFileSync(join(cache, 'blobs', `${i}`), content);
      symlinkSync(join('..', '..', 'blobs', `${i}`), join(snapshot, name));
    }
    const file = openWeights(snapshot);
    expect(file.stateDicts[0]!.tensors.size).toBe(3);
    file.close();
  });
});
