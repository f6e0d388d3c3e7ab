/** One small case for each kind of evidence, and for each reason to refuse. */
import { describe, expect, it } from 'vitest';
import { type AutoMap, autoMap, type SourceKey } from '../../../src/convert/auto-map.ts';
import type { ExpectedKey } from '../../../src/convert/compare-keys.ts';
import type { DType } from '../../../src/core/dtype.ts';

type Row = readonly [name: string, shape: readonly number[], dtype?: DType, sharedWith?: string];

const target = (rows: readonly Row[]): ExpectedKey[] =>
  rows.map(([name, shape, dtype = 'float32', sharedWith]) => ({
    name,
    shape,
    dtype,
    ...(sharedWith === undefined ? {} : { sharedWith }),
  }));
const source = (rows: readonly Row[]): Map<string, SourceKey> =>
  new Map(
    rows.map(([name, dims, dtype = 'float32', sharedWith]) => [
      name,
      { dtype, dims, ...(sharedWith === undefined ? {} : { sharedWith }) },
    ]),
  );
const map = (from: readonly Row[], to: readonly Row[]): AutoMap => autoMap(source(from), target(to));

const norm = (name: string, size: number, names = ['weight', 'bias', 'running_mean', 'running_var']): Row[] =>
  names.map((each): Row => [`${name}.${each}`, [size]]);

describe('evidence', () => {
  it('shapes', () => {
    const { pairs, evidence, score } = map(
      [
        ['x', [3, 4]],
        ['y', [4]],
        ['z', [4], 'int64'],
      ],
      [
        ['a.n', [4], 'int64'],
        ['a.w', [3, 4]],
        ['a.b', [4]],
      ],
    );
    expect(Object.fromEntries(pairs)).toEqual({ x: 'a.w', y: 'a.b', z: 'a.n' });
    expect([evidence, score]).toEqual([{ shape: 3, names: 0, order: 0 }, 1]);
  });
  it('what stands beside a key: two equal matrices in modules that differ elsewhere', () => {
    const { pairs, evidence } = map(
      [
        ['p.w', [8, 8]],
        ['p.b', [3]],
        ['q.w', [8, 8]],
        ['q.b', [5]],
      ],
      [
        ['one.w', [8, 8]],
        ['one.b', [5]],
        ['two.w', [8, 8]],
        ['two.b', [3]],
      ],
    );
    expect([pairs.get('p.w'), pairs.get('q.w')]).toEqual(['two.w', 'one.w']);
    expect(evidence.shape).toBe(4);
  });
  it('names of parameters in another library', () => {
    const { pairs, evidence } = map(
      norm('bn', 7, ['gamma', 'beta', 'moving_mean', 'moving_variance']),
      norm('bn', 7),
    );
    expect([...pairs.values()]).toEqual(['bn.weight', 'bn.bias', 'bn.running_mean', 'bn.running_var']);
    expect(evidence.names).toBe(4);
  });
  it('meaningless segments, known from where else they stand', () => {
    const names = ['qq', 'zz', 'm', 'v'];
    const { pairs, ambiguous } = map(
      [['c.qq', [9, 3]], ...norm('n', 7, names).reverse(), ['f.zz', [2]], ['f.qq', [2, 7]]],
      [['conv.weight', [9, 3]], ...norm('bn', 7), ['fc.weight', [2, 7]], ['fc.bias', [2]]],
    );
    expect([pairs.get('n.qq'), pairs.get('n.zz')]).toEqual(['bn.weight', 'bn.bias']);
    expect(ambiguous.map(({ from, to }) => [from, to])).toEqual([
      [
        ['n.v', 'n.m'],
        ['bn.running_mean', 'bn.running_var'],
      ],
    ]);
  });
  it('order, where the rest of the file keeps it', () => {
    const widths = [3, 5, 8, 8, 8, 13, 21, 34, 8, 55];
    const layers = (name: (i: number) => string): Row[] =>
      widths.map((width, i): Row => [`${name(i)}.w`, [width, width]]);
    const tokens = ['kd', 'ow', 'pz', 'xa', 'rt', 'ml', 'cu', 'he', 'bi', 'sg'];
    const { pairs, evidence } = map(
      layers((i) => tokens[i]!),
      layers((i) => `l${i}`),
    );
    expect([...pairs.values()]).toEqual(widths.map((_, i) => `l${i}.w`));
    expect(evidence).toEqual({ shape: 6, names: 0, order: 4 });
  });
});

describe('refusals', () => {
  const reasonOf = ({ ambiguous }: AutoMap): string => ambiguous.map(({ reason }) => reason).join('; ');

  it('names say nothing and order is not kept', () => {
    const found = map(
      [
        ['kd.w', [8, 8]],
        ['ow.w', [8, 8]],
        ['z.w', [2]],
      ],
      [
        ['last.w', [2]],
        ['a.w', [8, 8]],
        ['b.w', [8, 8]],
      ],
    );
    expect(found.pairs.size).toBe(1);
    expect(found.ambiguous[0]).toMatchObject({ from: ['kd.w', 'ow.w'], to: ['a.w', 'b.w'] });
    expect(reasonOf(found)).toContain('the order of the file is not that of the target');
  });
  it('order alone proves nothing when everything has one shape', () => {
    const rows = (names: string): Row[] => [...names].map((name): Row => [`${name}x.w`, [8, 8]]);
    const found = map(rows('kopq'), rows('abcd'));
    expect(found.pairs.size).toBe(0);
    expect(reasonOf(found)).toContain('too few shapes differ');
  });
  it('modules that are alike are one group', () => {
    const block = (name: string): Row[] => [
      [`${name}.w`, [8, 4]],
      [`${name}.b`, [8]],
    ];
    const found = map(
      [...block('kd'), ...block('ow'), ['z', [1]]],
      [['end', [1]], ...block('l0'), ...block('l1')],
    );
    expect(found.ambiguous).toHaveLength(1);
    expect(found.ambiguous[0]!.from).toEqual(['kd.w', 'kd.b', 'ow.w', 'ow.b']);
    expect(reasonOf(found)).toContain('2 modules of 2 keys each');
  });
  it('more keys than places', () => {
    const found = map(
      [
        ['kd', [8]],
        ['ow', [8]],
        ['z', [3]],
      ],
      [
        ['a', [8]],
        ['c', [3]],
      ],
    );
    expect(Object.fromEntries(found.pairs)).toEqual({ z: 'c' });
    expect(reasonOf(found)).toContain('2 keys of the checkpoint fit 1 of the target');
  });
  it('transposed shapes are not paired, but hinted at', () => {
    const found = map([['k', [3, 3, 4, 8]]], [['w', [8, 4, 3, 3]]]);
    expect([found.pairs.size, found.score, found.unmatchedSource, found.unmatchedTarget]).toEqual([
      0,
      0,
      ['k'],
      ['w'],
    ]);
    expect(found.hints[0]).toContain('"k" [3, 3, 4, 8] and "w" [8, 4, 3, 3]');
  });
});

describe('parts', () => {
  const net: Row[] = [['conv.weight', [9, 3]], ...norm('bn', 9), ['fc.weight', [2, 9]], ['fc.bias', [2]]];
  const wrapped = net.map(([name, ...rest]): Row => [`module.${name}`, ...rest]);

  it('a head that was taken off, and keys of another kind', () => {
    const found = map([...wrapped.slice(0, 5), ['epoch', [], 'int64']], net);
    expect(found.pairs.size).toBe(5);
    expect([found.unmatchedSource, found.unmatchedTarget]).toEqual([['epoch'], ['fc.weight', 'fc.bias']]);
    expect(found.ambiguous).toEqual([]);
  });
  it('what has no partner moves along with its neighbours, as far as they agree', () => {
    const found = map([...wrapped, ['module.aux.w', [77]], ['top', [78]], ['module.', [79]]], net);
    expect([...found.carried]).toEqual([['module.aux.w', 'aux.w']]);
    const parted = map(
      [
        ['m.a.w', [3]],
        ['m.b.w', [5]],
        ['m.c', [7]],
      ],
      [
        ['x.w', [3]],
        ['y.w', [5]],
      ],
    );
    expect([parted.pairs.size, parted.carried.size]).toEqual([2, 0]);
  });
  it('a parameter lost from a module: its neighbours are known by name', () => {
    const found = map(
      wrapped.filter(([name]) => name !== 'module.bn.running_mean'),
      net,
    );
    expect([found.pairs.size, found.unmatchedTarget, found.ambiguous]).toEqual([6, ['bn.running_mean'], []]);
    expect([...found.pairs].every(([from, to]) => from === `module.${to}`)).toBe(true);
  });
  it('a copy of the weights beside them: nothing is guessed', () => {
    const copies = net.map(([name, ...rest]): Row => [`ema.${name}`, ...rest]);
    const found = map([...wrapped, ...copies], net);
    expect(found.pairs.size).toBe(0);
    expect(found.ambiguous.flatMap(({ from }) => from)).toHaveLength(14);
  });
  it('damage on both sides that makes the wrong modules look alike is noticed by the order', () => {
    const blocks = (names: string, damaged: number): Row[] =>
      [...names].flatMap((name, i): Row[] => [
        [`${name}.c.w`, [8, 8, 3, 3]],
        ...(i === damaged ? [] : norm(`${name}.n`, 8)),
        [`${name}.p.w`, [8, 8, 1, 1]],
      ]);
    const others = (name: string): Row[] =>
      Array.from({ length: 60 }, (_, i): Row => [`${name}${i}`, [i + 1, 2]]);
    const from = [...others('z'), ...blocks('kqxw', 1)];
    const to = [...others('a'), ...blocks('bcde', 3)];
    const found = map(from, to);
    expect([...found.pairs].filter(([key]) => key.startsWith('q'))).toEqual([]);
    expect(found.ambiguous.map(({ reason }) => reason)).toContainEqual(
      expect.stringContaining('something may be missing on both sides'),
    );
  });
  it('half precision for a float network', () => {
    const halves = wrapped.map(([name, shape]): Row => [name, shape, 'float16']);
    expect(map(halves, net).pairs.size).toBe(7);
  });
  it('keys that may be missing are not missed', () => {
    const wanted = [
      ...target(net),
      { name: 'bn.num_batches_tracked', shape: [], dtype: 'int64', needed: false } as const,
    ];
    expect(autoMap(source(wrapped), wanted)).toMatchObject({ score: 1, unmatchedTarget: [] });
  });
  it('nothing at all', () => {
    expect(map([], [])).toMatchObject({ score: 0, ambiguous: [], unmatchedSource: [] });
    expect(map([], net).unmatchedTarget).toHaveLength(7);
    expect(map(net, []).unmatchedSource).toHaveLength(7);
  });
});

describe('second names', () => {
  const tied: Row[] = [
    ['emb.weight', [8, 4]],
    ['enc.w', [4, 4]],
    ['dec.weight', [8, 4], 'float32', 'emb.weight'],
  ];

  it('an alias becomes an alias, whatever the order', () => {
    const found = map(
      [
        ['q.z', [8, 4]],
        ['r.y', [4, 4]],
        ['s.z', [8, 4], 'float32', 'q.z'],
      ],
      tied,
    );
    expect(found.pairs.size).toBe(3);
    expect(found.ambiguous).toEqual([]);
  });
  it('a tensor that looks the same but is its own is kept apart', () => {
    const found = map(
      [
        ['o.k', [8, 4]],
        ['q.z', [8, 4]],
        ['s.z', [8, 4], 'float32', 'q.z'],
      ],
      [
        ['emb.weight', [8, 4]],
        ['dec.weight', [8, 4], 'float32', 'emb.weight'],
        ['free.weight', [8, 4]],
      ],
    );
    expect(found.pairs.get('o.k')).toBe('free.weight');
  });
  it('a target without second names: those of the source are left out', () => {
    const found = map(
      [
        ['q.z', [8, 4]],
        ['r.y', [4, 4]],
        ['s.z', [8, 4], 'float32', 'q.z'],
      ],
      tied.slice(0, 2),
    );
    expect(Object.fromEntries(found.pairs)).toEqual({ 'q.z': 'emb.weight', 'r.y': 'enc.w' });
    expect(found.hints[0]).toContain('1 second names');
  });
});

it('names that are hard to read do no harm', () => {
  const names = [
    '',
    '.',
    '..',
    'a..b',
    '___',
    '💥',
    'a\nb',
    '__proto__',
    'constructor',
    `${'x.'.repeat(20_000)}w`,
  ];
  const rows = names.map((name, i): Row => [name, [i + 1]]);
  expect(map(rows, rows).pairs.size).toBe(names.length);
  const equal = names.map((name): Row => [name, [8]]);
  expect(map(equal, equal).pairs.size + map(equal, equal).ambiguous.length).toBeGreaterThan(0);
});
