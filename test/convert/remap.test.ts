import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../src/convert/compare-keys.ts';
import { type RemapOptions, remap } from '../../src/convert/remap.ts';
import { float32Tensor, int64Tensor, tensorOf, toFloat32 } from '../../src/core/tensor.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';

const scalar = (value: number): WeightTensor => float32Tensor([1], [value]);
const keysAfter = (keys: readonly string[], options: RemapOptions): string[] => [
  ...remap({ path: '', tensors: new Map(keys.map((key, i) => [key, scalar(i)])) }, options).tensors.keys(),
];

describe('keys', () => {
  it('a prefix is stripped as a prefix, never in the middle', () => {
    const keys = ['module.conv.weight', 'submodule.x', 'a.module.b', 'module.', 'modules.y'];
    expect(keysAfter(keys, { stripPrefix: ['module.'] })).toEqual([
      'conv.weight',
      'submodule.x',
      'a.module.b',
      'module.',
      'modules.y',
    ]);
  });
  it('one level is stripped, a second only if asked for', () => {
    expect(keysAfter(['module.module.w'], { stripPrefix: ['module.'] })).toEqual(['module.w']);
    expect(keysAfter(['module.module.w'], { stripPrefix: ['module.', 'module.'] })).toEqual(['w']);
    expect(keysAfter(['module._orig_mod.w'], { stripPrefix: ['module.', '_orig_mod.'] })).toEqual(['w']);
  });
  it('renames a key, or with a dot at the end a prefix; the first rule that fits', () => {
    const rename = [
      { from: 'fc', to: 'no' },
      { from: 'fc.weight', to: 'head.w' },
      { from: 'fc.', to: 'classifier.' },
      { from: 'net.', to: '' },
    ];
    expect(keysAfter(['fc.weight', 'fc.bias', 'net.a.fc.x', 'afc.bias'], { rename })).toEqual([
      'head.w',
      'classifier.bias',
      'a.fc.x',
      'afc.bias',
    ]);
  });
  it('selects and drops by the original keys; strip, rename and add follow in this order', () => {
    const options = {
      select: ['module.*'],
      drop: ['*.num_batches_tracked'],
      stripPrefix: ['module.'],
      rename: [{ from: 'bn.', to: 'norm.' }],
      addPrefix: 'net.',
    };
    const keys = ['module.bn.weight', 'module.bn.num_batches_tracked', 'other', 'module.conv'];
    expect(keysAfter(keys, options)).toEqual(['net.norm.weight', 'net.conv']);
    const result = remap({ path: '', tensors: new Map(keys.map((key) => [key, scalar(0)])) }, options);
    expect(result.dropped).toEqual(['module.bn.num_batches_tracked', 'other']);
    expect(result.renamed).toEqual([
      { from: 'module.bn.weight', to: 'net.norm.weight' },
      { from: 'module.conv', to: 'net.conv' },
    ]);
  });
  it('rules that fit nothing are named', () => {
    const tensors = new Map([['a.w', scalar(0)]]);
    const options = {
      select: ['a.*', 'b.*'],
      drop: ['c'],
      stripPrefix: ['a.', 'module.'],
      rename: [{ from: 'x', to: 'y' }],
    };
    expect(remap({ path: '', tensors }, options).unused).toEqual(['b.*', 'c', 'module.', 'x=y']);
  });
  it('two keys of one name, and an empty name, are collisions', () => {
    const collision = expect.objectContaining({ code: 'weights/key-collision' });
    expect(() => keysAfter(['w', 'module.w'], { stripPrefix: ['module.'] })).toThrow(collision);
    expect(() => keysAfter(['w', 'module.w'], { stripPrefix: ['module.'] })).toThrow(
      '"w" and "module.w" would both become "w"',
    );
    expect(() => keysAfter(['w'], { rename: [{ from: 'w', to: '' }] })).toThrow(collision);
  });
});

describe('shared tensors', () => {
  const tensors = new Map<string, WeightTensor>([
    ['a', scalar(1)],
    ['b', { ...scalar(1), sharedWith: 'a' }],
    ['c', { ...scalar(1), sharedWith: 'a' }],
  ]);
  it('stay shared under their new names', () => {
    const result = remap({ path: '', tensors }, { addPrefix: 'x.' }).tensors;
    expect([...result].map(([key, { sharedWith }]) => [key, sharedWith])).toEqual([
      ['x.a', undefined],
      ['x.b', 'x.a'],
      ['x.c', 'x.a'],
    ]);
  });
  it('the first that is kept owns the data', () => {
    const result = remap({ path: '', tensors }, { drop: ['a'] }).tensors;
    expect([...result].map(([key, { sharedWith }]) => [key, sharedWith])).toEqual([
      ['b', undefined],
      ['c', 'b'],
    ]);
  });
  it('are cast together', () => {
    const result = remap({ path: '', tensors }, { dtype: 'float16' });
    expect(result.tensors.get('b')?.data).toBe(result.tensors.get('a')?.data);
    expect(result.casts.map(({ key }) => key)).toEqual(['a']);
  });
});

describe('casts', () => {
  it('floats change, integers stay', () => {
    const tensors = new Map([
      ['w', scalar(1e6)],
      ['n', int64Tensor([], [3])],
      ['h', tensorOf('float16', [1], Uint8Array.of(0, 0x3c))],
    ]);
    const result = remap({ path: '', tensors }, { dtype: 'float16' });
    expect([...result.tensors.values()].map(({ dtype }) => dtype)).toEqual(['float16', 'int64', 'float16']);
    expect(toFloat32(result.tensors.get('w')!)[0]).toBe(Infinity);
    expect(result.casts).toEqual([{ key: 'w', dtype: 'float16', tally: { overflowed: 1 } }]);
  });
  it('8-bit floats are refused by name', () => {
    const tensors = new Map([['f8', tensorOf('float8e5m2', [1], new Uint8Array(1))]]);
    expect(() => remap({ path: '', tensors }, { dtype: 'float32' })).toThrow(
      expect.objectContaining({ code: 'dtype/unsupported', at: { key: 'f8' } }),
    );
  });
});

describe('compareKeys', () => {
  it('tells matched, missing, unexpected and mismatched keys, with the nearest names', () => {
    const tensors = new Map([
      ['conv.weight', float32Tensor([2, 1], [1, 2])],
      ['module.fc.bias', scalar(0)],
      ['bn.weight', scalar(0)],
    ]);
    const result = compareKeys(tensors, [
      { name: 'conv.weight', shape: [2, 1] },
      { name: 'fc.bias', shape: [1] },
      { name: 'bn.weight', shape: [2] },
      { name: 'bn.num_batches_tracked', shape: [], needed: false },
    ]);
    expect(result).toEqual({
      matched: ['conv.weight'],
      missing: ['fc.bias'],
      unexpected: ['module.fc.bias'],
      shapeMismatch: [{ key: 'bn.weight', expected: [2], actual: [1] }],
      nearest: new Map([['fc.bias', 'module.fc.bias']]),
    });
  });
  it('[1] and [] are different shapes', () => {
    expect(compareKeys(new Map([['w', scalar(0)]]), [{ name: 'w', shape: [] }]).shapeMismatch).toHaveLength(
      1,
    );
  });
});
