/**
 * Frames of protocol.ts out of the chunks of a stream, in the parent: large buffers are filled in place, never joined.
 */
import { MAX_HEADER } from './protocol.ts';

export interface Frame {
  readonly header: unknown;
  readonly buffers: readonly Uint8Array[];
}

const PREFIX = 4;

/** Feed it chunks; it calls `onFrame` for each whole frame. Throws when the stream is not in the protocol. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  #target = new Uint8Array(PREFIX);
  #filled = 0;
  #state: 'prefix' | 'header' | 'buffers' = 'prefix';
  #header: unknown;
  #sizes: readonly number[] = [];
  #buffers: Uint8Array[] = [];

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      const take = Math.min(chunk.length - at, this.#target.length - this.#filled);
      this.#target.set(chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      while (this.#filled === this.#target.length && this.#advance());
    }
  }

  /** Moves on from a full target; false when the next one needs bytes first. */
  #advance(): boolean {
    if (this.#state === 'prefix') {
      const length = new DataView(this.#target.buffer).getUint32(0, true);
      if (length > MAX_HEADER) throw new RangeError(`a header of ${length} bytes`);
      this.#expect('header', length);
    } else if (this.#state === 'header') {
      const header = JSON.parse(Buffer.from(this.#target.buffer).toString()) as { sizes: number[] };
      this.#header = header;
      this.#sizes = header.sizes;
      this.#buffers = [];
      this.#nextBuffer();
    } else {
      this.#buffers.push(this.#target);
      this.#nextBuffer();
    }
    return this.#target.length === 0;
  }

  #nextBuffer(): void {
    const size = this.#sizes[this.#buffers.length];
    if (size !== undefined) {
      this.#expect('buffers', size);
      return;
    }
    const frame = { header: this.#header, buffers: this.#buffers };
    this.#expect('prefix', PREFIX);
    this.#onFrame(frame);
  }

  #expect(state: 'prefix' | 'header' | 'buffers', length: number): void {
    this.#state = state;
    this.#target = new Uint8Array(length);
    this.#filled = 0;
  }
}
