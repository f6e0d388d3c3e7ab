import { describe, expect, it } from 'vitest';
import { groupKeys, groupText } from '../../src/core/key-groups.ts';

const lines = (keys: readonly string[], limit: number): string[] => groupKeys(keys, limit).map(groupText);
const block = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name}.${i}.weight`);

describe('groups of keys', () => {
  it('few keys stand alone, in their order', () => {
    expect(lines(['fc.weight', 'a', 'fc.bias'], 3)).toEqual(['"fc.weight"', '"fc.bias"', '"a"']);
    expect(lines([], 3)).toEqual([]);
  });
  it('modules are opened, the largest first, as long as there is room', () => {
    const keys = [
      'conv1.weight',
      ...block('layer1.conv', 4),
      'layer2.a.bias',
      'layer2.b.weight',
      'layer2.c.x',
      'fc.bias',
    ];
    expect(lines(keys, 4)).toEqual([
      '"conv1.weight"',
      'layer1.conv.*.weight (4 keys)',
      'layer2.* (3 keys)',
      '"fc.bias"',
    ]);
    expect(lines(keys, 6)).toEqual([
      '"conv1.weight"',
      'layer1.conv.*.weight (4 keys)',
      '"layer2.a.bias"',
      '"layer2.b.weight"',
      '"layer2.c.x"',
      '"fc.bias"',
    ]);
  });
  it('one parameter in many modules is one group', () => {
    const keys = ['bn1', 'layer1.0.bn1', 'layer1.1.bn1'].map((name) => `${name}.num_batches_tracked`);
    expect(lines(keys, 2)).toEqual(['*.num_batches_tracked (3 keys)']);
  });
  it('too many groups: the largest, then how many others', () => {
    const keys = [...Array.from({ length: 9 }, (_, i) => `p${i}.${i}`), ...block('big', 5)];
    expect(lines(keys, 3)).toEqual(['"p0.0"', 'big.*.weight (5 keys)', '8 others']);
    expect(groupKeys(keys, 3).flatMap(({ keys: own }) => own)).toHaveLength(14);
  });
  it('slashes separate too; a key may be the beginning of others', () => {
    expect(lines(['a/b/c', 'a/b/d', 'a', 'e'], 3)).toEqual(['a/b/* (2 keys)', '"a"', '"e"']);
  });
  it('a deep chain and many equal beginnings end at once', () => {
    const deep = `${'x.'.repeat(50_000)}w`;
    expect(lines([deep, `${deep}2`, 'y', 'z'], 3)).toHaveLength(3);
  });
});
