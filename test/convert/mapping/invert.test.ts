/** A mapping and then the same mapping backwards gives back every byte. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../../src/convert/mapping/rule.ts';
import { remap } from '../../../src/convert/remap.ts';
import type { DType } from '../../../src/core/dtype.ts';
import { byteLengthOf } from '../../../src/core/dtype.ts';
import { tensorBytes, tensorOf } from '../../../src/core/tensor.ts';
import type { WeightTensor } from '../../../src/formats/state-dict.ts';
import { contentOf, counting, mapped } from '../../support/mapping.ts';

const there = (tensors: ReadonlyMap<string, WeightTensor>, rules: readonly Rule[], invert = false) =>
  remap({ path: '', tensors }, { rules, invert }).tensors;

const dtype = fc.constantFrom<DType>(
  'float32',
  'float16',
  'bfloat16',
  'float64',
  'int8',
  'int64',
  'bool',
  'complex64',
);
const randomTensor = (type: DType, dims: readonly number[], seed: number): WeightTensor => {
  const bytes = new Uint8Array(
    byteLengthOf(
      type,
      dims.reduce((product, dim) => product * dim, 1),
    ),
  );
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.imul(i + seed, 0x9e3779b1) >>> 24;
  return tensorOf(type, dims, bytes);
};

/** Rules for a tensor of these dimensions, and the dimensions after them. */
const layoutRule = (dims: readonly number[]): fc.Arbitrary<{ rule: Rule; after: readonly number[] }> => {
  const rank = dims.length;
  const axis = fc.integer({ min: -rank, max: Math.max(rank - 1, 0) });
  const keys = 'w.*';
  const choices: fc.Arbitrary<{ rule: Rule; after: readonly number[] }>[] = [
    fc.integer({ min: -rank - 1, max: rank }).map((dim) => ({
      rule: { op: 'unsqueeze', keys, dim },
      after: dims.toSpliced(dim < 0 ? dim + rank + 1 : dim, 0, 1),
    })),
    fc.constant({
      rule: { op: 'reshape', keys, shape: [-1], from: dims },
      after: [dims.reduce((a, b) => a * b, 1)],
    }),
  ];
  if (rank > 0) {
    choices.push(
      fc.shuffledSubarray([...dims.keys()], { minLength: rank }).map((order) => ({
        rule: { op: 'permute', keys, order },
        after: order.map((from) => dims[from]!),
      })),
      axis.map((dim) => ({ rule: { op: 'flip', keys, dims: [dim] }, after: dims })),
    );
  }
  if (rank > 1)
    choices.push(
      fc.constant({
        rule: { op: 'transpose', keys },
        after: [...dims.slice(0, -2), dims.at(-1)!, dims.at(-2)!],
      }),
    );
  const single = dims.indexOf(1);
  if (single >= 0)
    choices.push(
      fc.constant({ rule: { op: 'squeeze', keys, dim: single }, after: dims.toSpliced(single, 1) }),
    );
  return fc.oneof(...choices);
};
const layoutRules = (dims: readonly number[], count: number): fc.Arbitrary<readonly Rule[]> =>
  count === 0
    ? fc.constant([])
    : layoutRule(dims).chain(({ rule, after }) =>
        layoutRules(after, count - 1).map((rest) => [rule, ...rest]),
      );
const shape = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });

describe('there and back', () => {
  it('random chains of layout rules', () => {
    const chain = shape.chain((dims) => fc.tuple(fc.constant(dims), layoutRules(dims, 5), dtype, fc.nat()));
    fc.assert(
      fc.property(chain, ([dims, rules, type, seed]) => {
        const before = new Map([
          ['w', randomTensor(type, dims, seed)],
          ['w.alias', { ...randomTensor(type, dims, seed), sharedWith: 'w' }],
          ['other', randomTensor('uint8', [3], seed)],
        ]);
        const after = there(before, rules);
        expect(after.get('w.alias')!.sharedWith).toBe('w');
        expect(contentOf(there(after, rules, true))).toEqual(contentOf(before));
      }),
      { numRuns: 300 },
    );
  });
  it('any range of a chain is a range of the whole', () => {
    const chain = fc
      .array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })
      .chain((dims) =>
        fc.tuple(fc.constant(dims), layoutRules(dims, 4), fc.double({ min: 0, max: 1, noNaN: true })),
      );
    fc.assert(
      fc.property(chain, ([dims, rules, at]) => {
        const { data } = there(new Map([['w', randomTensor('float16', dims, 1)]]), rules).get('w')!;
        const whole = data.read(0, data.size);
        const from = Math.floor(at * data.size);
        expect([...data.read(from, data.size - from)]).toEqual([...whole.subarray(from)]);
      }),
    );
  });
  it('fused and split again, for every layer, along any dimension, in groups', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 });
    const form = fc.record({
      sizes,
      groups: fc.integer({ min: 1, max: 3 }),
      dims: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
      at: fc.nat(2),
      layers: fc.integer({ min: 1, max: 3 }),
      type: dtype,
    });
    fc.assert(
      fc.property(form, ({ sizes: parts, groups, dims, at, layers, type }) => {
        const dim = Math.min(at, dims.length);
        const before = new Map<string, WeightTensor>();
        for (let layer = 0; layer < layers; layer++) {
          parts.forEach((size, i) => {
            before.set(
              `h.${layer}.p${i}.w`,
              randomTensor(type, dims.toSpliced(dim, 0, size * groups), layer * 10 + i),
            );
          });
        }
        const keys = parts.map((_, i) => `h\\.(\\d+)\\.p${i}\\.(\\w)`);
        const whole = parts.map((size) => size * groups);
        const concat: Rule = { op: 'concat', keys, to: '$2.$1', dim, sizes: whole, groups };
        const after = there(before, [concat]);
        expect(after.size).toBe(layers);
        expect(contentOf(there(after, [concat], true))).toEqual(contentOf(before));
        const to = parts.map((_, i) => `h.$1.p${i}.$2`);
        const split: Rule = {
          op: 'split',
          keys: '(?<b>\\w)\\.(?<a>\\d+)',
          to: to.map((one) => one.replace('$1', '$<a>').replace('$2', '$<b>')),
          dim,
          sizes: whole,
          groups,
        };
        expect(contentOf(there(after, [split]))).toEqual(contentOf(before));
        expect(contentOf(there(before, [split], true))).toEqual(contentOf(after));
      }),
    );
  });
  it.each<[string, Rule[]]>([
    ['a table that swaps', [{ op: 'table', keys: { a: 'b', b: 'a' } }]],
    ['a prefix', [{ op: 'prefix', from: '', to: 'net.' }]],
    ['a pattern', [{ op: 'rename', keys: '([ab])', to: 'x.$1.weight' }]],
    ['equal parts', [{ op: 'concat', keys: ['a', 'b'], to: 'ab', dim: 1, sizes: 'equal' }]],
    ['a wider cast', [{ op: 'cast', keys: '.*', from: 'float32', dtype: 'float64' }]],
    ['a power of two', [{ op: 'scale', keys: 'a', factor: -0.125 }]],
    [
      'rules with a rank',
      [
        { op: 'unsqueeze', keys: '.', rank: 2, dim: 0 },
        { op: 'squeeze', keys: 'a', rank: 3, dim: 0 },
        { op: 'reshape', keys: 'a', rank: 2, shape: [-1], from: [2, 2] },
      ],
    ],
    [
      'one that is skipped',
      [
        { op: 'rename', keys: 'a', to: 'c' },
        { op: 'drop', globs: ['nothing'], inverse: 'skip' },
      ],
    ],
    [
      'several',
      [
        { op: 'prefix', from: '', to: 'm.' },
        { op: 'concat', keys: ['m\\.a', 'm\\.b'], to: 'ab', sizes: [2, 2] },
        { op: 'transpose', keys: 'ab' },
      ],
    ],
  ])('%s', (_, rules) => {
    const before = new Map([
      ['a', counting([2, 2])],
      ['b', counting([2, 2], 7)],
    ]);
    expect(contentOf(there(there(before, rules), rules, true))).toEqual(contentOf(before));
  });
  it('a negative NaN is not touched by a chain', () => {
    const bits = Uint8Array.of(1, 0, 0xa0, 0xff, 0, 0, 0, 0);
    const rules: Rule[] = [{ op: 'flip', keys: 'w', dims: [0] }];
    const after = there(new Map([['w', tensorOf('float32', [2], bits)]]), rules);
    expect([...tensorBytes(after.get('w')!)]).toEqual([0, 0, 0, 0, 1, 0, 0xa0, 0xff]);
  });
});

describe('no inverse', () => {
  it.each<[Rule, string]>([
    [{ op: 'drop', globs: ['*'] }, 'what was left out cannot come back'],
    [{ op: 'select', globs: ['*'] }, 'what was left out cannot come back'],
    [{ op: 'slice', keys: '.*', dim: 0 }, 'what was cut off cannot come back'],
    [{ op: 'reshape', keys: '.*', shape: [-1] }, 'say "from"'],
    [{ op: 'cast', keys: '.*', dtype: 'float16' }, 'to a wider one'],
    [{ op: 'cast', keys: '.*', dtype: 'bfloat16', from: 'float16' }, 'to a wider one'],
    [{ op: 'scale', keys: '.*', factor: 3 }, 'powers of two'],
    [{ op: 'concat', keys: ['a', 'b'], to: 'c' }, 'say "sizes"'],
    [{ op: 'concat', keys: ['a(.)', 'b(..)'], to: 'c$1', sizes: 'equal' }, 'other patterns in their groups'],
    [{ op: 'rename', keys: '.*', to: 'x' }, '".*" -> "x"'],
    [{ op: 'split', keys: '(a)', to: ['$1', 'b'], sizes: [1, 1] }, 'a group is not used'],
    [{ op: 'weight-norm', g: 'g', v: 'v', to: 'w' }, 'cannot be told from their product'],
  ])('%j', (rule, message) => {
    const ops: Rule[] = [{ op: 'prefix', from: 'a', to: 'b' }, rule];
    expect(() => mapped({ w: counting([1]) }, ops, { invert: true })).toThrow(
      expect.objectContaining({
        code: 'config/invalid',
        message: expect.stringContaining(`rules[1] (${rule.op}) has no inverse: `),
        hint: expect.stringContaining('"inverse": "skip"'),
      }),
    );
    expect(() => mapped({ w: counting([1]) }, ops, { invert: true })).toThrow(message);
  });
});
