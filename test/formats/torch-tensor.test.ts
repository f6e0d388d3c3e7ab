/** Views, strides, flags and geometry of tensors over hand-made storages. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tensorArray, toFloat32 } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';
import {
  call,
  checkpointFile,
  dict,
  fileWith,
  floats,
  global,
  int,
  ops,
  pickled,
  storage,
  str,
  tensor,
  tuple,
  zipped,
} from '../support/torch-files.ts';

const open = (path: string): ReadonlyMap<string, WeightTensor> => {
  const file = openWeights(path);
  return file.stateDicts[0]?.tensors ?? new Map();
};
const values = (bytes: Uint8Array): number[] => [...new Float32Array(bytes.slice().buffer)];

describe('flags of a view', () => {
  const flags = (name: string) => dict({ [name]: ops(0x88) });
  it('negates the imaginary parts of a conjugated tensor', () => {
    const object = dict({
      w: tensor(storage('0', 2, 'torch.ComplexFloatStorage'), [2], [1], 0, flags('conj')),
    });
    const w = open(checkpointFile(object, { 0: floats(1, 2, -3, -4) })).get('w')!;
    expect(w.dtype).toBe('complex64');
    expect(values(w.data.read(0, 16))).toEqual([1, -2, -3, 4]);
    // A range that begins inside an element.
    expect([...w.data.read(4, 4)]).toEqual([...floats(-2)]);
  });
  it('negates a negated tensor', () => {
    const object = dict({ w: tensor(storage('0', 3), [3], [1], 0, flags('neg')) });
    expect([...toFloat32(open(checkpointFile(object, { 0: floats(1, -2, 0) })).get('w')!)]).toEqual([
      -1, 2, -0,
    ]);
  });
  it('keeps a flagged view apart from the plain one', () => {
    const object = dict({
      a: tensor(storage('0', 2), [2], [1]),
      b: tensor(storage('0', 2), [2], [1], 0, flags('neg')),
    });
    expect(open(checkpointFile(object, { 0: floats(1, 2) })).get('b')?.sharedWith).toBeUndefined();
  });
});

describe('strides', () => {
  it('any view inside a storage reads as NumPy would', () => {
    const shapes = fc.array(
      fc.record({ dim: fc.integer({ min: 0, max: 4 }), stride: fc.integer({ min: 0, max: 7 }) }),
      {
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(shapes, fc.integer({ min: 0, max: 5 }), (axes, offset) => {
        const dims = axes.map(({ dim }) => dim);
        const strides = axes.map(({ stride }) => stride);
        const elements =
          offset + axes.reduce((sum, { dim, stride }) => sum + Math.max(dim - 1, 0) * stride, 1);
        const data = Float32Array.from({ length: elements }, (_, i) => i + 0.5);
        const object = dict({ w: tensor(storage('0', elements), dims, strides, offset) });
        const w = open(checkpointFile(object, { 0: floats(...data) })).get('w')!;
        let expected: number[] = [offset];
        dims.forEach((dim, axis) => {
          expected = expected.flatMap((at) => Array.from({ length: dim }, (_, i) => at + i * strides[axis]!));
        });
        expect(w.dims).toEqual(dims);
        expect([...toFloat32(w)]).toEqual(expected.map((at) => data[at]));
      }),
      { numRuns: 60 },
    );
  });
  it('swaps big-endian storages, complex parts apart', () => {
    const swapped = Buffer.from(floats(1, 2).swap32());
    const object = dict({ w: tensor(storage('0', 1, 'torch.ComplexFloatStorage'), [1], [1]) });
    const path = fileWith(
      zipped({
        'a/data.pkl': pickled(object),
        'a/byteorder': Buffer.from('big'),
        'a/data/0': swapped,
      }),
    );
    expect(values(open(path).get('w')!.data.read(0, 8))).toEqual([1, 2]);
  });
});

describe('dtypes', () => {
  const v3 = (bytes: number, size: number, torchName: string) =>
    call(
      'torch._utils._rebuild_tensor_v3',
      storage('0', bytes, 'torch.storage.UntypedStorage'),
      int(0),
      tuple(int(size)),
      tuple(int(1)),
      ops(0x89),
      call('collections.OrderedDict'),
      global(`torch.${torchName}`),
    );
  it('reads an untyped storage under its tensor type', () => {
    const w = open(
      checkpointFile(dict({ w: v3(8, 2, 'uint32') }), { 0: ops(1, 0, 0, 0, 2, 0, 0, 0x80) }),
    ).get('w')!;
    expect(w.dtype).toBe('uint32');
    expect([...tensorArray({ ...w, dtype: 'uint32' })]).toEqual([1, 0x80000002]);
  });
  it('refuses a type it does not know, and reads the tensor beside it', () => {
    const object = dict({ odd: v3(8, 8, 'uint3'), w: tensor(storage('1', 1), [1], [1]) });
    const file = openWeights(checkpointFile(object, { 0: new Uint8Array(8), 1: floats(7) }));
    expect([...file.stateDicts[0]!.tensors.keys()]).toEqual(['w']);
    expect(file.findings).toMatchObject([{ rule: 'refused-tensor', at: { key: 'odd' } }]);
    expect(file.findings[0]?.message).toContain('torch.uint3');
    file.close();
  });
  it('reads numpy arrays as tensors, Fortran order included', () => {
    const dtype = ops(call('numpy.dtype', str('f4'), ops(0x89), ops(0x88)), tuple(int(3), str('<')), 'b');
    const bytes = call('_codecs.encode', str(floats(1, 2, 3, 4).toString('latin1')), str('latin1'));
    const state = tuple(int(1), tuple(int(2), int(2)), dtype, ops(0x88), bytes);
    const array = ops(
      call('numpy.core.multiarray._reconstruct', global('numpy.ndarray'), tuple(int(0)), str('b')),
      state,
      'b',
    );
    const w = open(checkpointFile(dict({ w: array }))).get('w')!;
    expect(w.dims).toEqual([2, 2]);
    expect([...toFloat32(w)]).toEqual([1, 3, 2, 4]);
  });
});
