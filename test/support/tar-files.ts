/** Makes tar archives, right and wrong ones, and PyTorch's old container from its parts. */
import { int, ops, pickled, str, tuple } from '../fuzz/builders.ts';

export interface TarEntry {
  readonly name: string;
  readonly data: Uint8Array;
  /** What the header says of the size; what is there by default. */
  readonly size?: number | string;
  readonly kind?: string;
  readonly checksum?: number;
}

const header = ({ name, data, size = data.length, kind = '0', checksum }: TarEntry): Buffer => {
  const bytes = Buffer.alloc(512);
  bytes.write(name, 0, 100, 'latin1');
  bytes.write('0000644\x000000000\x000000000\0', 100, 'latin1');
  bytes.write(typeof size === 'string' ? size : `${size.toString(8).padStart(11, '0')}\0`, 124, 12, 'latin1');
  bytes.write(`00000000000\0        ${kind}`, 136, 'latin1');
  bytes.write('ustar\x0000', 257, 'latin1');
  const sum = checksum ?? bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return bytes;
};

export const tarred = (entries: readonly TarEntry[]): Buffer =>
  Buffer.concat([
    ...entries.flatMap((entry) => [
      header(entry),
      entry.data,
      Buffer.alloc((512 - (entry.data.length % 512)) % 512),
    ]),
    Buffer.alloc(1024),
  ]);

export const int64s = (...values: (number | bigint)[]): Buffer =>
  Buffer.from(BigInt64Array.from(values, (value) => BigInt(value)).buffer);

/** One storage of the member `storages`. */
export const tarStorage = (key: number, type: string, elements: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([
    pickled(tuple(int(key), str('cpu'), ops(`c${type.replace(/\.(?=\w+$)/, '\n')}\n`))),
    int64s(elements),
    bytes,
  ]);

/** One tensor of the member `tensors`; the storage key may be any pickled value. */
export const tarTensor = (
  key: number,
  storage: Uint8Array,
  type: string,
  sizes: readonly (number | bigint)[],
  strides: readonly (number | bigint)[],
  offset: number | bigint = 0,
  rank = sizes.length,
): Buffer => {
  const ranks = Buffer.alloc(8);
  ranks.writeInt32LE(rank);
  return Buffer.concat([
    pickled(tuple(int(key), storage, ops(`c${type.replace(/\.(?=\w+$)/, '\n')}\n`))),
    ranks,
    int64s(...sizes, ...strides, offset),
  ]);
};

const counted = (parts: readonly Uint8Array[], count = parts.length): Buffer =>
  Buffer.concat([pickled(int(count)), ...parts]);

export interface TarParts {
  readonly storages: readonly Uint8Array[];
  readonly storageCount?: number;
  readonly views?: Uint8Array;
  readonly tensors: readonly Uint8Array[];
  readonly tensorCount?: number;
  readonly object: Uint8Array;
}

/** The three members of a checkpoint. */
export const tarParts = (parts: TarParts): TarEntry[] => [
  {
    name: 'storages',
    data: Buffer.concat([counted(parts.storages, parts.storageCount), pickled(parts.views ?? ops(']'))]),
  },
  { name: 'tensors', data: counted(parts.tensors, parts.tensorCount) },
  { name: 'pickle', data: pickled(parts.object) },
];

/** A persistent id: the key of a tensor or storage. */
export const byKey = (key: number): Buffer => ops(int(key), 'Q');
