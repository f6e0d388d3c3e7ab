import { describe, expect, it } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import { float32Tensor, int64Tensor, tensorBytes, tensorOf } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';
import { torchZipChunks } from '../../src/formats/torch-zip-write.ts';
import { openZip } from '../../src/formats/zip.ts';
import { fileWith } from '../support/torch-files.ts';

const bytesOf = (tensors: ReadonlyMap<string, WeightTensor>): Buffer =>
  Buffer.concat([...torchZipChunks(tensors)].map((chunk) => Buffer.from(chunk)));

const weight = float32Tensor([2, 3], [1, 2, 3, 4, 5, 6]);
const tensors = new Map<string, WeightTensor>([
  ['emb.weight', weight],
  ['steps', int64Tensor([], [2n ** 40n])],
  ['head.weight', { ...weight, sharedWith: 'emb.weight' }],
  ['u16', tensorOf('uint16', [2], Uint8Array.of(1, 0, 255, 255))],
  ['f8', tensorOf('float8e4m3fn', [3], Uint8Array.of(1, 2, 3))],
  ['complex', tensorOf('complex64', [1], new Uint8Array(8))],
  ['flag', tensorOf('bool', [1], Uint8Array.of(1))],
  ['empty', float32Tensor([0, 4], [])],
  ['__proto__', float32Tensor([1], [9])],
]);

describe('a written checkpoint', () => {
  it('reads back with names, types, values and aliases', () => {
    const file = openWeights(fileWith(bytesOf(tensors)));
    expect([file.format, file.findings, file.checkIntegrity?.()]).toEqual(['torch-zip', [], []]);
    const back = file.stateDicts[0]!.tensors;
    expect([...back.keys()]).toEqual([...tensors.keys()]);
    for (const [key, { dtype, dims, sharedWith, data }] of tensors) {
      const got = back.get(key)!;
      expect([key, got.dtype, got.dims, got.sharedWith]).toEqual([key, dtype, dims, sharedWith]);
      expect([...tensorBytes(got)]).toEqual([...data.read(0, data.size)]);
    }
    file.close();
  });
  it('stores a shared tensor once, aligns its records, and is the same every time', () => {
    const bytes = bytesOf(tensors);
    const { entries } = openZip(new BytesSource(bytes), { label: 'x', code: 'checkpoint/invalid' });
    expect([...entries.keys()]).toEqual([
      'archive/data.pkl',
      'archive/.format_version',
      'archive/.storage_alignment',
      'archive/byteorder',
      ...Array.from({ length: tensors.size - 1 }, (_, i) => `archive/data/${i}`),
      'archive/version',
      'archive/.data/serialization_id',
    ]);
    const text = (name: string): string =>
      Buffer.from(
        entries.get(`archive/${name}`)!.data.read(0, entries.get(`archive/${name}`)!.size),
      ).toString();
    expect(['.format_version', '.storage_alignment', 'byteorder', 'version'].map(text)).toEqual([
      '1',
      '64',
      'little',
      '3\n',
    ]);
    expect(text('.data/serialization_id')).toMatch(/^\d{40}$/);
    expect(bytes.indexOf(Buffer.from(tensorBytes(weight))) % 64).toBe(0);
    expect(bytesOf(tensors).equals(bytes)).toBe(true);
  });
  it('tells files with other contents apart', () => {
    const id = (values: readonly number[]): string => {
      const bytes = bytesOf(new Map([['w', float32Tensor([1], values)]]));
      const { entries } = openZip(new BytesSource(bytes), { label: 'x', code: 'checkpoint/invalid' });
      return Buffer.from(entries.get('archive/.data/serialization_id')!.data.read(0, 40)).toString();
    };
    expect(id([1])).toBe(id([1]));
    expect(id([1])).not.toBe(id([2]));
  });
  it('holds thousands of tensors', () => {
    const many = new Map(Array.from({ length: 2500 }, (_, i) => [`t${i}`, float32Tensor([1], [i])] as const));
    const file = openWeights(fileWith(bytesOf(many)));
    expect(file.stateDicts[0]?.tensors.size).toBe(2500);
    file.close();
  });
  it('an empty state dict is a valid file', () => {
    const file = openWeights(fileWith(bytesOf(new Map())));
    expect(file.findings.map(({ rule }) => rule)).toEqual(['no-tensors']);
    file.close();
  });
  it('refuses types that PyTorch lacks', () => {
    expect(() => bytesOf(new Map([['w', tensorOf('int4', [2], new Uint8Array(1))]]))).toThrow(
      expect.objectContaining({ code: 'dtype/unsupported', at: { key: 'w' } }),
    );
  });
});
