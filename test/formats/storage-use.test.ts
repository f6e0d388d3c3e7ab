import { expect, it } from 'vitest';
import { storageFindings } from '../../src/formats/storage-use.ts';
import { STORAGE_KINDS, StorageRecord, TensorRecord } from '../../src/formats/torch-tensor.ts';

const storage = (elements: number): StorageRecord =>
  new StorageRecord('0', STORAGE_KINDS.get('FloatStorage')!, elements, false);

const view = (of: StorageRecord, offset: number, dims: number[], strides: number[]): TensorRecord =>
  new TensorRecord({
    storage: of,
    dtype: 'float32',
    dims,
    strides,
    offset,
    conjugated: false,
    negated: false,
  });

const rulesOf = (...tensors: TensorRecord[]): string[] =>
  storageFindings(
    tensors.map((each, i) => [`t${i}`, each] as const),
    'x.pth',
  ).map(({ message }) => message);

it('names a storage of which little is shown', () => {
  const large = storage(100_000);
  expect(rulesOf(view(large, 4, [2, 2], [2, 1]))).toEqual([
    '"t0" shows 16 bytes of a storage that takes 400000 in the file',
  ]);
  // The same view twice is no more than once; an expanded one shows what it repeats.
  expect(
    rulesOf(view(large, 4, [2], [1]), view(large, 4, [2], [1]), view(large, 9, [50_000, 3], [0, 1])),
  ).toEqual(['"t0" and 1 more tensors show 20 bytes of a storage that takes 400000 in the file']);
});

it('says nothing of storages that are used or small', () => {
  const large = storage(100_000);
  expect(rulesOf(view(large, 0, [50_000], [1]))).toEqual([]);
  expect(rulesOf(view(large, 0, [30_000], [1]), view(large, 60_000, [30_000], [1]))).toEqual([]);
  expect(rulesOf(view(storage(1000), 0, [1], [1]))).toEqual([]);
});

it('cuts a long list', () => {
  const many = Array.from({ length: 30 }, () => view(storage(100_000), 0, [1], [1]));
  expect(rulesOf(...many)).toHaveLength(21);
  expect(rulesOf(...many).at(-1)).toContain('10 more storages');
});
