/** Arrays that NumPy and ml_dtypes wrote, against what they hold (arrays.tsv). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BytesSource, chunksOf } from '../../src/core/source.ts';
import { toBigInts } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { readNpz } from '../../src/formats/npz.ts';
import { numpyTypeOf } from '../../src/formats/numpy-dtype.ts';
import { zipped } from '../support/torch-files.ts';

const pathOf = (name: string): string => new URL(`../fixtures/numpy/${name}`, import.meta.url).pathname;

const NUMPY_NAMES: Record<string, string> = { float8e5m2: 'float8_e5m2' };

const expected = readFileSync(pathOf('arrays.tsv'), 'utf8').trimEnd().split('\n');

describe.each(['arrays.npz', 'arrays.compressed.npz'])('%s', (name) => {
  it('holds what NumPy wrote, bit for bit', () => {
    const file = openWeights(pathOf(name));
    expect([file.format, file.findings, file.checkIntegrity?.()]).toEqual(['npz', [], []]);
    const rows = [...file.stateDicts[0]!.tensors].map(([key, { dtype, dims, data }]) => {
      const hash = createHash('sha256');
      for (const chunk of chunksOf(data, 1000)) hash.update(chunk);
      return [key, `[${dims.join(', ')}]`, NUMPY_NAMES[dtype] ?? dtype, hash.digest('hex')].join('\t');
    });
    file.close();
    expect(rows).toEqual(expected);
  });
});

describe('arrays that cannot be tensors', () => {
  it('are left out by name, and the others stay', () => {
    const file = openWeights(pathOf('odd.npz'));
    const [dict] = file.stateDicts;
    expect([...dict!.tensors.keys()]).toEqual(['weight']);
    expect([...dict!.refused!].map(([key, { what }]) => [key, /: (.*)$/.exec(what)?.[1]])).toEqual([
      ['records', 'a structured type (records with fields)'],
      ['objects', 'Python objects, pickled'],
      ['text', 'text'],
      ['bytes', 'text'],
      ['date', 'dates or durations'],
      ['void', 'raw bytes'],
      ['longdouble', 'extended precision, which differs from machine to machine'],
      ['float8_e4m3fn', 'a one-byte type of ml_dtypes whose name NumPy does not store'],
      ['int4', 'a one-byte type of ml_dtypes whose name NumPy does not store'],
    ]);
    const refused = file.findings.filter(({ rule }) => rule === 'refused-tensor');
    expect(refused.map(({ at }) => at?.key)).toEqual([...dict!.refused!.keys()]);
    expect(file.findings.at(-1)).toMatchObject({
      rule: 'other-entries',
      message: expect.stringContaining('"note.txt"'),
    });
    file.close();
  });
  it('refuse the archive where every array is needed', () => {
    expect(() => readNpz(pathOf('odd.npz'))).toThrow(
      expect.objectContaining({ code: 'dtype/unsupported', at: { key: 'records' } }),
    );
  });
  it('do not hide that an array is damaged', () => {
    const archive = zipped({ 'a.npy': Buffer.from('\x93NUMPY', 'latin1') });
    expect(() => readNpz(new BytesSource(archive))).toThrow(
      expect.objectContaining({ code: 'numpy/invalid' }),
    );
  });
});

describe('a single array', () => {
  it('is a weight file with the name of the file', () => {
    const file = openWeights(pathOf('conv1.weight.npy'));
    expect(file.format).toBe('npy');
    const [[key, tensor]] = [...file.stateDicts[0]!.tensors] as [[string, { dtype: string; dims: number[] }]];
    expect([key, tensor.dtype, tensor.dims]).toEqual(['conv1.weight', 'float32', [2, 3]]);
    file.close();
  });
  it.each([1, 2, 3])('in format version %i', (version) => {
    const file = openWeights(pathOf(`version${version}.npy`));
    const tensor = file.stateDicts[0]!.tensors.get(`version${version}`)!;
    expect([tensor.dims, toBigInts(tensor)]).toEqual([
      [2, 3],
      [0n, 1n, 2n, 3n, 4n, 5n],
    ]);
    file.close();
  });
});

describe('type strings', () => {
  it.each([
    ['<V2', { dtype: 'bfloat16', isBigEndian: false }],
    ['bfloat16', { dtype: 'bfloat16', isBigEndian: false }],
    ['<f1', { dtype: 'float8e5m2', isBigEndian: false }],
    ['float8_e8m0fnu', { dtype: 'float8e8m0', isBigEndian: false }],
    ['>c16', { dtype: 'complex128', isBigEndian: true }],
    ['f4', { dtype: 'float32', isBigEndian: false }],
  ])('%s', (descr, type) => {
    expect(numpyTypeOf(descr)).toEqual(type);
  });
  it.each(['|V2', '>V2', '<V1', '|V1', '<V4', '<f16', '|O', '|S1', "[('a', '<f4')]", 'int4', '<q8', ''])(
    '%s is refused with advice',
    (descr) => {
      expect(numpyTypeOf(descr)).toMatchObject({ refused: expect.any(String), hint: expect.any(String) });
    },
  );
});
