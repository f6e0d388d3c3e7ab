import { describe, expect, it } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { decoderOf } from '../../src/core/element-reader.ts';
import { decodeTails } from '../../src/core/wide-integers.ts';

const EDGES = [0n, 1n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 62n + 12345n, 2n ** 63n - 1n];

const pairOf = (dtype: DType, value: bigint): [number, number] => {
  const bytes = new Uint8Array(BigInt64Array.of(BigInt.asIntN(64, value)).buffer);
  const heads = new Float64Array(1);
  const tails = new Float64Array(1);
  decoderOf(dtype)(bytes, heads);
  decodeTails(dtype, bytes, heads, tails);
  return [heads[0]!, tails[0]!];
};

describe('decodeTails', () => {
  it.each([...EDGES, ...EDGES.map((value) => -value - 1n)])('int64 %d is head + tail', (value) => {
    const [head, tail] = pairOf('int64', value);
    expect(head).toBe(Number(value));
    expect(BigInt(head) + BigInt(tail)).toBe(value);
  });
  it.each([...EDGES, 2n ** 63n + 1n, 2n ** 64n - 1n])('uint64 %d is head + tail', (value) => {
    const [head, tail] = pairOf('uint64', value);
    expect(BigInt(head) + BigInt(tail)).toBe(value);
  });
  it('other types have none', () => {
    const tails = Float64Array.of(7, 7);
    decodeTails('int32', new Uint8Array(8), new Float64Array(2), tails);
    expect([...tails]).toEqual([0, 0]);
  });
});
