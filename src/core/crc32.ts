/**
 * CRC-32 (IEEE 802.3, reflected polynomial 0xEDB88320), as zip archives carry it.
 */
import zlib from 'node:zlib';

let table: Uint32Array | undefined;

const makeTable = (): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });

/** By table, a byte a step: for Node versions without zlib.crc32 (before 20.15). */
export const tableCrc32 = (bytes: Uint8Array, previous = 0): number => {
  table ??= makeTable();
  let crc = ~previous;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
};

/** The CRC-32 of these bytes, or of earlier bytes with CRC `previous` followed by these. */
export const crc32: (bytes: Uint8Array, previous?: number) => number =
  typeof zlib.crc32 === 'function' ? (bytes, previous = 0) => zlib.crc32(bytes, previous) : tableCrc32;
