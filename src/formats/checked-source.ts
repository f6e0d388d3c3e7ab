/**
 * Bytes whose checksum is known, checked on the way: when they are read from the first to the last in order, as a copy
 * does, a wrong checksum is reported once, at no second reading. Reads in another order are not checked.
 */
import { crc32 } from '../core/crc32.ts';
import { type ByteSource, chunksOf } from '../core/source.ts';

export class CheckedSource implements ByteSource {
  readonly size: number;
  readonly #base: ByteSource;
  readonly #expected: number;
  readonly #onWrong: () => void;
  #sum = 0;
  #next = 0;
  #isRight: boolean | undefined;

  constructor(base: ByteSource, expected: number, onWrong: () => void) {
    this.#base = base;
    this.#expected = expected;
    this.#onWrong = onWrong;
    this.size = base.size;
  }

  get path(): string | undefined {
    return this.#base.path;
  }

  #follow(bytes: Uint8Array, offset: number): void {
    if (this.#isRight !== undefined || bytes.length === 0) return;
    if (offset === 0) {
      this.#sum = 0;
      this.#next = 0;
    }
    if (offset !== this.#next) return;
    this.#sum = crc32(bytes, this.#sum);
    this.#next += bytes.length;
    if (this.#next < this.size) return;
    this.#isRight = this.#sum === this.#expected;
    if (!this.#isRight) this.#onWrong();
  }

  /** The verdict; reads everything unless that has happened. */
  isRight(): boolean {
    if (this.#isRight === undefined) {
      for (const _ of chunksOf(this));
    }
    // What is empty was never followed.
    return this.#isRight ?? this.#expected === 0;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = this.#base.read(offset, length);
    this.#follow(bytes, offset);
    return bytes;
  }

  readInto(target: Uint8Array, offset: number): void {
    this.#base.readInto(target, offset);
    this.#follow(target, offset);
  }
}
