/** Renamed checkpoints that lack something, or have something more: less is found then, and nothing wrong. */
import { expect, test } from 'vitest';
import { autoMap, type SourceKey } from '../../../src/convert/auto-map.ts';
import type { ExpectedKey } from '../../../src/convert/compare-keys.ts';
import { createRng, type Rng } from '../../../src/core/rng.ts';
import { networks, type Renaming, renamingOf } from './renaming.ts';

const above = (key: string, levels: number): string => key.split('.').slice(0, -levels).join('.');

/** One of the modules (or with two levels, of the blocks) of the keys. */
const anyModule = (rng: Rng, keys: readonly ExpectedKey[], levels: number): string => {
  const modules = [...new Set(keys.map(({ name }) => above(name, levels)))].filter((name) => name !== '');
  return modules[rng.integer(modules.length)] ?? '';
};

interface Parts {
  readonly source: readonly (readonly [string, SourceKey])[];
  readonly target: readonly ExpectedKey[];
}

type Damage = (rng: Rng, keys: readonly ExpectedKey[], renaming: Renaming) => Parts;

const lackingModule =
  (levels: number): Damage =>
  (rng, keys, { names, source }) => {
    const module = anyModule(rng, keys, levels);
    const lost = new Set(
      keys.filter(({ name }) => name.startsWith(`${module}.`)).map(({ name }) => names.get(name)!),
    );
    return { source: [...source].filter(([key]) => !lost.has(key)), target: keys };
  };

const DAMAGES: Readonly<Record<string, Damage>> = {
  'a module is lost': lackingModule(1),
  'a block is lost': lackingModule(2),
  'keys are lost here and there': (rng, keys, { source }) => ({
    source: [...source].filter(() => rng.next() > 0.03),
    target: keys,
  }),
  'the target has a module less': (rng, keys, { source }) => {
    const module = anyModule(rng, keys, 1);
    return { source: [...source], target: keys.filter(({ name }) => above(name, 1) !== module) };
  },
  'an optimizer has tensors of the same shapes': (rng, keys, { source }) => {
    const averages = [...source].filter(() => rng.next() < 0.3);
    return {
      source: [
        ...source,
        ...averages.map(([, { dtype, dims }], i) => [`opt.${i}.avg`, { dtype, dims }] as const),
      ],
      target: keys,
    };
  },
};

/** Second names whose first name is gone stand for themselves. */
const asMap = (rows: Parts['source']): Map<string, SourceKey> => {
  const names = new Set(rows.map(([key]) => key));
  return new Map(
    rows.map(([key, { dtype, dims, sharedWith }]) => [
      key,
      sharedWith !== undefined && names.has(sharedWith) ? { dtype, dims, sharedWith } : { dtype, dims },
    ]),
  );
};

test.each(Object.entries(DAMAGES))('%s', (_, damage) => {
  let found = 0;
  let possible = 0;
  let seed = 1;
  for (const [name, keys] of networks) {
    const renaming = renamingOf(keys, seed * 41);
    const parts = damage(createRng(seed++), keys, renaming);
    const source = asMap(parts.source);
    const truth = new Map([...renaming.names].map(([to, from]) => [from, to]));
    const tensorOf = new Map(keys.map((key) => [key.name, key.sharedWith ?? key.name]));
    const { pairs, ambiguous, unmatchedSource } = autoMap(source, parts.target);
    const wrong = [...pairs].filter(([from, to]) => tensorOf.get(truth.get(from) ?? '') !== tensorOf.get(to));
    expect({ name, says: renaming.rule.says, wrong }).toEqual({ name, says: renaming.rule.says, wrong: [] });
    const said = pairs.size + unmatchedSource.length + ambiguous.flatMap(({ from }) => from).length;
    // Second names may be left out where the target has fewer.
    expect(said).toBeLessThanOrEqual(source.size);
    const wanted = new Set(parts.target.map((key) => key.name));
    found += pairs.size;
    possible += [...source.keys()].filter((key) => wanted.has(truth.get(key) ?? '')).length;
  }
  expect(found / possible).toBeGreaterThan(0.5);
});
