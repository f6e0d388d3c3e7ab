import { describe, expect, it, test } from 'vitest';
import { autoMap } from '../../../src/convert/auto-map.ts';
import { remainingInformation } from './destroyed.ts';
import { networks, renamingOf } from './renaming.ts';

const RENAMINGS = 20;

describe('random consistent renamings', () => {
  it('covers 23 networks', () => {
    expect(networks.size).toBe(23);
    expect(networks.get('resnet152')).toHaveLength(932);
  });
  test.each([...networks])('%s: restored, or ambiguous where information is gone', (name, keys) => {
    const tensorOf = new Map(keys.map((key) => [key.name, key.sharedWith ?? key.name]));
    for (let index = 0; index < RENAMINGS; index++) {
      const renaming = renamingOf(keys, index * 37 + name.length * 1009);
      const says = `${index}: ${renaming.rule.says}`;
      const truth = new Map([...renaming.names].map(([to, from]) => [from, to]));
      const { pairs, ambiguous, unmatchedSource, unmatchedTarget } = autoMap(renaming.source, keys);
      const wrong = [...pairs].filter(([from, to]) => tensorOf.get(truth.get(from)!) !== tensorOf.get(to));
      expect({ says, wrong, unmatchedSource, unmatchedTarget }).toEqual({
        says,
        wrong: [],
        unmatchedSource: [],
        unmatchedTarget: [],
      });
      expect(pairs.size + ambiguous.reduce((sum, { from }) => sum + from.length, 0)).toBe(keys.length);
      if (ambiguous.length === 0) continue;
      const left = remainingInformation(keys, renaming);
      for (const { from, to, reason } of ambiguous) {
        expect(from.map((key) => truth.get(key)!).sort()).toEqual([...to].sort());
        expect(reason).toContain('their names carry no information');
        const counts = new Map<string, number>();
        for (const key of to) counts.set(left.get(key)!, (counts.get(left.get(key)!) ?? 0) + 1);
        const decided = to.filter((key) => counts.get(left.get(key)!) === 1);
        expect({ says, decided }).toEqual({ says, decided: [] });
      }
    }
  });
});
