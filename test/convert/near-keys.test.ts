import { expect, it } from 'vitest';
import { nearestKeys } from '../../src/convert/near-keys.ts';

const shaped = (names: readonly string[], shape: readonly number[] = [8]) =>
  names.map((name) => ({ name, shape }));

it('a prefix, another spelling, another number of levels', () => {
  const near = nearestKeys(
    shaped(['layer1.0.conv1.weight', 'fc.bias', 'bn.running_mean', 'head.q.w']),
    shaped([
      'module.layer1.0.conv1.weight',
      'module.layer1.0.conv2.weight',
      'net/fc/bias',
      'bn.runningMean',
      'zzz',
    ]),
  );
  expect([...near]).toEqual([
    ['layer1.0.conv1.weight', 'module.layer1.0.conv1.weight'],
    ['fc.bias', 'net/fc/bias'],
    ['bn.running_mean', 'bn.runningMean'],
  ]);
});

it('of equally near names, the one of the right shape', () => {
  const near = nearestKeys(shaped(['fc.weight']), [
    ...shaped(['a.fc.weight'], [9]),
    ...shaped(['b.fc.weight']),
    ...shaped(['c.fc.weight']),
  ]);
  expect(near.get('fc.weight')).toBe('b.fc.weight');
});

it('among ten thousand keys that share all their words', () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => `layers.${i}.weight`);
  const near = nearestKeys(shaped(keys.slice(0, 20)), shaped(keys.map((key) => `model.${key}`)));
  expect([...near].every(([key, found]) => found === `model.${key}`)).toBe(true);
  expect(near.size).toBe(20);
});
