import { describe, expect, it } from 'vitest';
import { InterleavedSource } from '../../src/core/interleaved-source.ts';
import { BytesSource } from '../../src/core/source.ts';

const bytes = (length: number, first: number) =>
  new BytesSource(Uint8Array.from({ length }, (_, i) => first + i));

describe('InterleavedSource', () => {
  it('takes a block of each in turn', () => {
    const source = new InterleavedSource([bytes(4, 0), bytes(2, 10), bytes(6, 20)], 2);
    expect([...source.read(0, source.size)]).toEqual([0, 1, 10, 20, 21, 22, 2, 3, 11, 23, 24, 25]);
  });
  it('any range, of long and of short rounds', () => {
    for (const scale of [1, 20_000]) {
      const [a, b] = [bytes(6 * scale, 0), bytes(3 * scale, 7)];
      const source = new InterleavedSource([a, b], 3);
      const whole = source.read(0, source.size);
      const joined = [0, 1, 2].flatMap((i) => [a.read(i * 2 * scale, 2 * scale), b.read(i * scale, scale)]);
      expect(Buffer.concat(joined).equals(whole)).toBe(true);
      for (let i = 0; i < 50; i++) {
        const from = Math.floor((i / 50) * source.size);
        const length = Math.min(source.size - from, 1 + ((i * 7919) % (4 * scale)));
        expect(Buffer.from(source.read(from, length)).equals(whole.subarray(from, from + length))).toBe(true);
      }
    }
  });
  it('nothing, and what lies outside', () => {
    expect(new InterleavedSource([bytes(0, 0)], 0).size).toBe(0);
    const source = new InterleavedSource([bytes(2, 0), bytes(2, 5)], 1);
    expect([...source.read(4, 0)]).toEqual([]);
    expect(() => source.read(3, 2)).toThrow(expect.objectContaining({ code: 'file/truncated' }));
  });
});
