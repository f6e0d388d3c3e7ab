import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';
import { moduleTree } from '../../src/inspect/module-tree.ts';

/** `[key, dims, sharedWith?]`, all float32. */
const dict = (
  ...entries: readonly (readonly [string, readonly number[], string?])[]
): Map<string, WeightTensor> =>
  new Map(
    entries.map(([key, dims, sharedWith]) => [
      key,
      {
        dtype: 'float32',
        dims,
        data: new BytesSource(new Uint8Array(4 * dims.reduce((a, b) => a * b, 1))),
        ...(sharedWith !== undefined && { sharedWith }),
      },
    ]),
  );

const outline = (tensors: ReadonlyMap<string, WeightTensor>, depth?: number): string[] =>
  moduleTree(tensors, depth).map(({ name, depth: level, repeats, tensors: count, holds }) =>
    `${'  '.repeat(level)}${name} ×${repeats} ${count}: ${holds.map((one) => `${one.name}[${one.shape.map((dim) => dim ?? '*')}]`).join(' ')}`.trimEnd(),
  );

describe('moduleTree', () => {
  it('folds repeated blocks and wrappers', () => {
    const tensors = dict(
      ['net.stem.weight', [3]],
      ...[0, 1, 2, 10].flatMap((i): [string, number[]][] => [
        [`net.layers.${i}.conv.weight`, [4, i]],
        [`net.layers.${i}.conv.bias`, [4]],
      ]),
      ['net.layers.3.conv.weight', [4, 4]],
    );
    expect(outline(tensors)).toEqual([
      'net ×1 10:',
      '  stem ×1 1: weight[3]',
      '  layers ×1 9:',
      '    {0,1,2,10}.conv ×4 8: weight[4,*] bias[4]',
      '    3.conv ×1 1: weight[4,4]',
    ]);
  });

  it('folds the layers of a sequence by kind, and numbered tensors', () => {
    const tensors = dict(
      ...[9, 0, 3, 6, 12, 15].map((i): [string, number[]] => [`body.${i}.weight`, [2, 2]]),
      ...[1, 2].map((i): [string, number[]] => [`body.${i + 100}.bias`, [2]]),
      ...Array.from({ length: 12 }, (_, i): [string, number[]] => [`table${i}`, [7]]),
    );
    expect(outline(tensors)).toEqual([
      '(root) ×1 20: table{0-11}[7]'.replace('(root)', ''),
      '  body ×1 8:',
      '    {0…15} ×6 6: weight[2,2]',
      '    {101,102} ×2 2: bias[2]',
    ]);
  });

  it('counts second names apart, and says where the first ones are', () => {
    const rows = moduleTree(
      dict(
        ['a.0.w', [5]],
        ['a.1.w', [5]],
        ['b.x.0.w', [5], 'a.0.w'],
        ['b.x.1.w', [5], 'a.1.w'],
        ['c.w', [5], 'a.0.w'],
      ),
    );
    expect(rows[0]).toMatchObject({ tensors: 5, aliases: 3, parameters: 10, bytes: 40 });
    expect(rows.find(({ path }) => path === 'b.x.{0,1}')).toMatchObject({ repeats: 2, aliases: 2, bytes: 0 });
    expect(rows.find(({ path }) => path === 'c')).toMatchObject({ sharedWith: 'a.0' });
    expect(rows.find(({ path }) => path === 'a.{0,1}')).not.toHaveProperty('sharedWith');
    const whole = moduleTree(
      dict(['a.p.w', [5]], ['a.q.w', [5]], ['b.p.w', [5], 'a.p.w'], ['b.q.w', [5], 'a.q.w']),
    );
    expect(whole.find(({ path }) => path === 'b')).toMatchObject({ sharedWith: 'a', tensors: 2, aliases: 2 });
  });

  it('stops at a depth, and does not need one for hostile keys', () => {
    const tensors = dict(['a.b.w', [1]], ['a.v', [1]], ['c.w', [1]]);
    expect(outline(tensors, 0)).toEqual([' ×1 3:']);
    expect(outline(tensors, 1)).toEqual([' ×1 3:', '  a ×1 2: v[1]', '  c ×1 1: w[1]']);
    const deep = moduleTree(
      dict([`${'x.'.repeat(100_000)}w`, [1]], ['.', [1]], ['..__proto__', [1]], ['', [1]]),
    );
    expect(deep[0]).toMatchObject({ tensors: 4, bytes: 16 });
    expect(moduleTree(new Map())).toEqual([]);
  });

  it('keeps the sums whatever the names', () => {
    const part = fc.constantFrom('a', 'b', '0', '1', '2', '10', 'l1', 'l2', 'x3y', '', '__proto__');
    const keys = fc.uniqueArray(
      fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('.')),
    );
    fc.assert(
      fc.property(keys, (names) => {
        const rows = moduleTree(dict(...names.map((name, i): [string, number[]] => [name, [1 + (i % 3)]])));
        const total = names.reduce((sum, _, i) => sum + 1 + (i % 3), 0);
        expect(rows[0]?.parameters ?? 0).toBe(total);
        expect(rows[0]?.tensors ?? 0).toBe(names.length);
        // What rows hold, and what is directly below a row, is all there is in it.
        for (const [at, row] of rows.entries()) {
          const next = rows.findIndex(({ depth }, i) => i > at && depth <= row.depth);
          const below = rows
            .slice(at + 1, next < 0 ? undefined : next)
            .filter(({ depth }) => depth === row.depth + 1);
          expect(below).toHaveLength(row.children);
          const sum = below.reduce((all, { tensors }) => all + tensors, 0);
          expect(sum <= row.tensors).toBe(true);
          expect(sum === row.tensors).toBe(row.holds.length === 0);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
