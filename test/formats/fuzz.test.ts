/** Damaged files: whatever is cut off or flipped, only an OrthoError comes out, and every tensor that opens can be read. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { BytesSource, chunksOf } from '../../src/core/source.ts';
import { float32Tensor, int64Tensor } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import { readNpy, writeNpy } from '../../src/formats/npy.ts';
import { writeNpz } from '../../src/formats/npz.ts';
import { fileWith } from '../support/torch-files.ts';

const stored = (name: string): Uint8Array =>
  readFileSync(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));

const onlyOrthoErrors = (action: () => void): void => {
  try {
    action();
  } catch (error) {
    if (!(error instanceof OrthoError) || error.code === 'internal/bug') throw error;
  }
};

const openAndRead = (bytes: Uint8Array): void =>
  onlyOrthoErrors(() => {
    const file = openWeights(fileWith(bytes));
    try {
      for (const { tensors } of file.stateDicts) {
        for (const { data } of tensors.values()) for (const _ of chunksOf(data));
      }
      file.checkIntegrity?.();
    } finally {
      file.close();
    }
  });

const npz = Buffer.concat(
  writeNpz(
    new Map([
      ['a', float32Tensor([2, 2], [1, 2, 3, 4])],
      ['b', int64Tensor([], [7])],
    ]),
  ),
);

const files: [string, Uint8Array][] = [
  ...['t2.sd.zip.pth', 't2.sd.legacy.pth', 't2.train_namespace.zip.pth.tar', 't2.wholemodel.zip.pth'].map(
    (name): [string, Uint8Array] => [name, stored(name)],
  ),
  ['dtypes_layouts.legacy.pth', stored('dtypes_layouts.legacy.pth')],
  ['dtypes_new.safetensors', stored('dtypes_new.safetensors')],
  ['arrays.npz', npz],
];

describe.each(files)('%s', (_, bytes) => {
  it('cut off anywhere', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length - 1 }), (length) =>
        openAndRead(bytes.subarray(0, length)),
      ),
      { numRuns: 60 },
    );
  });
  it('with bytes changed', () => {
    const changes = fc.array(
      fc.record({
        at: fc.integer({ min: 0, max: bytes.length - 1 }),
        value: fc.integer({ min: 0, max: 255 }),
      }),
      { minLength: 1, maxLength: 8 },
    );
    fc.assert(
      fc.property(changes, (list) => {
        const damaged = Uint8Array.from(bytes);
        for (const { at, value } of list) damaged[at] = value;
        openAndRead(damaged);
      }),
      { numRuns: 150 },
    );
  });
  it('with lengths blown up', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: bytes.length - 8 }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (at, value) => {
          const damaged = Buffer.from(bytes);
          damaged.writeBigUInt64LE(value, at);
          openAndRead(damaged);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('random content behind a real beginning', () => {
  it.each([
    ['a legacy checkpoint', stored('t2.sd.legacy.pth').subarray(0, 15)],
    ['a safetensors header', Buffer.from('\x10\0\0\0\0\0\0\0{"a":', 'latin1')],
    ['an npy header', Buffer.from('\x93NUMPY\x01\0', 'latin1')],
    ['a zip entry', stored('t2.sd.zip.pth').subarray(0, 60)],
    ['nothing', new Uint8Array(0)],
  ])('%s', (_, head) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (tail) => openAndRead(Buffer.concat([head, tail]))),
      { numRuns: 80 },
    );
  });
});

it('npy: damaged arrays', () => {
  const bytes = Buffer.concat(
    writeNpy(
      float32Tensor(
        [3, 5],
        Array.from({ length: 15 }, (_, i) => i),
      ),
    ),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 127 }),
      fc.integer({ min: 0, max: 255 }),
      fc.nat(bytes.length),
      (at, value, length) => {
        const damaged = Uint8Array.from(bytes.subarray(0, length));
        if (at < damaged.length) damaged[at] = value;
        onlyOrthoErrors(() => void readNpy(new BytesSource(damaged)).data.read(0, 1));
      },
    ),
    { numRuns: 500 },
  );
});
