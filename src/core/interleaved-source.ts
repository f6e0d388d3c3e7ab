/**
 * A byte source that takes turns: one block of the first source, one of the second…, then the next block of the first.
 * This is what concatenating row-major tensors along an axis is: a block is what a part has for one index of the axes
 * before it.
 */
import { type ByteSource, checkRange } from './source.ts';

interface Part {
  readonly source: ByteSource;
  /** Bytes that it gives in each round. */
  readonly block: number;
}

/** Rounds below this many bytes are read many at once. */
const SHORT_ROUND = 32 << 10;

export class InterleavedSource implements ByteSource {
  readonly size: number;
  readonly path: string | undefined;
  readonly #parts: readonly Part[];
  readonly #round: number;

  /** Every source has `rounds` blocks. */
  constructor(sources: readonly ByteSource[], rounds: number) {
    this.#parts = sources.map((source) => ({ source, block: rounds === 0 ? 0 : source.size / rounds }));
    this.#round = this.#parts.reduce((sum, { block }) => sum + block, 0);
    this.size = this.#round * rounds;
    this.path = sources.find(({ path }) => path !== undefined)?.path;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.readInto(bytes, offset);
    return bytes;
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    if (target.length === 0) return;
    if (this.#round >= SHORT_ROUND) this.#readBlocks(target, offset);
    else this.#readRounds(target, offset);
  }

  #readBlocks(target: Uint8Array, offset: number): void {
    const end = offset + target.length;
    for (let round = Math.floor(offset / this.#round); round * this.#round < end; round++) {
      let start = round * this.#round;
      for (const { source, block } of this.#parts) {
        const from = Math.max(offset, start);
        const to = Math.min(end, start + block);
        if (from < to) {
          source.readInto(target.subarray(from - offset, to - offset), round * block + from - start);
        }
        start += block;
      }
    }
  }

  /** Whole rounds are put together beside the target: of each part they are one stretch. */
  #readRounds(target: Uint8Array, offset: number): void {
    const size = this.#round;
    const first = Math.floor(offset / size);
    const rounds = Math.ceil((offset + target.length) / size) - first;
    const whole = new Uint8Array(rounds * size);
    let start = 0;
    for (const { source, block } of this.#parts) {
      if (block === 0) continue;
      const blocks = source.read(first * block, rounds * block);
      for (let round = 0; round < rounds; round++) {
        const at = round * size + start;
        for (let i = 0; i < block; i++) whole[at + i] = blocks[round * block + i]!;
      }
      start += block;
    }
    target.set(whole.subarray(offset - first * size, offset - first * size + target.length));
  }
}
