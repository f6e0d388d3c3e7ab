/**
 * Damage inside a container, with the container made sound again: a mutated pickle in an archive whose checksums and
 * sizes are right, a mutated JSON header with its length set. Without this most damage dies at the first checksum.
 */
import { OrthoError } from '../../src/core/errors.ts';
import type { Rng } from '../../src/core/rng.ts';
import { BytesSource } from '../../src/core/source.ts';
import { openZip } from '../../src/formats/zip.ts';
import { type ZipContent, zipChunks } from '../../src/formats/zip-writer.ts';
import { type Mutation, mutate } from './mutations.ts';
import { mutatePickle } from './pickles.ts';

/** Bombs stay packed. */
const MOST_BYTES = 2 << 20;

const entriesOf = (bytes: Uint8Array): { name: string; bytes: Uint8Array }[] | undefined => {
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) return undefined;
  try {
    const { entries } = openZip(new BytesSource(bytes), { label: 'seed', code: 'checkpoint/invalid' });
    const list = [...entries.values()];
    if (list.reduce((sum, { size }) => sum + size, 0) > MOST_BYTES) return undefined;
    return list.map(({ name, data }) => ({ name, bytes: data.read(0, data.size) }));
  } catch (error) {
    if (error instanceof OrthoError) return undefined;
    throw error;
  }
};

const zipOf = (entries: readonly { name: string; bytes: Uint8Array }[], alignment: number): Uint8Array => {
  const contents = entries.map(
    ({ name, bytes }): ZipContent => ({ name, size: bytes.length, chunks: () => [bytes] }),
  );
  return Buffer.concat([...zipChunks(contents, alignment)]);
};

const BAD_NAMES = [
  '../data.pkl',
  '/etc/passwd',
  'archive//data/0',
  'archive/data/../0',
  '',
  'a\0b',
  'é'.repeat(300),
];

const mutateZip = (
  entries: { name: string; bytes: Uint8Array }[],
  rng: Rng,
  other: Uint8Array,
): Uint8Array => {
  const changed = entries.map((entry) => ({ ...entry }));
  for (let i = 1 + rng.integer(2); i > 0 && changed.length > 0; i--) {
    // Programs (pickles, JSON) are small and come early in interest; weights only matter by their length.
    const programs = changed.filter(({ name }) => /\.(pkl|json|pt|py)$/.test(name));
    const pool = programs.length > 0 && rng.next() < 0.75 ? programs : changed;
    const entry = pool[rng.integer(pool.length)]!;
    const action = rng.next();
    if (action < 0.5 && entry.name.endsWith('.pkl')) entry.bytes = mutatePickle(entry.bytes, rng, other);
    else if (action < 0.8) entry.bytes = mutate(entry.bytes, rng, other);
    else if (action < 0.85) changed.splice(changed.indexOf(entry), 1);
    else if (action < 0.9) changed.push({ ...entry });
    else if (action < 0.95) entry.name = BAD_NAMES[rng.integer(BAD_NAMES.length)]!;
    else entry.bytes = other.slice();
  }
  return zipOf(changed, rng.next() < 0.5 ? 1 : 64);
};

const isSafetensors = (bytes: Uint8Array): boolean => bytes.length > 9 && bytes[8] === 0x7b;

const mutateSafetensors: Mutation = (bytes, rng, other) => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = Number(view.readBigUInt64LE(0));
  if (length > bytes.length - 8) return mutate(bytes, rng, other);
  const header = mutate(bytes.subarray(8, 8 + length), rng, other);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([prefix, header, bytes.subarray(8 + length)]);
};

const isTar = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.subarray(257, 262)).toString('latin1') === 'ustar';

/** Mutates anything, then makes the checksums of the tar headers right: the octal sum of a header with blanks for it. */
const mutateTar: Mutation = (bytes, rng, other) => {
  const damaged = Buffer.from(mutate(bytes, rng, other));
  for (let at = 0; at + 512 <= damaged.length; at += 512) {
    const header = damaged.subarray(at, at + 512);
    if (!isTar(header)) continue;
    header.fill(' ', 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  }
  return damaged;
};

const isPickle = (bytes: Uint8Array): boolean => bytes[0] === 0x80 && bytes[1]! <= 5;

/** Damages the inside of a file whose container is known, and anything else as plain bytes. */
export const mutateInside: Mutation = (bytes, rng, other) => {
  const entries = entriesOf(bytes);
  if (entries !== undefined) return mutateZip(entries, rng, other);
  if (isSafetensors(bytes)) return mutateSafetensors(bytes, rng, other);
  if (isTar(bytes)) return mutateTar(bytes, rng, other);
  if (isPickle(bytes)) return mutatePickle(bytes, rng, other);
  return mutate(bytes, rng, other);
};
