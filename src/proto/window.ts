/**
 * A cursor over a byte source that holds one window of it at a time: protobufjs's Reader on the window, positions and
 * limits in bytes of the whole source. Skipped bytes are never read.
 */
import { Reader } from 'protobufjs/minimal.js';
import { type ByteSource, BytesSource, SliceSource } from '../core/source.ts';

const WINDOW = 64 * 1024;
/** Byte strings from this size on stay in the source. */
const LAZY = 4096;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A range of a source as a source of its own: a slice when it is large, a copy otherwise. */
export const sliceOf = (source: ByteSource, offset: number, length: number): ByteSource =>
  length < LAZY
    ? new BytesSource(Uint8Array.from(source.read(offset, length)), source.path)
    : new SliceSource(source, offset, length);

export class WindowReader extends Reader {
  readonly source: ByteSource;
  /** Offset of the window in the source. */
  #base = 0;
  readonly #windowSize: number;
  /** The varint read last: low and high 32 bits, unsigned. */
  low = 0;
  high = 0;

  constructor(source: ByteSource) {
    super(new Uint8Array(0));
    this.source = source;
    this.#windowSize = source instanceof BytesSource ? source.size : WINDOW;
  }

  /** The position in the source. */
  get position(): number {
    return this.#base + this.pos;
  }

  /** Makes the next `wanted` bytes readable, or all that are left when there are fewer. */
  fill(wanted: number): void {
    if (this.len - this.pos >= wanted) return;
    const position = this.position;
    const left = this.source.size - position;
    if (this.len - this.pos === left) return;
    const length = Math.min(Math.max(wanted, this.#windowSize), left);
    this.buf = this.source.read(position, length);
    this.view = null;
    this.#base = position;
    this.pos = 0;
    this.len = length;
  }

  /** Moves on without reading. */
  advance(bytes: number): void {
    if (this.pos + bytes <= this.len) {
      this.pos += bytes;
      return;
    }
    this.#base = this.position + bytes;
    this.buf = this.buf.subarray(0, 0);
    this.view = null;
    this.pos = 0;
    this.len = 0;
  }

  /**
   * Reads a varint of up to 10 bytes into `low` and `high`; bits beyond the 64th are dropped, as protobuf does.
   * Returns its length, 0 when the source ends first, −1 when it is longer than 10 bytes. Moves on success only.
   */
  varint(): number {
    if (this.len - this.pos < 10) this.fill(10);
    const { buf, len } = this;
    let at = this.pos;
    if (at < len && (buf[at] as number) < 128) {
      this.low = buf[at] as number;
      this.high = 0;
      this.pos = at + 1;
      return 1;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7, at++) {
      if (at >= len) return 0;
      const byte = buf[at] as number;
      const bits = byte & 127;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else high |= bits << 31;
      if (byte < 128) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        const length = at + 1 - this.pos;
        this.pos = at + 1;
        return length;
      }
    }
    return -1;
  }

  /** The varint read last as a number; exact below 2^53, Infinity beyond. */
  get unsigned(): number {
    return this.high < 0x200000 ? this.high * 4294967296 + this.low : Infinity;
  }

  get unsignedBigInt(): bigint {
    return this.high === 0 ? BigInt(this.low) : (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  get signedBigInt(): bigint {
    return this.high === 0 ? BigInt(this.low) : BigInt.asIntN(64, this.unsignedBigInt);
  }

  /** The next `length` bytes, copied. The caller has checked that they exist. */
  copy(length: number): Uint8Array {
    if (length > WINDOW) {
      const bytes = new Uint8Array(length);
      this.source.readInto(bytes, this.position);
      this.advance(length);
      return bytes;
    }
    this.fill(length);
    const bytes = new Uint8Array(length);
    bytes.set(this.buf.subarray(this.pos, this.pos + length));
    this.pos += length;
    return bytes;
  }

  /** The next `length` bytes as a source: a slice of this one when there are many, a copy otherwise. */
  slice(length: number): ByteSource {
    if (length < LAZY) return new BytesSource(this.copy(length), this.source.path);
    const slice = new SliceSource(this.source, this.position, length);
    this.advance(length);
    return slice;
  }

  /** Text of `length` bytes, or undefined when they are not UTF-8. */
  text(length: number): string | undefined {
    this.fill(length);
    const start = this.pos;
    const end = start + length;
    this.pos = end;
    const { buf } = this;
    if (length < 24) {
      let text = '';
      let at = start;
      for (; at < end && (buf[at] as number) < 128; at++) text += String.fromCharCode(buf[at] as number);
      if (at === end) return text;
    }
    try {
      return utf8.decode(buf.subarray(start, end));
    } catch {
      return undefined;
    }
  }
}
