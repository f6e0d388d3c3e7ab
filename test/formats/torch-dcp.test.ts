/** Folders of torch.distributed.checkpoint: real ones of several processes, and hand-made wrong ones. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { filesOf } from '../../src/core/source.ts';
import { toFloat32 } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { checkpointBytes } from '../fuzz/builders.ts';
import { expectedRows, tensorRows } from '../support/tensor-table.ts';
import {
  call,
  dict,
  floats,
  global,
  int,
  ops,
  pickled,
  storage,
  str,
  tempFolder,
  tensor,
  tuple,
  zipped,
} from '../support/torch-files.ts';

const fixture = (name: string): string =>
  new URL(`../fixtures/distributed/${name}`, import.meta.url).pathname;
const copyOf = (name: string): string => {
  const folder = join(tempFolder(), name);
  cpSync(fixture(name), folder, { recursive: true });
  return folder;
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

describe('checkpoints of several processes', () => {
  it.each(['grid', 'flat', 'shards'])('%s is what was saved', (name) => {
    for (const chunk of [7, 1000]) {
      const file = openWeights(fixture(name));
      expect([file.format, file.findings]).toEqual(['torch-dcp', []]);
      const rows = tensorRows(file, chunk);
      // A tensor in a list beside the state dicts is none of their tensors.
      const expected = expectedRows(fixture(`${name}.tsv`)).filter((row) => !row.startsWith('history/0\t'));
      expect(rows.toSorted()).toEqual(expected.toSorted());
      expect(file.checkIntegrity?.() ?? []).toEqual([]);
      file.close();
    }
  });
  it('show what lies beside the weights, and which globals they name', () => {
    const file = openWeights(join(fixture('grid'), '.metadata'));
    expect(file.stateDicts.map(({ path }) => path)).toEqual(['model', 'history.1']);
    expect(Object.fromEntries(file.metadata)).toEqual({
      history: ['tensor int64 [3]', 'state dict'],
      epoch: 5,
      args: { lr: 0.1, name: 'grid', sizes: [1, 2] },
    });
    expect(file.globals.filter(({ kind }) => kind !== 'data')).toEqual([]);
    expect(file.globals.map(({ name }) => name)).toContain('torch.distributed.checkpoint.metadata.Metadata');
    file.close();
  });
  it('a part alone is no checkpoint', () => {
    const error = errorOf(() => openWeights(join(fixture('grid'), '__0_0.distcp')));
    expect([error.code, error.hint]).toEqual([
      'checkpoint/invalid',
      expect.stringContaining('give its folder'),
    ]);
  });
  it('with damaged metadata fail only as damaged files do', () => {
    const folder = copyOf('grid');
    const path = join(folder, '.metadata');
    const bytes = readFileSync(path);
    const flips = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(flips, fc.option(fc.nat(bytes.length)), (changes, length) => {
        const damaged = Buffer.from(bytes.subarray(0, length ?? bytes.length));
        for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
        writeFileSync(path, damaged);
        try {
          const file = openWeights(folder);
          tensorRows(file);
          file.checkIntegrity?.();
          file.close();
        } catch (error) {
          if (!(error instanceof OrthoError) || error.code === 'internal/bug') throw error;
        }
      }),
      { numRuns: 200 },
    );
  });
  it('name every file of a tensor', () => {
    const file = openWeights(fixture('grid'));
    const { data } = file.stateDicts[0]!.tensors.get('both.weight')!;
    expect(filesOf(data)).toEqual([0, 1, 2, 3].map((rank) => join(fixture('grid'), `__${rank}_0.distcp`)));
    file.close();
  });
  it('say which record does not have its checksum', () => {
    const folder = copyOf('grid');
    const path = join(folder, '__0_0.distcp');
    const bytes = readFileSync(path);
    bytes[bytes.indexOf('little')] = 0x4c;
    writeFileSync(path, bytes);
    const file = openWeights(folder);
    expect(file.checkIntegrity?.()).toMatchObject([
      { rule: 'checksum-mismatch', at: { file: path, key: 'model.both.weight' } },
    ]);
    file.close();
  });
  it.each<[string, (folder: string) => void, string]>([
    ['a file that is missing', (folder) => unlinkSync(join(folder, '__2_0.distcp')), 'does not exist'],
    [
      'a file that is cut off',
      (folder) => writeFileSync(join(folder, '__2_0.distcp'), new Uint8Array(2000)),
      'is said to end at byte',
    ],
    [
      'a file that is a link out of the folder',
      (folder) => {
        unlinkSync(join(folder, '__2_0.distcp'));
        symlinkSync(join(fixture('grid'), '__2_0.distcp'), join(folder, '__2_0.distcp'));
      },
      'is a link that leaves the folder',
    ],
    [
      'metadata that is cut off',
      (folder) =>
        writeFileSync(join(folder, '.metadata'), readFileSync(join(folder, '.metadata')).subarray(0, 2000)),
      'bytes wanted',
    ],
  ])('%s is an error', (_, damage, words) => {
    const folder = copyOf('grid');
    damage(folder);
    const error = errorOf(() => openWeights(folder));
    expect([error.code, error.message]).toEqual(['checkpoint/invalid', expect.stringContaining(words)]);
  });
});

const DCP = 'torch.distributed.checkpoint.';
/** An object that NEWOBJ makes and BUILD fills. */
const object = (type: string, state: Uint8Array): Buffer => ops(global(type), ')', 0x81, state, 'b');
const sizes = (values: readonly number[]): Buffer => call('torch.Size', tuple(...values.map(int)));
const pairs = (entries: readonly (readonly [Uint8Array, Uint8Array])[]): Buffer =>
  ops('}(', ...entries.flat(), 'u');
const list = (items: readonly Uint8Array[]): Buffer => ops(']', '(', ...items, 'e');

interface Chunk {
  readonly offsets: number[];
  readonly sizes: number[];
  readonly file?: string;
  readonly length?: number;
  readonly more?: Record<string, Uint8Array>;
}

/** The archive of torch.save of one float32 tensor. */
const record = (dims: readonly number[], ...values: number[]): Buffer => {
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((a, b) => a * b, 1));
  return zipped({
    'archive/data.pkl': pickled(tensor(storage('0', values.length), dims, strides)),
    'archive/data/0': floats(...values),
  });
};
const item = record([2], 1, 2);

interface Parts {
  readonly dtype?: string;
  readonly size?: number[];
  readonly chunks?: readonly Chunk[];
  readonly root?: Uint8Array;
  readonly places?: (entries: [Buffer, Buffer][]) => [Buffer, Buffer][];
  readonly files?: Readonly<Record<string, Uint8Array>>;
  readonly path?: Uint8Array;
}

/** A checkpoint of one tensor "w", two elements unless told otherwise. */
const checkpoint = (parts: Parts): string => {
  const { dtype = 'float32', size = [2], chunks = [{ offsets: [0], sizes: [2] }] } = parts;
  const folder = join(tempFolder(), 'checkpoint');
  mkdirSync(folder);
  const properties = object(
    `${DCP}metadata.TensorProperties`,
    tuple(
      global(`torch.${dtype}`),
      ops('N'),
      ops(0x89),
      call(`${DCP}metadata._MEM_FORMAT_ENCODING`, int(0)),
      ops(0x89),
    ),
  );
  const chunk = ({ offsets, sizes: of }: Chunk): Buffer =>
    object(`${DCP}metadata.ChunkStorageMetadata`, dict({ offsets: sizes(offsets), sizes: sizes(of) }));
  const entry = object(
    `${DCP}metadata.TensorStorageMetadata`,
    dict({ properties, size: sizes(size), chunks: list(chunks.map(chunk)) }),
  );
  const places = chunks.map(
    ({ offsets, file = '__0_0.distcp', length = item.length, more = {} }): [Buffer, Buffer] => [
      object(`${DCP}metadata.MetadataIndex`, dict({ fqn: str('w'), offset: sizes(offsets), index: int(0) })),
      object(
        `${DCP}filesystem._StorageInfo`,
        dict({ relative_path: str(file), offset: int(0), length: int(length), ...more }),
      ),
    ],
  );
  const root = object(
    `${DCP}metadata.Metadata`,
    dict({
      state_dict_metadata: pairs([[str('w'), entry]]),
      planner_data: parts.path === undefined ? ops('N') : pairs([[str('w'), parts.path]]),
      storage_data: pairs(parts.places?.(places) ?? places),
    }),
  );
  writeFileSync(join(folder, '.metadata'), pickled(parts.root ?? root));
  for (const [name, bytes] of Object.entries(parts.files ?? { '__0_0.distcp': item })) {
    writeFileSync(join(folder, name), bytes);
  }
  return folder;
};

const valuesOf = (folder: string): number[] => {
  const file = openWeights(folder);
  try {
    return [...toFloat32([...file.stateDicts[0]!.tensors.values()][0]!)];
  } finally {
    file.close();
  }
};

describe('hand-made checkpoints', () => {
  it('a right one is read', () => {
    expect(valuesOf(checkpoint({}))).toEqual([1, 2]);
    const halves = [1, 0].map(
      (at): Chunk => ({ offsets: [at], sizes: [1], file: `${at}`, length: record([1], 0).length }),
    );
    const files = { 0: record([1], 5), 1: record([1], 6) };
    expect(valuesOf(checkpoint({ chunks: halves, files }))).toEqual([5, 6]);
  });
  it('empty parts need no bytes', () => {
    const chunks: Chunk[] = [
      { offsets: [0], sizes: [2] },
      { offsets: [2], sizes: [0], length: 0 },
    ];
    expect(valuesOf(checkpoint({ chunks }))).toEqual([1, 2]);
  });
  it('odd nested names stay flat', () => {
    for (const path of [tuple(), tuple(int(-1)), tuple(ops('N')), str('w')]) {
      const file = openWeights(checkpoint({ path }));
      expect(file.stateDicts.map(({ path: at, tensors }) => [at, ...tensors.keys()])).toEqual([['', 'w']]);
      file.close();
    }
    const far = openWeights(checkpoint({ path: tuple(str('list'), int(1_000_000_000)) }));
    expect([...far.stateDicts[0]!.tensors.keys()]).toEqual(['w']);
    far.close();
  });
  it('a dtype without counterpart is left out by name', () => {
    const file = openWeights(checkpoint({ dtype: 'quint4x2' }));
    expect(file.findings).toContainEqual(expect.objectContaining({ rule: 'refused-tensor' }));
    file.close();
  });
  it('what the items of tensors name is part of the description', () => {
    const evil = checkpointBytes(call('os.system', str('true')));
    const chunks: Chunk[] = [{ offsets: [0], sizes: [2], length: evil.length }];
    const file = openWeights(checkpoint({ chunks, files: { '__0_0.distcp': evil } }), { describe: true });
    expect(file.globals).toContainEqual(expect.objectContaining({ name: 'os.system', kind: 'dangerous' }));
    expect(file.findings.map(({ rule }) => rule)).toContain('checkpoint/refused-global');
    file.close();
  });
  it('two parts do not share bytes', () => {
    const chunks = [0, 1].map((at): Chunk => ({ offsets: [at], sizes: [1], length: record([1], 0).length }));
    const error = errorOf(() =>
      openWeights(checkpoint({ chunks, files: { '__0_0.distcp': record([1], 5) } })),
    );
    expect([error.code, error.message]).toEqual([
      'checkpoint/invalid',
      expect.stringContaining('share bytes of "__0_0.distcp"'),
    ]);
  });
  it('lists get no more empty places than there are keys', () => {
    const file = openWeights(checkpoint({ path: tuple(str('list'), int(2)) }));
    expect([...file.stateDicts[0]!.tensors.keys()]).toEqual(['w']);
    file.close();
    const first = openWeights(checkpoint({ path: tuple(str('list'), int(0)) }));
    expect(first.stateDicts.map(({ path, tensors }) => [path, ...tensors.keys()])).toEqual([['list', '0']]);
    first.close();
  });
  it('bytes that no key owns are a finding', () => {
    const stray = (entries: [Buffer, Buffer][]): [Buffer, Buffer][] => [
      ...entries,
      [object(`${DCP}metadata.MetadataIndex`, dict({ fqn: str('x') })), entries[0]![1]],
    ];
    const file = openWeights(checkpoint({ places: stray }));
    expect(file.findings).toContainEqual(expect.objectContaining({ rule: 'unlisted-tensors' }));
    file.close();
  });
  it.each<[string, Parts, string, string]>([
    ['a hole', { size: [3] }, 'checkpoint/invalid', 'its parts have 2 of 3 elements'],
    [
      'an overlap',
      {
        size: [3],
        chunks: [
          { offsets: [0], sizes: [2] },
          { offsets: [1], sizes: [2] },
        ],
      },
      'checkpoint/invalid',
      'overlap',
    ],
    ['a part outside', { size: [1] }, 'checkpoint/invalid', 'lies outside of [1]'],
    [
      'a part twice',
      {
        chunks: [
          { offsets: [0], sizes: [2] },
          { offsets: [0], sizes: [2] },
        ],
      },
      'checkpoint/invalid',
      'two places',
    ],
    ['a part without a place', { places: () => [] }, 'checkpoint/invalid', 'has no place'],
    [
      'no place at all',
      { places: (all) => [[all[0]![0], str('nowhere')]] },
      'checkpoint/invalid',
      'is not known',
    ],
    [
      'a size that overflows',
      { size: [2147483647, 2147483647, 2147483647], chunks: [] },
      'checkpoint/invalid',
      'overflows',
    ],
    ['a negative size', { size: [-2] }, 'checkpoint/invalid', 'holds -2'],
    [
      'a path upwards',
      { chunks: [{ offsets: [0], sizes: [2], file: '../x' }] },
      'checkpoint/invalid',
      'leaves the folder',
    ],
    [
      'an absolute path',
      { chunks: [{ offsets: [0], sizes: [2], file: '/etc/passwd' }] },
      'checkpoint/invalid',
      'no relative path',
    ],
    [
      'a range beyond the file',
      { chunks: [{ offsets: [0], sizes: [2], length: 99999 }] },
      'checkpoint/invalid',
      'is said to end at byte 99999',
    ],
    [
      'an item that is too short',
      { size: [2000], chunks: [{ offsets: [0], sizes: [2000] }] },
      'checkpoint/invalid',
      '8000 bytes lie in an item',
    ],
    [
      'a transform',
      { chunks: [{ offsets: [0], sizes: [2], more: { transform_descriptors: list([str('zstd')]) } }] },
      'checkpoint/unsupported',
      'saved through a transform',
    ],
    [
      'another object',
      { root: object(`${DCP}metadata.StorageMeta`, dict({})) },
      'checkpoint/invalid',
      'no Metadata object',
    ],
    [
      'a dangerous global',
      { root: ops(object(`${DCP}metadata.StorageMeta`, dict({})), '0', call('os.system', str('true'))) },
      'checkpoint/refused-global',
      'os.system',
    ],
    [
      'an unknown call',
      { root: object(`${DCP}metadata.Metadata`, dict({ planner_data: call('acme.run', str('x')) })) },
      'checkpoint/refused-global',
      'acme.run',
    ],
    [
      'a storage in the metadata',
      { root: object(`${DCP}metadata.Metadata`, dict({ x: storage('0', 1) })) },
      'checkpoint/invalid',
      'a storage',
    ],
  ])('%s is refused', (_, parts, code, words) => {
    const error = errorOf(() => openWeights(checkpoint(parts)));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(words)]);
  });
  it.each<[string, Uint8Array, string, string]>([
    ['no archive', new Uint8Array(item.length), 'checkpoint/unsupported', 'no archive of torch.save'],
    [
      'a tensor of another shape',
      record([1, 2], 1, 2),
      'checkpoint/invalid',
      'the item holds float32 [1, 2]',
    ],
    [
      'no tensor',
      zipped({ 'archive/data.pkl': pickled(dict({})) }),
      'checkpoint/invalid',
      'holds no single tensor',
    ],
  ])('an item with %s is refused when it is read', (_, bytes, code, words) => {
    const chunks = [{ offsets: [0], sizes: [2], length: bytes.length }];
    const error = errorOf(() => valuesOf(checkpoint({ chunks, files: { '__0_0.distcp': bytes } })));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(words)]);
    expect(error.message).toContain('"w"');
  });
  it('a refused one can be described', () => {
    const root = ops(object(`${DCP}metadata.StorageMeta`, dict({})), '0', call('os.system', str('true')));
    const file = openWeights(checkpoint({ root }), { describe: true });
    expect([file.format, file.stateDicts]).toEqual(['torch-dcp', []]);
    expect(file.globals).toContainEqual(
      expect.objectContaining({ name: 'os.system', kind: 'dangerous', calls: 1 }),
    );
    expect(file.findings.every(({ level }) => level === 'error')).toBe(true);
    file.close();
  });
});

describe('parts that were saved as safetensors', () => {
  it.each<[string, (folder: string) => void, string]>([
    [
      'a part that is missing',
      (folder) => unlinkSync(join(folder, 'shard-00001-model-00001-of-00001.safetensors')),
      'elements',
    ],
    [
      'no word of where a part begins',
      (folder) => {
        const path = join(folder, 'shard-00002-model-00001-of-00001.safetensors');
        const text = readFileSync(path).toString('latin1').replace('DCP_SHARDING_INFO', 'DCP_SHARDING_NONE');
        writeFileSync(path, text, 'latin1');
      },
      'it has no DCP_SHARDING_INFO',
    ],
    [
      'parts that overlap',
      (folder) => {
        const path = join(folder, 'shard-00002-model-00001-of-00001.safetensors');
        const text = readFileSync(path).toString('latin1').replace('[0, 5]', '[0, 4]');
        writeFileSync(path, text, 'latin1');
      },
      'overlap',
    ],
  ])('%s is an error', (_, damage, words) => {
    const folder = copyOf('shards');
    damage(folder);
    // The other shard, so that the folder is still taken for a set.
    const error = errorOf(() => openWeights(folder));
    expect([error.code, error.message]).toEqual(['checkpoint/invalid', expect.stringContaining(words)]);
  });
});
