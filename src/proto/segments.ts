/** Segments (bytes at hand or in a source) as a length, a stream of bounded chunks, or one block. */
import type { ByteSource } from '../core/source.ts';
import type { Segment } from './encode.ts';

/** Largest piece that a sink gets at once. */
export const CHUNK = 4 << 20;

const sizeOf = (segment: Segment): number => (segment instanceof Uint8Array ? segment.length : segment.size);

/** Total bytes of the segments. */
export const segmentsLength = (segments: readonly Segment[]): number =>
  segments.reduce((total, segment) => total + sizeOf(segment), 0);

/**
 * Feeds all bytes to `write` in pieces of at most 4 MB. Small segments are gathered, large ones read piece by piece
 * through one buffer: a piece is only valid until `write` returns.
 */
export const writeSegments = (segments: readonly Segment[], write: (chunk: Uint8Array) => void): void => {
  const buffer = new Uint8Array(Math.min(CHUNK, Math.max(1, segmentsLength(segments))));
  let filled = 0;
  const flush = (): void => {
    if (filled > 0) write(buffer.subarray(0, filled));
    filled = 0;
  };
  for (const segment of segments) {
    const size = sizeOf(segment);
    for (let at = 0; at < size; ) {
      const count = Math.min(size - at, buffer.length - filled);
      const target = buffer.subarray(filled, filled + count);
      if (segment instanceof Uint8Array) target.set(segment.subarray(at, at + count));
      else (segment as ByteSource).readInto(target, at);
      filled += count;
      at += count;
      if (filled === buffer.length) flush();
    }
  }
  flush();
};

/** All bytes in one block: for small models and tests. */
export const joinSegments = (segments: readonly Segment[]): Uint8Array => {
  const bytes = new Uint8Array(segmentsLength(segments));
  let at = 0;
  writeSegments(segments, (chunk) => {
    bytes.set(chunk, at);
    at += chunk.length;
  });
  return bytes;
};
