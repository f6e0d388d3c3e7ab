/** PyTorch's old tar container, made by hand: what it can hold, and what is wrong with it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { tensorArray } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { byKey, type TarParts, tarParts, tarred, tarStorage, tarTensor } from '../support/tar-files.ts';
import { dict, fileWith, floats, global, int, ops, str, tuple } from '../support/torch-files.ts';

const storage = tarStorage(7, 'torch.FloatStorage', 6, floats(1, 2, 3, 4, 5, 6));
const w = tarTensor(9, int(7), 'torch.FloatTensor', [2, 3], [3, 1]);
const sound: TarParts = { storages: [storage], tensors: [w], object: dict({ w: byKey(9) }) };

const valuesOf = (parts: TarParts): Record<string, { dims: readonly number[]; values: number[] }> => {
  const file = openWeights(fileWith(tarred(tarParts(parts))));
  const values = Object.fromEntries(
    [...(file.stateDicts[0]?.tensors ?? [])].map(([key, tensor]) => [
      key,
      { dims: tensor.dims, values: [...(tensorArray(tensor) as Float32Array)] },
    ]),
  );
  file.close();
  return values;
};

const errorOf = (bytes: Uint8Array): OrthoError => {
  try {
    openWeights(fileWith(bytes)).close();
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('it was opened');
};

describe('what it holds', () => {
  it('tensors with strides and offsets', () => {
    const across = tarTensor(10, int(7), 'torch.FloatTensor', [2, 2], [1, 3], 1);
    expect(valuesOf({ ...sound, tensors: [w, across], object: dict({ w: byKey(9), t: byKey(10) }) })).toEqual(
      {
        w: { dims: [2, 3], values: [1, 2, 3, 4, 5, 6] },
        t: { dims: [2, 2], values: [2, 5, 3, 6] },
      },
    );
  });
  it('storages that are views of others, and views of views', () => {
    const views = ops(
      '](',
      tuple(int(20), int(7), int(2), int(4)),
      tuple(int(21), int(20), int(1), int(2)),
      'e',
    );
    const tensors = [
      w,
      tarTensor(10, int(20), 'torch.FloatTensor', [2], [1], 1),
      tarTensor(11, int(21), 'torch.FloatTensor', [2], [1]),
    ];
    const file = openWeights(
      fileWith(
        tarred(
          tarParts({ ...sound, views, tensors, object: dict({ a: byKey(10), b: byKey(11), w: byKey(9) }) }),
        ),
      ),
    );
    const tensorsOf = file.stateDicts[0]!.tensors;
    expect([...(tensorArray(tensorsOf.get('a')!) as Float32Array)]).toEqual([4, 5]);
    // The same elements by another way are an alias.
    expect(tensorsOf.get('b')?.sharedWith).toBe('a');
    expect(tensorsOf.get('w')?.sharedWith).toBeUndefined();
    file.close();
  });
  it('a tensor twice, keys as text, and parameters of a module', () => {
    const object = dict({ w: byKey(9), again: ops(str('9'), 'Q') });
    const file = openWeights(fileWith(tarred(tarParts({ ...sound, object }))));
    expect(file.stateDicts[0]?.tensors.get('again')?.sharedWith).toBe('w');
    file.close();
    const empty = ops('}');
    const state = dict({ _modules: empty, _parameters: dict({ weight: byKey(9) }), _buffers: empty });
    const type = ops(tuple(global('net.Net'), str('net.py'), str('class Net')), 'Q');
    const module = openWeights(
      fileWith(tarred(tarParts({ ...sound, object: ops(type, ')', 0x81, state, 'b') }))),
    );
    expect([...(module.stateDicts[0]?.tensors.keys() ?? [])]).toEqual(['weight']);
    module.close();
  });
  it('empty tensors, which have no dimensions or no storage', () => {
    const none = tarStorage(8, 'torch.LongStorage', 0, new Uint8Array(0));
    const tensors = [
      w,
      tarTensor(10, int(8), 'torch.LongTensor', [], []),
      tarTensor(11, ops('N'), 'torch.DoubleTensor', [0], [1]),
    ];
    const object = dict({ w: byKey(9), a: byKey(10), b: byKey(11) });
    const file = openWeights(fileWith(tarred(tarParts({ storages: [storage, none], tensors, object }))));
    const rows = [...(file.stateDicts[0]?.tensors ?? [])].map(([key, { dtype, dims }]) => [key, dtype, dims]);
    expect(rows.slice(1)).toEqual([
      ['a', 'int64', [0]],
      ['b', 'float64', [0]],
    ]);
    file.close();
  });
  it('pax headers, sizes in base 256, and members that are none of its own', () => {
    const parts = tarParts(sound);
    const pax = { name: 'PaxHeader', kind: 'x', data: Buffer.from('22 mtime=1480000000.5\n') };
    const wide = `\x80${'\0'.repeat(9)}${String.fromCharCode(parts[2]!.data.length >> 8, parts[2]!.data.length & 255)}`;
    const other = { name: 'notes', data: Buffer.from('hello') };
    const file = openWeights(
      fileWith(tarred([pax, parts[0]!, parts[1]!, { ...parts[2]!, size: wide }, other])),
    );
    expect(file.stateDicts[0]?.tensors.size).toBe(1);
    expect(file.findings).toEqual([expect.objectContaining({ level: 'warning', rule: 'extra-members' })]);
    file.close();
  });
});

describe('what is wrong with it', () => {
  const parts = tarParts(sound);
  const [storages, tensors, pickle] = parts as [(typeof parts)[0], (typeof parts)[0], (typeof parts)[0]];
  const whole = tarred(parts);
  it.each<[string, Uint8Array, string, string]>([
    [
      'another tar archive',
      tarred([{ name: 'model.pth', data: floats(1) }]),
      'model.pth',
      'checkpoint/unsupported',
    ],
    [
      'a header with a wrong checksum',
      tarred([{ ...storages, checksum: 1 }, tensors, pickle]),
      'checksum',
      'checkpoint/invalid',
    ],
    [
      'a size beyond the file',
      tarred([storages, tensors, { ...pickle, size: 1_000_000 }]),
      'announces 1000000 bytes',
      'checkpoint/invalid',
    ],
    [
      'a size that is no number',
      tarred([{ ...storages, size: '12x' }]),
      'malformed size',
      'checkpoint/invalid',
    ],
    [
      'a size of 2^80',
      tarred([{ ...storages, size: `\x80\0${'\xff'.repeat(10)}` }]),
      'malformed size',
      'checkpoint/invalid',
    ],
    ['two members of one name', tarred([...parts, pickle]), 'two members', 'checkpoint/invalid'],
    [
      'a symbolic link',
      tarred([{ name: 'storages', kind: '2', data: new Uint8Array(0) }]),
      'symbolic link',
      'checkpoint/invalid',
    ],
    [
      'a folder',
      tarred([{ name: 'a/', kind: '5', data: new Uint8Array(0) }, ...parts]),
      'folder',
      'checkpoint/invalid',
    ],
    [
      'an unknown kind of member',
      tarred([{ name: 'a', kind: 'Z', data: new Uint8Array(0) }]),
      'unknown kind "Z"',
      'checkpoint/invalid',
    ],
    [
      'a malformed pax header',
      tarred([{ name: 'x', kind: 'x', data: Buffer.from('99 mtime=1\n') }]),
      'pax',
      'checkpoint/invalid',
    ],
    [
      'a pax header that moves all members',
      tarred([{ name: 'x', kind: 'g', data: Buffer.from('9 size=1\n') }]),
      'every member',
      'checkpoint/invalid',
    ],
    [
      'cut off after a member',
      whole.subarray(0, 700),
      'it lacks "tensors" and "pickle"',
      'checkpoint/invalid',
    ],
    [
      'cut off within a header',
      whole.subarray(0, 1024 + 100),
      'ends within the header',
      'checkpoint/invalid',
    ],
  ])('%s', (_, bytes, words, code) => {
    const error = errorOf(bytes);
    expect([error.code, error.message.includes('tar')]).toEqual([code, true]);
    expect(error.message).toContain(words);
    expect(error.hint).toBeTruthy();
  });

  const long = tarStorage(7, 'torch.FloatStorage', 7, floats(1, 2, 3, 4, 5, 6));
  it.each<[string, Partial<TarParts>, string, string]>([
    ['a storage longer than the file', { storages: [long], views: ops('N') }, 'bytes', 'checkpoint/invalid'],
    [
      'a storage of a negative length',
      { storages: [tarStorage(7, 'torch.FloatStorage', -1, floats())] },
      '-1 elements',
      'checkpoint/invalid',
    ],
    [
      'a storage of an unknown class',
      { storages: [tarStorage(7, 'torch.OddStorage', 0, floats())] },
      'unknown class',
      'checkpoint/invalid',
    ],
    ['a storage twice', { storages: [storage, storage] }, 'comes twice', 'checkpoint/invalid'],
    ['more storages than there are', { storageCount: 2 }, '', 'checkpoint/invalid'],
    ['fewer storages than there are', { storageCount: 0 }, '', 'checkpoint/invalid'],
    ['a million storages', { storageCount: 1_000_000 }, '1000000 storages', 'file/limit'],
    ['a negative count', { tensorCount: -1 }, '-1 tensors', 'checkpoint/invalid'],
    [
      'a view beyond its storage',
      { views: ops('](', tuple(int(8), int(7), int(4), int(3)), 'e') },
      'leaves its storage',
      'checkpoint/invalid',
    ],
    [
      'a view of nothing',
      { views: ops('](', tuple(int(8), int(6), int(0), int(0)), 'e') },
      'leaves its storage',
      'checkpoint/invalid',
    ],
    [
      'a view with the key of a storage',
      { views: ops('](', tuple(int(7), int(7), int(0), int(1)), 'e') },
      'comes twice',
      'checkpoint/invalid',
    ],
    [
      'a tensor beyond its storage',
      { tensors: [tarTensor(9, int(7), 'torch.FloatTensor', [7], [1])] },
      'leaves its storage',
      'checkpoint/invalid',
    ],
    [
      'a negative offset',
      { tensors: [tarTensor(9, int(7), 'torch.FloatTensor', [1], [1], -1)] },
      'offset -1',
      'checkpoint/invalid',
    ],
    [
      'a negative stride',
      { tensors: [tarTensor(9, int(7), 'torch.FloatTensor', [2], [-1], 1)] },
      'stride',
      'checkpoint/invalid',
    ],
    [
      'a size of 2^62',
      { tensors: [tarTensor(9, int(7), 'torch.FloatTensor', [2n ** 62n], [0])] },
      '',
      'checkpoint/invalid',
    ],
    [
      'a thousand dimensions',
      { tensors: [tarTensor(9, int(7), 'torch.FloatTensor', [], [], 0, 1000)] },
      '1000 dimensions',
      'checkpoint/invalid',
    ],
    [
      'a negative rank',
      { tensors: [tarTensor(9, int(7), 'torch.FloatTensor', [], [], 0, -1)] },
      '-1 dimensions',
      'checkpoint/invalid',
    ],
    [
      'a 0-d tensor over an empty storage is empty, over others an element',
      { tensors: [tarTensor(9, int(7), 'torch.FloatTensor', [], [], 6)] },
      'leaves its storage',
      'checkpoint/invalid',
    ],
    [
      'another class of tensor than of storage',
      { tensors: [tarTensor(9, int(7), 'torch.LongTensor', [1], [1])] },
      'LongTensor over a FloatStorage',
      'checkpoint/invalid',
    ],
    [
      'a sparse tensor',
      { tensors: [tarTensor(9, int(7), 'torch.sparse.FloatTensor', [1], [1])] },
      'sparse',
      'checkpoint/unsupported',
    ],
    [
      'a tensor over no storage of the file',
      { tensors: [tarTensor(9, int(6), 'torch.FloatTensor', [1], [1])] },
      'unknown storage 6',
      'checkpoint/invalid',
    ],
    ['a tensor twice', { tensors: [w, w] }, 'the key 9', 'checkpoint/invalid'],
    [
      'an object that refers to nothing',
      { object: dict({ w: byKey(1) }) },
      'no tensor: 1',
      'checkpoint/invalid',
    ],
    ['a call', { object: ops(global('net.make'), tuple(), 'R') }, 'net.make', 'checkpoint/refused-global'],
    [
      'a dangerous name among the storages',
      { storages: [tarStorage(7, 'os.system', 0, floats())] },
      'os.system',
      'checkpoint/refused-global',
    ],
    [
      'bytes after the last tensor',
      { tensors: [w, Buffer.from('x')], tensorCount: 1 },
      'left over',
      'checkpoint/invalid',
    ],
  ])('%s', (_, change, words, code) => {
    const error = errorOf(tarred(tarParts({ ...sound, ...change })));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
  });

  it('any cut is an error, never a hang', () => {
    const bytes = readFileSync(new URL('../fixtures/programs/tiny.sd.tar.pth', import.meta.url));
    // From the end of the last member on, only padding and end marks follow.
    for (let length = 0; length < 14_000; length += 61)
      expect(errorOf(bytes.subarray(0, length)).exitCode).not.toBe(70);
  });
});
