/**
 * ModelProto to bytes: fields in the order of their numbers (protobuf's canonical order), unknown ones last.
 *
 * Two walks over the same field table: the first computes the size of every embedded message (in the order they are
 * met), the second writes. Small parts go through protobufjs's Writer; tensor payloads never do, they become segments
 * of their own, still lazy when they were.
 */
import { Writer } from 'protobufjs/minimal.js';
import { OrthoError } from '../core/errors.ts';
import type { ByteSource } from '../core/source.ts';
import { type Field, type MessageTable, TABLES } from './fields.ts';
import type { MessageName, Messages, ModelProto } from './schema.ts';

/** Bytes to write: at hand or still in their source. */
export type Segment = Uint8Array | ByteSource;

/** Protobuf readers refuse messages from 2 GiB on. */
const LENGTH_LIMIT = 0x7fffffff;
/** Payloads from this size on become segments. */
const SEGMENT = 1024;

type Fields = Readonly<Record<string, unknown>>;
type Words = Int32Array | BigInt64Array | BigUint64Array;

const textEncoder = new TextEncoder();

const varintSize = (low: number, high: number): number => {
  if (high === 0) {
    return low < 0x80 ? 1 : low < 0x4000 ? 2 : low < 0x200000 ? 3 : low < 0x10000000 ? 4 : 5;
  }
  return high < 8
    ? 5
    : high < 0x400
      ? 6
      : high < 0x20000
        ? 7
        : high < 0x1000000
          ? 8
          : high < 0x80000000
            ? 9
            : 10;
};

const lowOf = (value: bigint): number => Number(BigInt.asUintN(32, value));
const highOf = (value: bigint): number => Number(BigInt.asUintN(32, value >> 32n));

const integerSize = (value: number | bigint): number =>
  typeof value === 'bigint'
    ? value >= 0n && value < 128n
      ? 1
      : varintSize(lowOf(value), highOf(value))
    : varintSize(value >>> 0, value < 0 ? 0xffffffff : 0);

const tagSize = (field: Field): number => (field.number < 16 ? 1 : 2);

/** Calls `visit` with the words of every element. */
const eachWord = (values: Words, visit: (low: number, high: number) => void): void => {
  if (values instanceof Int32Array) {
    for (const value of values) visit(value >>> 0, value < 0 ? 0xffffffff : 0);
    return;
  }
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  for (let i = 0; i < words.length; i += 2) visit(words[i] as number, words[i + 1] as number);
};

const packedSize = (values: Words): number => {
  let size = 0;
  eachWord(values, (low, high) => {
    size += varintSize(low, high);
  });
  return size;
};

const packVarints = (values: Words, size: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  let at = 0;
  eachWord(values, (l, h) => {
    let low = l;
    let high = h;
    while (high !== 0) {
      bytes[at++] = (low & 127) | 128;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    while (low > 127) {
      bytes[at++] = (low & 127) | 128;
      low >>>= 7;
    }
    bytes[at++] = low;
  });
  return bytes;
};

const stringSize = (text: string): number => Buffer.byteLength(text, 'utf8');

/** Sizes of embedded messages and packed fields, in the order in which both walks meet them. */
class Sizes {
  readonly #sizes: number[] = [];
  #next = 0;

  next(): number {
    return this.#sizes[this.#next++] as number;
  }

  /** The size of a message's content. */
  message(table: MessageTable, message: Fields): number {
    let size = 0;
    for (const field of table.fields) {
      const value = message[field.key];
      if (value === undefined) continue;
      size += field.repeated ? this.#repeated(field, value) : tagSize(field) + this.#single(field, value);
    }
    for (const run of (message.unknown as readonly ByteSource[] | undefined) ?? []) size += run.size;
    return size;
  }

  #delimited(size: number): number {
    if (size > LENGTH_LIMIT) {
      throw new OrthoError('file/limit', `the model needs ${size} bytes; protobuf ends at 2 GiB`, {
        hint: 'write the weights beside the model with --external-data',
      });
    }
    return varintSize(size, 0) + size;
  }

  #reserve(compute: () => number): number {
    const index = this.#sizes.push(0) - 1;
    const size = compute();
    this.#sizes[index] = size;
    return this.#delimited(size);
  }

  #single(field: Field, value: unknown): number {
    const { message } = field;
    if (message) return this.#reserve(() => this.message(message, value as Fields));
    if (field.type === 'string') return this.#delimited(stringSize(value as string));
    if (field.type === 'bytes') return this.#delimited((value as Uint8Array).length);
    if (field.type === 'source') return this.#delimited((value as ByteSource).size);
    return field.type === 'float' ? 4 : integerSize(value as number | bigint);
  }

  #repeated(field: Field, value: unknown): number {
    if (field.type === 'floats32' || field.type === 'floats64') {
      const { size } = value as ByteSource;
      return size === 0 ? 0 : tagSize(field) + this.#delimited(size);
    }
    if (field.packed) {
      const words = value as Words;
      return words.length === 0 ? 0 : tagSize(field) + this.#reserve(() => packedSize(words));
    }
    if (field.type === 'float') return (value as Float32Array).length * (tagSize(field) + 4);
    let size = 0;
    for (const item of value as readonly unknown[]) size += tagSize(field) + this.#single(field, item);
    return size;
  }
}

class Encoder {
  readonly segments: Segment[] = [];
  readonly #sizes: Sizes;
  #writer = Writer.create();

  constructor(sizes: Sizes) {
    this.#sizes = sizes;
  }

  message(table: MessageTable, message: Fields): void {
    for (const field of table.fields) {
      const value = message[field.key];
      if (value === undefined) continue;
      if (field.repeated) this.#repeated(field, value);
      else this.#single(field, value);
    }
    for (const run of (message.unknown as readonly ByteSource[] | undefined) ?? []) this.#payload(run);
  }

  /** Closes the current run of small parts. */
  flush(): void {
    const bytes = this.#writer.finish();
    if (bytes.length > 0) this.segments.push(bytes);
    this.#writer = Writer.create();
  }

  #tag(field: Field, wireType: number): void {
    this.#writer.uint32(field.number * 8 + wireType);
  }

  #payload(data: Segment): void {
    const size = data instanceof Uint8Array ? data.length : data.size;
    if (size < SEGMENT) {
      this.#writer.raw(data instanceof Uint8Array ? data : data.read(0, size));
      return;
    }
    this.flush();
    this.segments.push(data);
  }

  #delimited(field: Field, data: Segment): void {
    this.#tag(field, 2);
    this.#writer.uint32(data instanceof Uint8Array ? data.length : data.size);
    this.#payload(data);
  }

  #single(field: Field, value: unknown): void {
    if (field.message) {
      this.#tag(field, 2);
      this.#writer.uint32(this.#sizes.next());
      this.message(field.message, value as Fields);
    } else if (field.type === 'string') {
      const text = value as string;
      this.#tag(field, 2);
      // TextEncoder replaces lone surrogates, which Writer.string would write as invalid UTF-8 of the same length.
      if (stringSize(text) === text.length) this.#writer.string(text);
      else this.#writer.bytes(textEncoder.encode(text));
    } else if (field.type === 'bytes' || field.type === 'source') {
      this.#delimited(field, value as Segment);
    } else if (field.type === 'float') {
      this.#tag(field, 5);
      this.#writer.float(value as number);
    } else {
      this.#tag(field, 0);
      this.#integer(value as number | bigint);
    }
  }

  #integer(value: number | bigint): void {
    if (typeof value === 'number') {
      this.#writer.int32(value);
      return;
    }
    this.#writer.uint64({ low: lowOf(value) | 0, high: highOf(value) | 0, unsigned: true } as never);
  }

  #repeated(field: Field, value: unknown): void {
    if (field.type === 'floats32' || field.type === 'floats64') {
      if ((value as ByteSource).size > 0) this.#delimited(field, value as ByteSource);
    } else if (field.packed) {
      const words = value as Words;
      if (words.length > 0) this.#delimited(field, packVarints(words, this.#sizes.next()));
    } else if (field.type === 'float') {
      const floats = value as Float32Array;
      const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
      // As bits: a NaN keeps its sign and payload.
      for (const word of bits) {
        this.#tag(field, 5);
        this.#writer.fixed32(word);
      }
    } else {
      for (const item of value as readonly unknown[]) this.#single(field, item);
    }
  }
}

/**
 * Encodes a message of any type.
 * @throws OrthoError file/limit when it would reach 2 GiB.
 */
export const encodeMessage = <N extends MessageName>(name: N, message: Messages[N]): Segment[] => {
  const sizes = new Sizes();
  const total = sizes.message(TABLES[name], message as unknown as Fields);
  if (total > LENGTH_LIMIT) {
    throw new OrthoError('file/limit', `the model needs ${total} bytes; protobuf ends at 2 GiB`, {
      hint: 'write the weights beside the model with --external-data',
    });
  }
  const encoder = new Encoder(sizes);
  encoder.message(TABLES[name], message as unknown as Fields);
  encoder.flush();
  return encoder.segments;
};

/** Encodes a model; see encodeMessage. */
export const encodeModel = (model: ModelProto): Segment[] => encodeMessage('ModelProto', model);
