/** Every transform against values worked out by hand. */
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../../src/convert/mapping/rule.ts';
import { float32Tensor, int64Tensor, tensorOf, toFloat32, typedTensor } from '../../../src/core/tensor.ts';
import { counting, type Dict, mapped, valuesOf } from '../../support/mapping.ts';

const one = (dims: readonly number[], ...rules: Rule[]) => valuesOf(mapped({ w: counting(dims) }, rules)).w;

describe('layout', () => {
  it.each<[string, readonly number[], Rule, readonly number[], number[]]>([
    ['transpose', [2, 3], { op: 'transpose', keys: 'w' }, [3, 2], [0, 3, 1, 4, 2, 5]],
    ['transpose of the last two', [2, 1, 2], { op: 'transpose', keys: 'w' }, [2, 2, 1], [0, 1, 2, 3]],
    ['transpose of two', [2, 1, 2], { op: 'transpose', keys: 'w', dims: [0, -1] }, [2, 1, 2], [0, 2, 1, 3]],
    ['permute', [2, 1, 3], { op: 'permute', keys: 'w', order: [2, 0, 1] }, [3, 2, 1], [0, 3, 1, 4, 2, 5]],
    ['reshape', [2, 3], { op: 'reshape', keys: 'w', shape: [3, -1] }, [3, 2], [0, 1, 2, 3, 4, 5]],
    [
      'reshape that keeps',
      [2, 3],
      { op: 'reshape', keys: 'w', shape: [null, 1, -1] },
      [2, 1, 3],
      [0, 1, 2, 3, 4, 5],
    ],
    ['squeeze', [2, 1], { op: 'squeeze', keys: 'w', dim: -1 }, [2], [0, 1]],
    ['unsqueeze', [2], { op: 'unsqueeze', keys: 'w', dim: -1 }, [2, 1], [0, 1]],
    ['flip', [2, 3], { op: 'flip', keys: 'w', dims: [1] }, [2, 3], [2, 1, 0, 5, 4, 3]],
    ['flip of both', [2, 3], { op: 'flip', keys: 'w', dims: [0, -1] }, [2, 3], [5, 4, 3, 2, 1, 0]],
    ['slice', [3, 2], { op: 'slice', keys: 'w', dim: 0, start: 1 }, [2, 2], [2, 3, 4, 5]],
    ['slice with a step', [5], { op: 'slice', keys: 'w', dim: 0, end: -1, step: 2 }, [2], [0, 2]],
    ['slice of the last', [2, 3], { op: 'slice', keys: 'w', dim: -1, start: -1 }, [2, 1], [2, 5]],
    ['slice of nothing', [2, 3], { op: 'slice', keys: 'w', dim: 1, start: 3 }, [2, 0], []],
  ])('%s', (_, before, rule, dims, values) => {
    expect(one(before, rule)).toEqual([dims, values]);
  });
  it('a chain of them', () => {
    const chain: Rule[] = [
      { op: 'transpose', keys: 'w' },
      { op: 'slice', keys: 'w', dim: 0, start: 1 },
      { op: 'flip', keys: 'w', dims: [0] },
      { op: 'reshape', keys: 'w', shape: [-1] },
      { op: 'unsqueeze', keys: 'w', dim: 0 },
      { op: 'transpose', keys: 'w' },
    ];
    expect(one([2, 3], ...chain)).toEqual([
      [4, 1],
      [2, 5, 1, 4],
    ]);
  });
  it('only tensors of a rank', () => {
    const result = mapped({ a: counting([1, 2]), b: counting([2]) }, [
      { op: 'transpose', keys: '.', rank: 2 },
    ]);
    expect(valuesOf(result)).toEqual({
      a: [
        [2, 1],
        [0, 1],
      ],
      b: [[2], [0, 1]],
    });
  });
  it.each<[string, readonly number[], Rule, string]>([
    ['rank', [2], { op: 'transpose', keys: 'w' }, 'two dimensions are needed'],
    ['order', [2, 2], { op: 'permute', keys: 'w', order: [0] }, 'the order [0] has 1'],
    ['order that repeats', [2, 2], { op: 'permute', keys: 'w', order: [0, -2] }, 'repeats one'],
    ['dimension', [2, 2], { op: 'squeeze', keys: 'w', dim: 2 }, 'there is no dimension 2'],
    ['squeeze', [2, 2], { op: 'squeeze', keys: 'w', dim: 0 }, 'dimension 0 is not 1'],
    ['elements', [2, 2], { op: 'reshape', keys: 'w', shape: [3] }, '4 elements do not fill [3]'],
    ['elements and -1', [2, 2], { op: 'reshape', keys: 'w', shape: [3, -1] }, 'do not fill'],
    ['kept dimension', [4], { op: 'reshape', keys: 'w', shape: [2, null] }, 'no dimension 1 to keep'],
    [
      'shape before',
      [4],
      { op: 'reshape', keys: 'w', shape: [2, 2], from: [4, 1] },
      '[4, 1] is expected before',
    ],
    [
      'slice',
      [3],
      { op: 'slice', keys: 'w', dim: 0, end: 4 },
      '[0, 4) does not lie in dimension 0 of size 3',
    ],
    ['flip', [3], { op: 'flip', keys: 'w', dims: [0, -1] }, 'repeats one'],
  ])('what does not fit is an error with rule and key: %s', (_, dims, rule, message) => {
    expect(() => one(dims, rule)).toThrow(
      expect.objectContaining({
        code: 'weights/shape-mismatch',
        message: expect.stringContaining(`rules[0] (${rule.op}): "w" [${dims.join(', ')}]: `),
        at: { key: 'w' },
      }),
    );
    expect(() => one(dims, rule)).toThrow(message);
  });
  it('moves whole elements of any width, and refuses packed ones', () => {
    const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
    const complex = mapped({ w: tensorOf('complex128', [2, 2], bytes) }, [{ op: 'transpose', keys: 'w' }]);
    expect([...complex.tensors.get('w')!.data.read(16, 16)]).toEqual([...bytes.subarray(32, 48)]);
    expect(() =>
      mapped({ w: tensorOf('int4', [2, 2], new Uint8Array(2)) }, [{ op: 'transpose', keys: 'w' }]),
    ).toThrow(expect.objectContaining({ code: 'dtype/unsupported' }));
  });
});

describe('arithmetic', () => {
  it('a factor, in float32', () => {
    const result = mapped({ w: float32Tensor([3], [1, 3, 16777215]) }, [
      { op: 'scale', keys: 'w', factor: 0.1 },
    ]);
    const by = Math.fround(0.1);
    expect([...toFloat32(result.tensors.get('w')!)]).toEqual(
      [1, 3, 16777215].map((value) => Math.fround(value * by)),
    );
  });
  it('a factor of halves is rounded to nearest even, of doubles it is exact', () => {
    // 1 + 2⁻¹⁰ times 1.5 is 1.50146484375: half way between two halves, the even one is 0x3e02.
    const half = typedTensor('float16', [1], Uint16Array.of(0x3c01));
    const bfloat = typedTensor('bfloat16', [1], Uint16Array.of(0x3f81));
    const double = typedTensor('float64', [1], Float64Array.of(1 / 3));
    const { tensors } = mapped({ half, bfloat, double }, [{ op: 'scale', keys: '.*', factor: 1.5 }]);
    expect([...tensors.get('half')!.data.read(0, 2)]).toEqual([0x02, 0x3e]);
    expect([...tensors.get('bfloat')!.data.read(0, 2)]).toEqual([0xc2, 0x3f]);
    expect(new Float64Array(tensors.get('double')!.data.read(0, 8).slice().buffer)[0]).toBe((1 / 3) * 1.5);
  });
  it('overflow is counted', () => {
    const { tensors, casts } = mapped({ w: typedTensor('float16', [2], Uint16Array.of(0x7bff, 0x3c00)) }, [
      { op: 'scale', keys: 'w', factor: 2 },
    ]);
    expect([...toFloat32(tensors.get('w')!)]).toEqual([Infinity, 2]);
    expect(casts).toEqual([{ key: 'w', dtype: 'float16', tally: { overflowed: 1 } }]);
  });
  it('integers are refused', () => {
    expect(() => mapped({ n: int64Tensor([1], [1]) }, [{ op: 'scale', keys: 'n', factor: 2 }])).toThrow(
      expect.objectContaining({
        code: 'dtype/unsupported',
        message: expect.stringContaining('no arithmetic for int64'),
      }),
    );
  });
  it('casts floats of one type, or of all', () => {
    const dict: Dict = {
      a: counting([2]),
      n: int64Tensor([1], [7]),
      h: typedTensor('float16', [1], Uint16Array.of(0x3c00)),
    };
    const types = (rule: Rule) => [...mapped(dict, [rule]).tensors.values()].map(({ dtype }) => dtype);
    expect(types({ op: 'cast', keys: '.*', dtype: 'bfloat16' })).toEqual(['bfloat16', 'int64', 'bfloat16']);
    expect(types({ op: 'cast', keys: '.*', dtype: 'float64', from: 'float16' })).toEqual([
      'float32',
      'int64',
      'float64',
    ]);
    expect(() =>
      mapped({ f: tensorOf('float8e5m2', [1], new Uint8Array(1)) }, [
        { op: 'cast', keys: 'f', dtype: 'float32' },
      ]),
    ).toThrow(expect.objectContaining({ code: 'dtype/unsupported' }));
  });
  it('weight normalisation along dimension 0, 1, and over everything', () => {
    const rule: Rule = { op: 'weight-norm', g: '(.*)_g', v: '(.*)_v', to: '$1' };
    const v = float32Tensor([2, 2], [3, 4, 6, 8]);
    const norm = (g: ReturnType<typeof float32Tensor>) => valuesOf(mapped({ w_g: g, w_v: v }, [rule])).w;
    expect(norm(float32Tensor([2, 1], [5, 20]))).toEqual([
      [2, 2],
      [3, 4, 12, 16],
    ]);
    const [a, b] = [Math.fround(Math.sqrt(45)), Math.fround(Math.sqrt(80))];
    expect(norm(float32Tensor([1, 2], [1, 2]))).toEqual([
      [2, 2],
      [3 * Math.fround(1 / a), 4 * Math.fround(2 / b), 6 * Math.fround(1 / a), 8 * Math.fround(2 / b)].map(
        Math.fround,
      ),
    ]);
    const all = Math.fround(Math.sqrt(125));
    expect(norm(float32Tensor([], [1]))).toEqual([
      [2, 2],
      [3, 4, 6, 8].map((x) => Math.fround(x * Math.fround(1 / all))),
    ]);
  });
  it('weight normalisation keeps the type; a v of zeros gives NaN, as in PyTorch', () => {
    const rule: Rule = { op: 'weight-norm', g: '(.*)_g', v: '(.*)_v', to: '$1' };
    const halves = (...bits: number[]) => typedTensor('float16', [bits.length, 1], Uint16Array.from(bits));
    const { tensors } = mapped({ w_g: halves(0x4200, 0x3c00), w_v: halves(0xbc00, 0) }, [rule]);
    expect(tensors.get('w')!.dtype).toBe('float16');
    expect([...toFloat32(tensors.get('w')!)]).toEqual([-3, NaN]);
  });
  it.each<[string, Dict, string]>([
    ['shapes', { w_g: counting([3, 1]), w_v: counting([2, 2]) }, 'g [3, 1] does not fit v [2, 2]'],
    ['two dimensions', { w_g: counting([2, 2]), w_v: counting([2, 2]) }, 'does not fit'],
    ['ranks', { w_g: counting([2]), w_v: counting([2, 2]) }, 'does not fit'],
    ['types', { w_g: int64Tensor([1, 1], [1]), w_v: counting([1, 1]) }, 'g is int64, v is float32'],
  ])('weight normalisation of what does not fit: %s', (_, dict, message) => {
    expect(() => mapped(dict, [{ op: 'weight-norm', g: '(.*)_g', v: '(.*)_v', to: '$1' }])).toThrow(message);
  });
});

describe('joining and splitting', () => {
  const qkv: Dict = {
    'l.0.q': counting([2, 2]),
    'l.0.k': counting([2, 2], 10),
    'l.0.v': counting([2, 2], 20),
  };
  const fuse: Rule = {
    op: 'concat',
    keys: ['l\\.(\\d)\\.q', 'l\\.(\\d)\\.k', 'l\\.(\\d)\\.v'],
    to: 'l.$1.qkv',
  };
  it('concat along a dimension', () => {
    expect(valuesOf(mapped(qkv, [fuse]))).toEqual({
      'l.0.qkv': [
        [6, 2],
        [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23],
      ],
    });
    expect(valuesOf(mapped(qkv, [{ ...fuse, dim: -1 }]))).toEqual({
      'l.0.qkv': [
        [2, 6],
        [0, 1, 10, 11, 20, 21, 2, 3, 12, 13, 22, 23],
      ],
    });
  });
  it('concat interleaved in groups', () => {
    expect(valuesOf(mapped(qkv, [{ ...fuse, groups: 2 }]))).toEqual({
      'l.0.qkv': [
        [6, 2],
        [0, 1, 10, 11, 20, 21, 2, 3, 12, 13, 22, 23],
      ],
    });
  });
  it('split into sizes, and in groups', () => {
    const split: Rule = { op: 'split', keys: '(.)', to: ['$1.q', '$1.k'], sizes: [4, 2] };
    expect(valuesOf(mapped({ w: counting([6]) }, [split]))).toEqual({
      'w.q': [[4], [0, 1, 2, 3]],
      'w.k': [[2], [4, 5]],
    });
    expect(valuesOf(mapped({ w: counting([6]) }, [{ ...split, groups: 2 }]))).toEqual({
      'w.q': [[4], [0, 1, 3, 4]],
      'w.k': [[2], [2, 5]],
    });
    const columns: Rule = { op: 'split', keys: 'w', to: ['a', 'b'], sizes: [1, 2], dim: 1 };
    expect(valuesOf(mapped({ w: counting([2, 3]) }, [columns]))).toEqual({
      a: [
        [2, 1],
        [0, 3],
      ],
      b: [
        [2, 2],
        [1, 2, 4, 5],
      ],
    });
  });
  it('chunk into equal parts, also of a transposed tensor', () => {
    const rules: Rule[] = [
      { op: 'transpose', keys: 'w' },
      { op: 'chunk', keys: 'w', to: ['a', 'b'], dim: 0, groups: 2 },
      { op: 'transpose', keys: 'b' },
    ];
    expect(valuesOf(mapped({ w: counting([2, 4]) }, rules))).toEqual({
      a: [
        [2, 2],
        [0, 4, 2, 6],
      ],
      b: [
        [2, 2],
        [1, 3, 5, 7],
      ],
    });
  });
  it('the result stands where the first part stood', () => {
    const result = mapped({ first: counting([1]), ...qkv, last: counting([1]) }, [fuse]);
    expect([...result.tensors.keys()]).toEqual(['first', 'l.0.qkv', 'last']);
  });
  it('groups are bound by name where they have one', () => {
    const rule: Rule = {
      op: 'concat',
      keys: ['(?<a>\\d)(?<b>\\w)x', 'y(?<b>\\w)(?<a>\\d)'],
      to: '$<a>-$<b>',
    };
    const result = mapped(
      { '1px': counting([1]), yq2: counting([1], 5), yp1: counting([1], 6), '2qx': counting([1], 7) },
      [rule],
    );
    expect(valuesOf(result)).toEqual({ '1-p': [[2], [0, 6]], '2-q': [[2], [7, 5]] });
  });
  it('a missing part is named', () => {
    const { 'l.0.k': _, ...rest } = qkv;
    expect(() => mapped({ ...rest, 'l.1.v': counting([1]) }, [fuse])).toThrow(
      expect.objectContaining({
        code: 'weights/missing-key',
        message: 'rules[0] (concat): there is "l.0.q", but no "l.0.k"',
      }),
    );
  });
  it.each<[string, Dict, Rule, string, string]>([
    [
      'two keys for a place',
      { 'a.x': counting([1]), 'b.x': counting([1]), y: counting([1]) },
      { op: 'concat', keys: ['.\\.x', 'y'], to: 'z' },
      'weights/key-collision',
      'fit the same place',
    ],
    [
      'types',
      { a: counting([1]), b: int64Tensor([1], [1]) },
      { op: 'concat', keys: ['a', 'b'], to: 'z' },
      'dtype/unsupported',
      'float32 and int64 cannot be joined',
    ],
    [
      'shapes',
      { a: counting([1, 2]), b: counting([1, 3]) },
      { op: 'concat', keys: ['a', 'b'], to: 'z' },
      'weights/shape-mismatch',
      'cannot be joined along 0',
    ],
    [
      'sizes',
      { a: counting([2]), b: counting([1]) },
      { op: 'concat', keys: ['a', 'b'], to: 'z', sizes: 'equal' },
      'weights/shape-mismatch',
      'sizes along 0 are 2, 1, not equal',
    ],
    [
      'groups',
      { a: counting([3]) },
      { op: 'concat', keys: ['a'], to: 'z', groups: 2 },
      'weights/shape-mismatch',
      '3 is no multiple of 2 groups',
    ],
    [
      'sum',
      { a: counting([3]) },
      { op: 'split', keys: 'a', to: ['x', 'y'], sizes: [1, 1] },
      'weights/shape-mismatch',
      'sizes of 1 + 1 do not make up dimension 0',
    ],
    [
      'parts',
      { a: counting([3]) },
      { op: 'chunk', keys: 'a', to: ['x', 'y'] },
      'weights/shape-mismatch',
      'has no 2 equal parts',
    ],
    [
      'taken',
      { a: counting([2]), y: counting([1]) },
      { op: 'chunk', keys: 'a', to: ['x', 'y'] },
      'weights/key-collision',
      '"a" and "y" would both become "y"',
    ],
  ])('what does not fit is an error: %s', (_, dict, rule, code, message) => {
    expect(() => mapped(dict, [rule])).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
