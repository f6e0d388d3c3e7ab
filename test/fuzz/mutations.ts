/**
 * Damage for any kind of file: cut, flipped, overwritten, spliced, repeated, removed, and lengths made absurd. Pure
 * functions of the generator's numbers, so a seed and a case number give the same file again.
 */
import type { Rng } from '../../src/core/rng.ts';

/** Makes a damaged copy; `other` is another file to take pieces from. The input is never written to. */
export type Mutation = (bytes: Uint8Array, rng: Rng, other: Uint8Array) => Uint8Array;

/** Values at which lengths, counts and offsets go wrong. */
const EDGES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x20000000000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xffffffffffffffffn,
];

const spanOf = (length: number, rng: Rng): readonly [number, number] => {
  const from = rng.integer(length + 1);
  // Short spans hit fields, long ones hit structure.
  const most = rng.next() < 0.7 ? 16 : length;
  return [from, Math.min(length, from + 1 + rng.integer(Math.max(1, most)))];
};

const concat = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

const truncate: Mutation = (bytes, rng) => bytes.slice(0, rng.integer(bytes.length + 1));

const flip: Mutation = (bytes, rng) => {
  const damaged = new Uint8Array(bytes);
  for (let i = 1 + rng.integer(8); i > 0 && damaged.length > 0; i--) {
    damaged[rng.integer(damaged.length)]! ^= 1 << rng.integer(8);
  }
  return damaged;
};

const overwrite: Mutation = (bytes, rng) => {
  const damaged = new Uint8Array(bytes);
  for (let i = 1 + rng.integer(8); i > 0 && damaged.length > 0; i--) {
    damaged[rng.integer(damaged.length)] = rng.integer(256);
  }
  return damaged;
};

/** Writes an edge value as a little- or big-endian integer of 1, 2, 4 or 8 bytes. */
const oversize: Mutation = (bytes, rng) => {
  const damaged = new Uint8Array(bytes);
  const width = [1, 2, 4, 8][rng.integer(4)]!;
  if (damaged.length < width) return damaged;
  const field = Buffer.alloc(8);
  field.writeBigUInt64LE(EDGES[rng.integer(EDGES.length)]!);
  const value = field.subarray(0, width);
  damaged.set(rng.next() < 0.8 ? value : value.toReversed(), rng.integer(damaged.length - width + 1));
  return damaged;
};

const splice: Mutation = (bytes, rng, other) => {
  const [from, to] = spanOf(bytes.length, rng);
  const [start, end] = spanOf(other.length, rng);
  return concat(bytes.subarray(0, from), other.subarray(start, end), bytes.subarray(to));
};

const repeat: Mutation = (bytes, rng) => {
  const [from, to] = spanOf(bytes.length, rng);
  const times = Math.min(1 + rng.integer(200), Math.ceil(200_000 / (to - from + 1)));
  return concat(
    bytes.subarray(0, to),
    ...Array<Uint8Array>(times).fill(bytes.subarray(from, to)),
    bytes.subarray(to),
  );
};

const remove: Mutation = (bytes, rng) => {
  const [from, to] = spanOf(bytes.length, rng);
  return concat(bytes.subarray(0, from), bytes.subarray(to));
};

/** Replaces a run of decimal digits, as JSON headers, names and shapes have them. */
const renumber: Mutation = (bytes, rng) => {
  const text = Buffer.from(bytes).toString('latin1');
  const runs = [...text.slice(0, 1 << 16).matchAll(/\d+/g)];
  const run = runs[rng.integer(runs.length)];
  if (run === undefined) return bytes.slice();
  const choices = [
    '0',
    '-1',
    '1e999',
    '0.5',
    'null',
    '"1"',
    '[]',
    '{}',
    '9007199254740993',
    '18446744073709551616',
    String(rng.integer(1e6)),
    '9'.repeat(400),
  ];
  const value = choices[rng.integer(choices.length)]!;
  return Buffer.from(text.slice(0, run.index) + value + text.slice(run.index + run[0].length), 'latin1');
};

export const MUTATIONS = {
  truncate,
  flip,
  overwrite,
  oversize,
  splice,
  repeat,
  remove,
  renumber,
} as const satisfies Record<string, Mutation>;

const all: readonly Mutation[] = Object.values(MUTATIONS);

/** One mutation, or three, one after the other. */
export const mutate: Mutation = (bytes, rng, other) => {
  let damaged = bytes;
  for (let i = rng.next() < 0.6 ? 1 : 3; i > 0; i--)
    damaged = all[rng.integer(all.length)]!(damaged, rng, other);
  return damaged;
};
