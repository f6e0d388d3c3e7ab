/**
 * Builders for repeated numeric fields: elements go from varints or fixed-width bytes straight into typed memory,
 * whatever mix of packed and unpacked pieces a file uses.
 */
import { type ByteSource, BytesSource } from '../core/source.ts';

/** Several sources one after the other. */
export class ConcatSource implements ByteSource {
  readonly size: number;
  readonly #parts: readonly ByteSource[];
  readonly #starts: readonly number[];

  constructor(parts: readonly ByteSource[]) {
    const starts: number[] = [];
    let size = 0;
    for (const part of parts) {
      starts.push(size);
      size += part.size;
    }
    this.#parts = parts;
    this.#starts = starts;
    this.size = size;
  }

  get path(): string | undefined {
    return this.#parts[0]?.path;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.readInto(bytes, offset);
    return bytes;
  }

  readInto(target: Uint8Array, offset: number): void {
    let index = this.#partAt(offset);
    let done = 0;
    while (done < target.length) {
      const part = this.#parts[index] as ByteSource;
      const from = offset + done - (this.#starts[index] as number);
      const count = Math.min(part.size - from, target.length - done);
      part.readInto(target.subarray(done, done + count), from);
      done += count;
      index++;
    }
  }

  /** The part that holds byte `offset`: binary search for the last start at or before it. */
  #partAt(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] as number) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Collects varints as 32-bit words: one a value, or a low and a high one. */
export class WordBuilder {
  readonly #type: 'int32' | 'int64' | 'uint64';
  #words: Uint32Array;
  #length = 0;

  constructor(type: 'int32' | 'int64' | 'uint64') {
    this.#type = type;
    this.#words = new Uint32Array(0);
  }

  /** Makes room for exactly `values` more (or more than that, where pieces keep coming). */
  reserve(values: number): void {
    const needed = this.#length + values * (this.#type === 'int32' ? 1 : 2);
    if (needed <= this.#words.length) return;
    const grown = new Uint32Array(this.#length === 0 ? needed : Math.max(needed, this.#words.length * 2));
    grown.set(this.#words.subarray(0, this.#length));
    this.#words = grown;
  }

  push(low: number, high: number): void {
    const { length } = this.#words;
    if (this.#length + 2 > length) {
      if (this.#type !== 'int32' || this.#length === length) this.reserve(1);
    }
    this.#words[this.#length++] = low;
    if (this.#type !== 'int32') this.#words[this.#length++] = high;
  }

  finish(): Int32Array | BigInt64Array | BigUint64Array {
    const words = this.#length === this.#words.length ? this.#words : this.#words.slice(0, this.#length);
    const buffer = words.buffer as ArrayBuffer;
    if (this.#type === 'int32') return new Int32Array(buffer);
    return this.#type === 'int64' ? new BigInt64Array(buffer) : new BigUint64Array(buffer);
  }
}

/** Collects fixed-width elements as their bytes: whole packed pieces stay where they are. */
export class FixedBuilder {
  readonly #parts: ByteSource[] = [];
  #tail = new Uint8Array(0);
  #tailLength = 0;

  /** A packed piece. */
  piece(bytes: ByteSource): void {
    if (bytes.size === 0) return;
    this.#closeTail();
    this.#parts.push(bytes);
  }

  /** A single element. */
  element(bytes: Uint8Array): void {
    if (this.#tailLength + bytes.length > this.#tail.length) {
      const grown = new Uint8Array(Math.max(16, this.#tail.length * 2));
      grown.set(this.#tail);
      this.#tail = grown;
    }
    this.#tail.set(bytes, this.#tailLength);
    this.#tailLength += bytes.length;
  }

  #closeTail(): void {
    if (this.#tailLength > 0) this.#parts.push(new BytesSource(this.#tail.slice(0, this.#tailLength)));
    this.#tail = new Uint8Array(0);
    this.#tailLength = 0;
  }

  finish(): ByteSource | undefined {
    this.#closeTail();
    return this.#parts.length > 1 ? new ConcatSource(this.#parts) : this.#parts[0];
  }
}
