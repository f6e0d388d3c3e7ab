import { renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FilePool, FileSource } from '../../src/core/source.ts';
import { canCountDescriptors, openIn } from '../support/descriptors.ts';
import { tempFolder } from '../support/torch-files.ts';

const files = (count: number): string[] => {
  const folder = tempFolder();
  return Array.from({ length: count }, (_, i) => {
    const path = join(folder, `${i}`);
    writeFileSync(path, Uint8Array.of(i, i + 1));
    return path;
  });
};
describe('a pool of files', () => {
  it('keeps a few open, and opens the others again', () => {
    const paths = files(20);
    const open = (): number => (canCountDescriptors ? openIn(dirname(paths[0]!)) : pool.size);
    const pool = new FilePool(3);
    const sources = paths.map((path) => new FileSource(path, pool));
    expect(pool.size).toBe(3);
    for (const round of [0, 1]) {
      sources.forEach((source, i) => {
        expect([...source.read(0, 2)]).toEqual([i, i + 1]);
      });
      expect([round, pool.size]).toEqual([round, 3]);
    }
    expect(open()).toBe(3);
    for (const source of sources) source.close();
    expect(pool.size).toBe(0);
    expect(open()).toBe(0);
  });
  it('refuses a file that was replaced while it was closed', () => {
    const [path, other, fresh] = files(3) as [string, string, string];
    const pool = new FilePool(1);
    const source = new FileSource(path, pool);
    const second = new FileSource(other, pool);
    renameSync(fresh, path);
    expect(() => source.read(0, 1)).toThrow(expect.objectContaining({ code: 'file/truncated' }));
    second.close();
    expect(pool.size).toBe(0);
  });
  it('does not open a closed file again', () => {
    const pool = new FilePool();
    const source = new FileSource(files(1)[0]!, pool);
    source.close();
    expect(() => source.read(0, 1)).toThrow();
    expect(pool.size).toBe(0);
  });
});
