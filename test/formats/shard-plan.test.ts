import { describe, expect, it } from 'vitest';
import { float32Tensor } from '../../src/core/tensor.ts';
import { planShards, shardIndexText, shardName } from '../../src/formats/shard-plan.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';

/** A tensor of so many float32. */
const sized = (elements: number, sharedWith?: string): WeightTensor => ({
  ...float32Tensor([elements], new Float32Array(elements)),
  ...(sharedWith === undefined ? {} : { sharedWith }),
});

const plan = (tensors: Record<string, WeightTensor>, limit: number): string[][] =>
  planShards(new Map(Object.entries(tensors)), limit).map((shard) => [...shard.keys()]);

describe('planShards', () => {
  it('fills shards in order, up to the limit and not beyond', () => {
    const tensors = { a: sized(1), b: sized(2), c: sized(1), d: sized(1) };
    expect(plan(tensors, 12)).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(plan(tensors, 11)).toEqual([['a'], ['b'], ['c', 'd']]);
    expect(plan(tensors, 20)).toEqual([['a', 'b', 'c', 'd']]);
  });

  it('gives a tensor that is too large a shard of its own', () => {
    expect(plan({ a: sized(1), b: sized(9), c: sized(1) }, 8)).toEqual([['a'], ['b'], ['c']]);
  });

  it('keeps tied tensors together, and counts what each takes', () => {
    const tensors = { emb: sized(2), w: sized(1), head: sized(2, 'emb') };
    expect(plan(tensors, 16)).toEqual([['emb', 'head'], ['w']]);
    const shards = planShards(new Map(Object.entries(tensors)), 12, ({ data, sharedWith }) =>
      sharedWith === undefined ? data.size : 0,
    );
    expect(shards.map((shard) => [...shard.keys()])).toEqual([['emb', 'head', 'w']]);
  });

  it('does not open a shard for tensors without elements', () => {
    expect(plan({ a: sized(3), none: sized(0), b: sized(3) }, 12)).toEqual([['a', 'none'], ['b']]);
    expect(plan({}, 12)).toEqual([]);
  });
});

describe('the names of shards', () => {
  it('count from one, in five digits', () => {
    expect(shardName('out/v1.5/model.safetensors', 1, 12)).toBe('out/v1.5/model-00002-of-00012.safetensors');
  });

  it('the index is what Python writes: sorted, indented, ASCII', () => {
    const one = new Map([
      ['w', sized(1)],
      ['é😀', sized(1)],
    ]);
    const two = new Map([
      ['__proto__', sized(1)],
      ['0', sized(1)],
    ]);
    expect(shardIndexText([one, two], ['m-1.safetensors', 'm-2.safetensors'], 16)).toBe(
      [
        '{',
        '  "metadata": {',
        '    "total_size": 16',
        '  },',
        '  "weight_map": {',
        '    "0": "m-2.safetensors",',
        '    "__proto__": "m-2.safetensors",',
        '    "w": "m-1.safetensors",',
        '    "\\u00e9\\ud83d\\ude00": "m-1.safetensors"',
        '  }',
        '}',
        '',
      ].join('\n'),
    );
  });
});
