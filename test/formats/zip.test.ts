import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { BytesSource } from '../../src/core/source.ts';
import { hasRightChecksum, openZip } from '../../src/formats/zip.ts';
import { zipChunks } from '../../src/formats/zip-writer.ts';
import { zipped } from '../support/torch-files.ts';

const context = { label: 'x', code: 'checkpoint/invalid' } as const;
const open = (bytes: Uint8Array) => openZip(new BytesSource(bytes), context);
const errorOf = (bytes: Uint8Array): OrthoError => {
  try {
    open(bytes);
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('it was opened');
};
const text = (value: string) => Buffer.from(value);
const sound = zipped({ 'a/one': text('first'), 'a/two': text('second') });
const directoryAt = (bytes: Buffer, nth = 0): number => {
  let at = -1;
  for (let i = 0; i <= nth; i++) at = bytes.indexOf(Buffer.from('PK\x01\x02', 'latin1'), at + 1);
  return at;
};
const changed = (change: (bytes: Buffer) => void): Buffer => {
  const bytes = Buffer.from(sound);
  change(bytes);
  return bytes;
};

describe('reading', () => {
  it('gives entries in order, in place', () => {
    const { entries } = open(sound);
    expect([...entries.keys()]).toEqual(['a/one', 'a/two']);
    const two = entries.get('a/two')!;
    expect(text('second').equals(two.data.read(0, two.size))).toBe(true);
    expect([...entries.values()].every(hasRightChecksum)).toBe(true);
  });
  it('sees content that does not have its checksum', () => {
    const bytes = changed((copy) => copy.write('F', copy.indexOf('first')));
    expect([...open(bytes).entries.values()].map(hasRightChecksum)).toEqual([false, true]);
  });
  it.each<[string, Buffer, string]>([
    ['no directory', sound.subarray(0, 60), 'directory'],
    ['a name with ..', zipped({ 'a/../../x': text('') }), 'relative path'],
    ['an absolute name', zipped({ '/x': text('') }), 'absolute path'],
    [
      'two entries of one name',
      changed((b) => b.write('one', directoryAt(b, 1) + 46 + 2)),
      'two entries are called',
    ],
    [
      'entries that overlap',
      changed((b) => b.writeUInt32LE(0, directoryAt(b, 1) + 42)),
      'names another entry',
    ],
    ['an entry beyond the end', changed((b) => b.writeUInt32LE(1e6, directoryAt(b) + 42)), 'beyond the end'],
    [
      'a size beyond the end',
      changed((b) => {
        b.writeUInt32LE(1e6, directoryAt(b, 1) + 20);
        b.writeUInt32LE(1e6, directoryAt(b, 1) + 24);
      }),
      'ends at byte',
    ],
    [
      'a size that reaches into the next entry',
      changed((b) => {
        b.writeUInt32LE(60, directoryAt(b) + 20);
        b.writeUInt32LE(60, directoryAt(b) + 24);
      }),
      'overlap',
    ],
    ['stored sizes that disagree', changed((b) => b.writeUInt32LE(4, directoryAt(b) + 20)), 'size mismatch'],
    ['another compression in the local header', changed((b) => b.writeUInt16LE(8, 8)), 'compression'],
    [
      'more entries than there are',
      changed((b) => {
        b.writeUInt16LE(9, b.length - 22 + 10);
        b.writeBigUInt64LE(9n, b.length - 22 - 76 + 32);
      }),
      'signature',
    ],
  ])('refuses %s', (_, bytes, words) => {
    const error = errorOf(bytes);
    expect(error.code).toBe('checkpoint/invalid');
    expect(error.message).toContain(words);
  });
  it('refuses encryption and unknown compression as unsupported', () => {
    expect(errorOf(changed((b) => b.writeUInt16LE(0x809, directoryAt(b) + 8))).code).toMatch(/checkpoint/);
    const bytes = changed((b) => {
      b.writeUInt16LE(14, 8);
      b.writeUInt16LE(14, directoryAt(b) + 10);
    });
    expect(errorOf(bytes).code).toBe('checkpoint/unsupported');
  });
  it('refuses a ratio that deflate cannot reach', () => {
    const bytes = changed((b) => {
      b.writeUInt16LE(8, 8);
      b.writeUInt16LE(8, directoryAt(b) + 10);
      b.writeUInt32LE(1e6, directoryAt(b) + 24);
    });
    expect(errorOf(bytes).code).toBe('file/limit');
  });
});

describe('writing', () => {
  it('aligns content and pads as PyTorch does', () => {
    const contents = ['data', 'a longer name', ''].map((body, i) => ({
      name: `archive/${i}${'x'.repeat(i * 17)}`,
      size: body.length,
      chunks: () => [text(body)],
    }));
    const bytes = Buffer.concat([...zipChunks(contents, 64)].map((chunk) => Buffer.from(chunk)));
    for (const { name } of contents) {
      const header = bytes.indexOf(name) - 30;
      const start = header + 30 + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28);
      expect(start % 64).toBe(0);
      expect(bytes.toString('latin1', header + 30 + name.length, header + 32 + name.length)).toBe('FB');
    }
    expect(open(bytes).entries.size).toBe(3);
  });
  it('says when content has another length than announced', () => {
    const wrong = { name: 'a', size: 3, chunks: () => [text('no')] };
    expect(() => [...zipChunks([wrong])]).toThrow(expect.objectContaining({ code: 'internal/bug' }));
  });
});
