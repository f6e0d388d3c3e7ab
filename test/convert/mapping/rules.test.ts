/** How rules work together: order, naming, aliases, what is reported. */
import { describe, expect, it } from 'vitest';
import type { Rule } from '../../../src/convert/mapping/rule.ts';
import { remap } from '../../../src/convert/remap.ts';
import { typedTensor } from '../../../src/core/tensor.ts';
import type { WeightTensor } from '../../../src/formats/state-dict.ts';
import { counting, mapped, valuesOf } from '../../support/mapping.ts';

const one = counting([1]);
const keysAfter = (keys: readonly string[], ...rules: Rule[]): string[] => [
  ...mapped(Object.fromEntries(keys.map((key) => [key, one])), rules).tensors.keys(),
];

describe('naming', () => {
  it('a table, a prefix, a pattern, globs', () => {
    expect(keysAfter(['a', 'b', 'c'], { op: 'table', keys: { a: 'b', b: 'a', z: 'y' } })).toEqual([
      'b',
      'a',
      'c',
    ]);
    expect(keysAfter(['m.a', 'm.', 'xm.a'], { op: 'prefix', from: 'm.', to: 'n.' })).toEqual([
      'n.a',
      'm.',
      'xm.a',
    ]);
    expect(keysAfter(['l.0.w', 'l.10.w'], { op: 'rename', keys: 'l\\.(\\d+)\\.w', to: 'h.$1' })).toEqual([
      'h.0',
      'h.10',
    ]);
    expect(
      keysAfter(['a.w', 'a.b', 'c'], { op: 'select', globs: ['a.*'] }, { op: 'drop', globs: ['*.b'] }),
    ).toEqual(['a.w']);
  });
  it('each rule sees what the rules before it have left', () => {
    expect(
      keysAfter(['a'], { op: 'rename', keys: 'a', to: 'b' }, { op: 'rename', keys: 'b', to: 'c' }),
    ).toEqual(['c']);
  });
  it('keys that are names of JavaScript itself are keys', () => {
    const keys = ['constructor', 'toString', 'hasOwnProperty'];
    expect(keysAfter(keys, { op: 'table', keys: { a: 'b' } })).toEqual(keys);
  });
  it('collisions name the keys of the file', () => {
    expect(() =>
      keysAfter(['m.a', 'x'], { op: 'prefix', from: 'm.', to: '' }, { op: 'rename', keys: '.', to: 'y' }),
    ).toThrow(
      expect.objectContaining({
        code: 'weights/key-collision',
        message: '"m.a" and "x" would both become "y"',
      }),
    );
    expect(() => keysAfter(['a'], { op: 'rename', keys: '(b?)a', to: '$1' })).toThrow(
      '"a" would get an empty name',
    );
  });
});

describe('order', () => {
  it('select and drop, presets, strip and rename, rules, prefix, matches, cast', () => {
    const tensors = new Map([
      ['module.old.weight', one],
      ['module.left', one],
    ]);
    const result = remap(
      { path: '', tensors },
      {
        drop: ['*.left'],
        presets: ['dataparallel'],
        stripPrefix: ['old.'],
        rename: [{ from: 'weight', to: 'renamed' }],
        rules: [{ op: 'rename', keys: 'renamed', to: 'mapped' }],
        addPrefix: 'x.',
        matchKeys: (now) => new Map([...now.keys()].map((key) => [key, `${key}.matched`])),
        dtype: 'float16',
      },
    );
    expect([...result.tensors].map(([key, { dtype }]) => [key, dtype])).toEqual([
      ['x.mapped.matched', 'float16'],
    ]);
    expect(result.renamed).toEqual([{ from: 'module.old.weight', to: 'x.mapped.matched' }]);
    expect(result.dropped).toEqual(['module.left']);
    expect(result.unused).toEqual([]);
  });
});

describe('aliases', () => {
  const tied = (): ReadonlyMap<string, WeightTensor> =>
    new Map<string, WeightTensor>([
      ['a', counting([2, 2])],
      ['b', { ...counting([2, 2]), sharedWith: 'a' }],
      ['c', counting([2, 2], 4)],
      ['d', { ...counting([2, 2]), sharedWith: 'a' }],
    ]);
  const sharing = (...rules: Rule[]) => {
    const { tensors } = remap({ path: '', tensors: tied() }, { rules });
    return [...tensors].map(([key, { sharedWith }]) =>
      sharedWith === undefined ? key : `${key}=${sharedWith}`,
    );
  };
  it('survive where all are transformed alike', () => {
    expect(sharing({ op: 'transpose', keys: '.*' }, { op: 'scale', keys: '.*', factor: 2 })).toEqual([
      'a',
      'b=a',
      'c',
      'd=a',
    ]);
    expect(sharing({ op: 'prefix', from: '', to: 'x.' }, { op: 'drop', globs: ['x.a'] })).toEqual([
      'x.b',
      'x.c',
      'x.d=x.b',
    ]);
  });
  it('end where one is transformed otherwise', () => {
    expect(sharing({ op: 'transpose', keys: '[ab]' })).toEqual(['a', 'b=a', 'c', 'd']);
    expect(sharing({ op: 'transpose', keys: 'a' }, { op: 'transpose', keys: 'b' })).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });
  it('survive joining and splitting', () => {
    expect(sharing({ op: 'chunk', keys: '(.)', to: ['$1.0', '$1.1'] })).toEqual([
      'a.0',
      'a.1',
      'b.0=a.0',
      'b.1=a.1',
      'c.0',
      'c.1',
      'd.0=a.0',
      'd.1=a.1',
    ]);
    const pairs: Rule[] = [
      { op: 'concat', keys: ['a', 'c'], to: 'ac' },
      { op: 'concat', keys: ['b'], to: 'bb' },
    ];
    expect(sharing(...pairs)).toEqual(['ac', 'bb', 'd']);
  });
});

describe('the report', () => {
  it('says what was made of what, by the names before and after everything', () => {
    const dict = { 'm.q': counting([2]), 'm.k': counting([2]), 'm.w': counting([2, 1]), 'm.o': one };
    const result = mapped(dict, [
      { op: 'prefix', from: 'm.', to: '' },
      { op: 'transpose', keys: 'w' },
      { op: 'concat', keys: ['q', 'k'], to: 'qk' },
      { op: 'split', keys: 'qk', to: ['x', 'y', 'z'], sizes: [1, 2, 1] },
      { op: 'prefix', from: '', to: 'n.' },
      { op: 'drop', globs: ['n.z'] },
    ]);
    expect(result.transformed).toEqual([
      { rule: 'rules[2] (concat)', from: ['m.q', 'm.k'], to: ['n.x', 'n.y'] },
      { rule: 'rules[3] (split)', from: ['m.q', 'm.k'], to: ['n.x', 'n.y'] },
      { rule: 'rules[1] (transpose)', from: ['m.w'], to: ['n.w'] },
    ]);
    expect(result.renamed).toEqual([
      { from: 'm.w', to: 'n.w' },
      { from: 'm.o', to: 'n.o' },
    ]);
    expect(result.dropped).toEqual([]);
  });
  it('names rules and presets that fit no key', () => {
    const rules: Rule[] = [
      { op: 'rename', keys: 'b', to: 'c' },
      { op: 'transpose', keys: 'a', rank: 2 },
      { op: 'concat', keys: ['x', 'y'], to: 'z' },
    ];
    expect(mapped({ a: one }, rules, { presets: ['torch-compile', 'weight-norm'] }).unused).toEqual([
      '--preset torch-compile',
      '--preset weight-norm',
      'rules[0] (rename)',
      'rules[1] (transpose)',
      'rules[2] (concat)',
    ]);
    expect(mapped({ a: one }, rules.slice(0, 1), { invert: true }).unused).toEqual([
      'rules[0] (rename), inverted',
    ]);
  });
  it('lists every rounding of a tensor', () => {
    const { casts, tensors } = mapped({ w: typedTensor('float64', [1], Float64Array.of(1e30)) }, [
      { op: 'cast', keys: 'w', dtype: 'float32' },
      { op: 'cast', keys: 'w', dtype: 'float16' },
    ]);
    tensors.get('w')!.data.read(0, 2);
    expect(casts.map(({ dtype, tally }) => [dtype, tally.overflowed])).toEqual([
      ['float32', 0],
      ['float16', 1],
    ]);
  });
});

describe('rules with faults', () => {
  it.each<[Rule, string]>([
    [{ op: 'table', keys: { a: 'x', b: 'x' } }, 'keys: one is there twice'],
    [{ op: 'table', keys: { a: '' } }, 'keys.a: a key is empty'],
    [{ op: 'prefix', from: 'a', to: 'a' }, 'to: it is the same as "from"'],
    [{ op: 'rename', keys: '(', to: 'x' }, 'keys: this ( is not closed (character 1)'],
    [{ op: 'rename', keys: 'a', to: '$1' }, 'to: the pattern has no group 1'],
    [{ op: 'concat', keys: ['(a)', 'b'], to: 'x' }, 'keys.1: it must have the groups of the first'],
    [{ op: 'concat', keys: ['a', 'b'], to: 'x', sizes: [1] }, 'sizes: 2 are expected'],
    [{ op: 'concat', keys: ['a', 'a'], to: 'x' }, 'keys: one is there twice'],
    [{ op: 'split', keys: 'a', to: ['x', 'y'], sizes: [1] }, 'sizes: 2 are expected'],
    [{ op: 'chunk', keys: 'a', to: ['x', 'x'] }, 'to: one is there twice'],
    [{ op: 'weight-norm', g: '(?<a>.)', v: '(?<b>.)', to: 'x' }, 'v: it must have the groups of the first'],
    [{ op: 'permute', keys: 'a', order: [0, 0] }, 'order: one is there twice'],
    [{ op: 'flip', keys: 'a', dims: [1, 1] }, 'dims: one is there twice'],
    [{ op: 'transpose', keys: 'a', dims: [1, 1] }, 'dims: one is there twice'],
    [{ op: 'reshape', keys: 'a', shape: [-1, -1] }, 'shape: -1 can stand for one dimension only'],
    [{ op: 'scale', keys: 'a', factor: 0 }, 'factor: a factor is finite and not 0'],
  ])('%j', (rule, message) => {
    expect(() => mapped({ a: one }, [{ op: 'prefix', from: 'a', to: 'b' }, rule])).toThrow(
      expect.objectContaining({
        code: 'config/invalid',
        message: expect.stringContaining(`rules[1] (${rule.op}) ${message}`),
      }),
    );
  });
});

it('a rule of one thousand layers is done at once', () => {
  const dict = Object.fromEntries(
    Array.from({ length: 3000 }, (_, i) => [`l.${Math.floor(i / 3)}.${'qkv'[i % 3]}`, one]),
  );
  const rule: Rule = {
    op: 'concat',
    keys: ['q', 'k', 'v'].map((name) => `l\\.(\\d+)\\.${name}`),
    to: 'l.$1.qkv',
  };
  const result = mapped(dict, [rule]);
  expect(result.tensors.size).toBe(1000);
  expect(valuesOf(result)['l.999.qkv']).toEqual([[3], [0, 0, 0]]);
});

describe('mappings that ask for too much end', () => {
  it.each<[string, Rule, number]>([
    [
      'keys without end',
      { op: 'chunk', keys: '(.*)', to: Array.from({ length: 600 }, (_, i) => `$1.${i}`) },
      3,
    ],
    ['names without end', { op: 'rename', keys: '(.*)', to: '$1$1' }, 40],
    ['transforms without end', { op: 'scale', keys: 'e', factor: 2 }, 100],
  ])('%s', (_, rule, times) => {
    const empty = { e: counting([0]) };
    expect(() =>
      mapped(
        empty,
        Array.from({ length: times }, () => rule),
      ),
    ).toThrow(expect.objectContaining({ code: 'file/limit' }));
  });
});
