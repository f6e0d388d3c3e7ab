import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { byteLengthOf } from '../../src/core/dtype.ts';
import { BytesSource } from '../../src/core/source.ts';
import { float32Tensor, int64Tensor, tensorBytes, tensorOf, toFloat32 } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { readNpy, writeNpy } from '../../src/formats/npy.ts';
import { readNpz, writeNpz } from '../../src/formats/npz.ts';
import { fileWith, floats, zipped } from '../support/torch-files.ts';

/** An array as numpy.save writes it, with any header. */
const npy = (literal: string, data: Uint8Array, version = 1): Buffer => {
  const prefix = version === 1 ? 10 : 12;
  const length = Math.ceil((prefix + literal.length + 1) / 64) * 64;
  const head = Buffer.alloc(length, ' ');
  head.write('\x93NUMPY', 0, 'latin1');
  head[6] = version;
  head[7] = 0;
  if (version === 1) head.writeUInt16LE(length - prefix, 8);
  else head.writeUInt32LE(length - prefix, 8);
  head.write(literal, prefix, 'latin1');
  head[length - 1] = 10;
  return Buffer.concat([head, data]);
};
const header = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
const read = (bytes: Uint8Array) => readNpy(new BytesSource(bytes));
const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
};

describe('npy', () => {
  const dtypes: DType[] = [
    'float16',
    'float32',
    'float64',
    'int8',
    'int16',
    'int32',
    'int64',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'bool',
    'complex64',
    'complex128',
  ];
  it.each(dtypes)('%s round trip', (dtype) => {
    const bytes = Uint8Array.from({ length: byteLengthOf(dtype, 6) }, (_, i) =>
      dtype === 'bool' ? i % 2 : i * 7,
    );
    const tensor = tensorOf(dtype, [2, 3], bytes);
    const back = read(Buffer.concat(writeNpy(tensor)));
    expect([back.dtype, back.dims]).toEqual([dtype, [2, 3]]);
    expect([...tensorBytes(back)]).toEqual([...bytes]);
  });
  it('writes the bytes that numpy.save writes', () => {
    const literal = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }";
    const written = Buffer.concat(writeNpy(float32Tensor([3], [1, 2, 3])));
    expect(written.toString('latin1')).toBe(npy(literal, floats(1, 2, 3)).toString('latin1'));
    expect(written.length).toBe(128 + 12);
    expect(Buffer.concat(writeNpy(int64Tensor([], [1]))).toString('latin1')).toContain("'shape': (), }");
  });
  it('reads Fortran order, big-endian elements and the other header versions', () => {
    const column = read(npy(header('<f4', '(2, 3)', 'True'), floats(1, 4, 2, 5, 3, 6)));
    expect([...toFloat32(column)]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...toFloat32(read(npy(header('>f4', '(2,)'), floats(1, 2).swap32())))]).toEqual([1, 2]);
    for (const version of [2, 3]) {
      expect([...toFloat32(read(npy(header('<f4', '(2,)'), floats(1, 2), version)))]).toEqual([1, 2]);
    }
    expect(read(npy(header('<f4', '(0, 3)', 'True'), floats())).dims).toEqual([0, 3]);
  });
  it.each<[string, Uint8Array, string]>([
    ['objects', npy(header('|O', '(1,)'), floats(1)), 'dtype/unsupported'],
    ['strings', npy(header('<U3', '(1,)'), floats(1, 2, 3)), 'dtype/unsupported'],
    ['voids', npy(header('|V2', '(2,)'), floats(1)), 'dtype/unsupported'],
    [
      'structs',
      npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", floats(1)),
      'dtype/unsupported',
    ],
    ['too few bytes', npy(header('<f4', '(3,)'), floats(1, 2)), 'numpy/invalid'],
    ['too many bytes', npy(header('<f4', '(1,)'), floats(1, 2)), 'numpy/invalid'],
    [
      'a shape that overflows',
      npy(header('<f4', '(99999999, 99999999, 99999999)'), floats(1)),
      'numpy/invalid',
    ],
    ['a header with code', npy("{'descr': __import__('os'), }", floats(1)), 'numpy/invalid'],
    [
      'a key twice',
      npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", floats(1)),
      'numpy/invalid',
    ],
    ['no magic', floats(1, 2, 3), 'numpy/invalid'],
    ['another version', npy(header('<f4', '(1,)'), floats(1), 9), 'numpy/invalid'],
  ])('%s', (_, bytes, code) => {
    expect(codeOf(() => read(bytes))).toBe(code);
  });
  it('refuses to write what NumPy has no type for', () => {
    expect(codeOf(() => writeNpy(tensorOf('bfloat16', [1], new Uint8Array(2))))).toBe('dtype/unsupported');
  });
});

describe('npz', () => {
  const tensors = new Map([
    ['a', float32Tensor([2], [1, 2])],
    ['b/c', int64Tensor([], [5])],
  ]);
  it('round trip, the same bytes each time', () => {
    const bytes = Buffer.concat(writeNpz(tensors));
    expect(Buffer.concat(writeNpz(tensors)).equals(bytes)).toBe(true);
    for (const back of [readNpz(new BytesSource(bytes)), readNpz(fileWith(bytes))]) {
      expect([...back.keys()]).toEqual(['a', 'b/c']);
      expect([...toFloat32(back.get('a')!)]).toEqual([1, 2]);
    }
  });
  it('opens as a weight file and sees a changed byte', () => {
    const bytes = Buffer.concat(writeNpz(tensors));
    const sound = openWeights(fileWith(bytes));
    expect([sound.format, sound.checkIntegrity?.()]).toEqual(['npz', []]);
    sound.close();
    const at = bytes.indexOf(floats(1, 2));
    bytes[at] = 9;
    const changed = openWeights(fileWith(bytes));
    expect(changed.checkIntegrity?.().map(({ rule, at }) => [rule, at?.key])).toEqual([
      ['checksum-mismatch', 'a'],
    ]);
    changed.close();
  });
  it('reads deflated entries (numpy.savez_compressed)', () => {
    const plain = Buffer.concat(writeNpy(float32Tensor([4], [1, 2, 3, 4])));
    const packed = deflateRawSync(plain);
    const archive = zipped({ 'x.npy': packed });
    // Turn the stored entry into a deflated one: method 8 and the true size, in both headers.
    const central = archive.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));
    archive.writeUInt16LE(8, 8);
    archive.writeUInt16LE(8, central + 10);
    archive.writeUInt32LE(plain.length, central + 24);
    const back = readNpz(new BytesSource(archive));
    expect([...toFloat32(back.get('x')!)]).toEqual([1, 2, 3, 4]);
    archive.writeUInt32LE(plain.length - 4, central + 24);
    expect(codeOf(() => readNpz(new BytesSource(archive)).get('x')!.data.read(0, 4))).toBe('numpy/invalid');
  });
});
