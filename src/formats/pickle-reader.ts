/**
 * A forward reader over a byte source for pickles: small windows, every length checked against the bytes left before
 * anything is allocated.
 */
import { OrthoError } from '../core/errors.ts';
import type { ByteSource } from '../core/source.ts';

const WINDOW = 1 << 16;

const utf8 = new TextDecoder('utf-8', { fatal: true });
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

export class PickleReader {
  /** What messages call the pickle, e.g. `model.pth: data.pkl`. */
  readonly label: string;
  /** The next byte to read. */
  position: number;
  readonly #source: ByteSource;
  readonly #end: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** Reads from `start`, never beyond `end` (default: the end of the source). */
  constructor(source: ByteSource, label: string, start = 0, end: number = source.size) {
    this.#source = source;
    this.label = label;
    this.position = start;
    this.#end = end;
  }

  invalid(message: string, cause?: unknown): OrthoError {
    const at = this.#source.path === undefined ? {} : { at: { file: this.#source.path } };
    return new OrthoError('checkpoint/invalid', `${this.label}: ${message} at byte ${this.position}`, {
      hint: 'the file is damaged or no PyTorch checkpoint; save it again with torch.save',
      ...at,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  /** @throws OrthoError checkpoint/invalid when fewer than `length` bytes are left. */
  checkLeft(length: number): void {
    if (length > this.#end - this.position) {
      throw this.invalid(`${length} bytes wanted, ${this.#end - this.position} left`);
    }
  }

  /** Makes `length` bytes available in the window and returns their index in it. */
  #need(length: number): number {
    this.checkLeft(length);
    let index = this.position - this.#windowStart;
    if (index < 0 || index + length > this.#window.length) {
      const size = Math.min(Math.max(length, WINDOW), this.#end - this.position);
      this.#window = this.#source.read(this.position, size);
      this.#view = new DataView(this.#window.buffer, this.#window.byteOffset, this.#window.length);
      this.#windowStart = this.position;
      index = 0;
    }
    this.position += length;
    return index;
  }

  uint8(): number {
    const index = this.#need(1);
    return this.#window[index]!;
  }
  uint16(): number {
    const index = this.#need(2);
    return this.#view.getUint16(index, true);
  }
  uint32(): number {
    const index = this.#need(4);
    return this.#view.getUint32(index, true);
  }
  int32(): number {
    const index = this.#need(4);
    return this.#view.getInt32(index, true);
  }
  /** An unsigned 64-bit length; anything beyond 2^53 is beyond every file. */
  length64(): number {
    const index = this.#need(8);
    return Number(this.#view.getBigUint64(index, true));
  }
  /** Big-endian binary64, as BINFLOAT has it. */
  float64(): number {
    const index = this.#need(8);
    return this.#view.getFloat64(index, false);
  }
  /** A copy of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    const index = this.#need(length);
    return this.#window.slice(index, index + length);
  }
  utf8(length: number): string {
    const index = this.#need(length);
    try {
      return utf8.decode(this.#window.subarray(index, index + length));
    } catch (cause) {
      throw this.invalid(`a string of ${length} bytes is not UTF-8`, cause);
    }
  }
  latin1(length: number): string {
    const index = this.#need(length);
    return latin1(this.#window.subarray(index, index + length));
  }
  /** A line of at most `limit` bytes of UTF-8, without its newline. */
  line(limit: number): string {
    const start = this.position;
    for (let length = 0; length <= limit; length++) {
      if (this.uint8() === 0x0a) {
        this.position = start;
        const text = this.utf8(length);
        this.position += 1;
        return text;
      }
    }
    this.position = start;
    throw this.invalid(`a name longer than ${limit} bytes`);
  }
  /** A little-endian two's complement integer of `length` bytes. */
  integer(length: number): number | bigint {
    const index = this.#need(length);
    const hex = Buffer.from(this.#window.subarray(index, index + length))
      .reverse()
      .toString('hex');
    const value = length === 0 ? 0n : BigInt.asIntN(length * 8, BigInt(`0x${hex}`));
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  }
}
