/** Archives beyond 4 GB: five gigabytes of zeros are summed, so this is slow. */
import { expect, it } from 'vitest';
import type { ByteSource } from '../../src/core/source.ts';
import { openZip } from '../../src/formats/zip.ts';
import { zipChunks } from '../../src/formats/zip-writer.ts';

const context = { label: 'x', code: 'checkpoint/invalid' } as const;
const text = (value: string) => Buffer.from(value);

/** A source that keeps everything but long runs of zeros. */
class SparseZeros implements ByteSource {
  size = 0;
  readonly path = undefined;
  readonly #parts: { at: number; bytes: Uint8Array }[] = [];
  append(bytes: Uint8Array): void {
    if (bytes.length < 2 ** 26) this.#parts.push({ at: this.size, bytes: Uint8Array.from(bytes) });
    this.size += bytes.length;
  }
  read(offset: number, length: number): Uint8Array {
    const target = new Uint8Array(length);
    this.readInto(target, offset);
    return target;
  }
  readInto(target: Uint8Array, offset: number): void {
    target.fill(0);
    for (const { at, bytes } of this.#parts) {
      const from = Math.max(at, offset);
      const to = Math.min(at + bytes.length, offset + target.length);
      if (from < to) target.set(bytes.subarray(from - at, to - at), from - offset);
    }
  }
}

it('uses ZIP64 records beyond 4 GB, and reads them', () => {
  const big = 5 * 2 ** 30;
  const chunk = new Uint8Array(2 ** 26);
  const contents = [
    { name: 'big', size: big, chunks: () => Array.from({ length: big / chunk.length }, () => chunk) },
    { name: 'after', size: 4, chunks: () => [text('tail')] },
  ];
  const archive = new SparseZeros();
  for (const part of zipChunks(contents)) archive.append(part);
  const { entries } = openZip(archive, context);
  expect([...entries.values()].map(({ name, size }) => [name, size])).toEqual([
    ['big', big],
    ['after', 4],
  ]);
  expect(text('tail').equals(entries.get('after')!.data.read(0, 4))).toBe(true);
});
