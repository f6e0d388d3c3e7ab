/**
 * Why a known field is missing although its number occurs: it came with a wire type that does not fit, and protobuf
 * says that makes it an unknown field.
 */
import type { ByteSource } from '../core/source.ts';
import type { Message } from '../proto/schema.ts';

/** A missing field is looked for in this many bytes of unknown fields. */
const SEARCHED = 1 << 16;

/** End of the varint at `at`. */
const afterVarint = (bytes: Uint8Array, at: number): number => {
  let end = at;
  while (end < bytes.length && bytes[end]! >= 128) end++;
  return end + 1;
};

const readVarint = (bytes: Uint8Array, at: number): number => {
  let value = 0;
  for (let i = at, scale = 1; i < Math.min(at + 6, bytes.length); i++, scale *= 128) {
    value += (bytes[i]! & 127) * scale;
    if (bytes[i]! < 128) break;
  }
  return value;
};

/** Wire type of the first field with this number in a run of raw fields. */
const wireTypeIn = (run: ByteSource, number: number): number | undefined => {
  const bytes = run.read(0, Math.min(run.size, SEARCHED));
  for (let at = 0; at < bytes.length; ) {
    const tag = readVarint(bytes, at);
    if (Math.floor(tag / 8) === number) return tag % 8;
    at = afterVarint(bytes, at);
    const wireType = tag % 8;
    if (wireType === 0) at = afterVarint(bytes, at);
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) at = afterVarint(bytes, at) + readVarint(bytes, at);
    else return undefined;
  }
  return undefined;
};

/** ` (field 7 has wire type 0, expected 2)` when that is why the field is missing, else ''. */
export const misfit = (message: Message, number: number, expected: number): string => {
  for (const run of message.unknown ?? []) {
    const found = wireTypeIn(run, number);
    if (found !== undefined) return ` (field ${number} has wire type ${found}, expected ${expected})`;
  }
  return '';
};
