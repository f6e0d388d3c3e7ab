/**
 * The wire form of ONNX, read by the field table over a window of the source: a model of any size costs its structure,
 * never its weights. Every length is checked against what is left before anything is allocated, and every message says
 * at which byte and in which field the file breaks.
 *
 * Source: https://protobuf.dev/programming-guides/encoding/
 */
import { type ErrorCode, OrthoError } from '../core/errors.ts';
import type { ByteSource } from '../core/source.ts';
import { FixedBuilder, WordBuilder } from './collect.ts';
import { type Field, type MessageTable, protoName, TABLES } from './fields.ts';
import { identifyForeign } from './foreign.ts';
import { quoted } from './quote.ts';
import type { MessageName, Messages, ModelProto } from './schema.ts';
import { sliceOf, WindowReader } from './window.ts';

/** Deepest nesting of subgraphs, types and (unknown) groups. */
export const NESTING_LIMIT = 100;
/** Protobuf's own limit: lengths are below 2 GiB. */
const LENGTH_LIMIT = 0x7fffffff;

type Fields = Record<string, unknown>;

/** Messages that error messages call by name rather than by index. */
const NAMED: ReadonlySet<MessageName> = new Set([
  'TensorProto',
  'ValueInfoProto',
  'AttributeProto',
  'FunctionProto',
]);

class Decoder {
  readonly #reader: WindowReader;
  readonly #size: number;
  /** The fields and messages around the place being read, for error messages. */
  readonly #path: { field: Field; message: Fields; index: number }[] = [];
  /** Fields that hold a builder until the end. */
  readonly #building: { message: Fields; key: string; field: Field }[] = [];
  #graphs = 0;
  #types = 0;

  constructor(source: ByteSource) {
    this.#reader = new WindowReader(source);
    this.#size = source.size;
  }

  decode(table: MessageTable): Fields {
    const message: Fields = { ...table.empty };
    this.#message(table, message, this.#size);
    for (const { message: holder, key, field } of this.#building) holder[key] = finish(field, holder[key]);
    return message;
  }

  #place(field?: Field, index?: number): string {
    const steps = this.#path.map(({ field: step, message, index: at }) => {
      const name = NAMED.has(step.type as MessageName) ? message.name : undefined;
      const called = typeof name === 'string' && name !== '' ? quoted(name) : at;
      return protoName(step.key) + (step.repeated ? `[${called}]` : '');
    });
    if (field) steps.push(protoName(field.key) + (field.repeated && index !== undefined ? `[${index}]` : ''));
    return steps.join('.') || 'the model';
  }

  #fail(message: string, code: ErrorCode = 'model/invalid'): never {
    const { path } = this.#reader.source;
    throw new OrthoError(code, `${path === undefined ? '' : `${path}: `}${message}`, {
      hint:
        code === 'model/truncated'
          ? 'the file is cut off: download or copy it again'
          : 'the file is damaged, or not an ONNX model: export or download it again',
      at: path === undefined ? {} : { file: path },
    });
  }

  /** Reads a varint of `field`; of the tag or length of something when that is what is read. */
  #varint(field: Field | undefined, part?: 'tag' | 'length', index?: number): void {
    const { position } = this.#reader;
    const length = this.#reader.varint();
    if (length > 0) return;
    const place = this.#place(field, index);
    const what =
      part === undefined ? place : part === 'length' ? `the length of ${place}` : `a field tag of ${place}`;
    if (length < 0) this.#fail(`byte ${position}: varint longer than 10 bytes (${what})`);
    this.#fail(
      `truncated at byte ${this.#size}: truncated varint at byte ${position} (${what})`,
      'model/truncated',
    );
  }

  /** Reads the fields of a message that ends at byte `end`, which may lie beyond the file's end. */
  #message(table: MessageTable, message: Fields, end: number): void {
    const reader = this.#reader;
    let unknown: number[] | undefined;
    for (let start = reader.position; start < end; start = reader.position) {
      this.#varint(undefined, 'tag');
      const wireType = reader.low & 7;
      const number = reader.low >>> 3;
      if (wireType > 5) this.#fail(`byte ${start}: wire type ${wireType} does not exist`);
      if (number === 0 || reader.high !== 0) this.#fail(`byte ${start}: no field has this number`);
      if (wireType === 4) this.#fail(`byte ${start}: end-group ${number} without its start`);
      const field = table.byNumber[number];
      if (field === undefined || !this.#known(field, wireType, message, end)) {
        this.#skip(number, wireType, end);
        unknown ??= [];
        if (unknown.at(-1) === start) unknown[unknown.length - 1] = reader.position;
        else unknown.push(start, reader.position);
      }
      if (reader.position > end) {
        this.#fail(
          `byte ${start}: field ${field ? protoName(field.key) : number} runs past the end of ${this.#place()}`,
        );
      }
    }
    if (unknown) this.#keep(message, unknown);
  }

  #keep(message: Fields, runs: readonly number[]): void {
    const kept = [...((message.unknown as ByteSource[] | undefined) ?? [])];
    for (let i = 0; i < runs.length; i += 2) {
      const start = runs[i] as number;
      kept.push(sliceOf(this.#reader.source, start, (runs[i + 1] as number) - start));
    }
    message.unknown = kept;
  }

  /** Reads one occurrence of a known field; false when the wire type does not fit (then it is an unknown field). */
  #known(field: Field, wireType: number, message: Fields, end: number): boolean {
    const { type, key } = field;
    if (wireType !== field.wireType) {
      if (wireType !== 2 || !field.repeated || field.wireType === 2) return false;
      this.#packed(field, message, end);
      return true;
    }
    if (field.oneof !== undefined) clearOthers(message, field);
    if (field.message) {
      this.#embedded(field, field.message, message, end);
      return true;
    }
    const reader = this.#reader;
    if (type === 'string' || type === 'bytes' || type === 'source') {
      const index = field.repeated ? (message[key] as unknown[]).length : undefined;
      const length = this.#length(field, end, index);
      this.#require(length, field, index);
      const value = type === 'source' ? reader.slice(length) : this.#content(type, length, field, index);
      if (field.repeated) append(message, key, value);
      else message[key] = value;
      return true;
    }
    if (field.repeated && (field.packed || type === 'float')) {
      this.#element(field, message);
      return true;
    }
    const value = this.#scalar(field);
    if (field.repeated) append(message, key, value);
    else message[key] = value;
    return true;
  }

  #content(type: 'string' | 'bytes', length: number, field: Field, index?: number): string | Uint8Array {
    if (type === 'bytes') return this.#reader.copy(length);
    const text = this.#reader.text(length);
    return text ?? this.#fail(`${this.#place(field, index)} is not UTF-8`);
  }

  #scalar(field: Field): number | bigint {
    const reader = this.#reader;
    if (field.type === 'float') {
      this.#require(4, field);
      reader.fill(4);
      return reader.float();
    }
    this.#varint(field);
    if (field.type === 'int32') return reader.low | 0;
    return field.type === 'int64' ? reader.signedBigInt : reader.unsignedBigInt;
  }

  /** One unpacked element of a field that is collected in typed memory. */
  #element(field: Field, message: Fields): void {
    const builder = this.#builder(field, message);
    const reader = this.#reader;
    if (builder instanceof WordBuilder) {
      this.#varint(field);
      builder.push(reader.low, reader.high);
      return;
    }
    const width = field.type === 'floats64' ? 8 : 4;
    this.#require(width, field);
    builder.element(reader.copy(width));
  }

  #packed(field: Field, message: Fields, end: number): void {
    const reader = this.#reader;
    const length = this.#length(field, end);
    this.#require(length, field);
    if (field.wireType !== 0) {
      const width = field.type === 'floats64' ? 8 : 4;
      if (length % width !== 0) {
        this.#fail(`${this.#place(field)} has ${length} bytes: not a multiple of ${width}`);
      }
      const builder = this.#builder(field, message) as FixedBuilder;
      builder.piece(reader.slice(length));
      return;
    }
    const last = reader.position + length;
    const builder = field.packed ? (this.#builder(field, message) as WordBuilder) : undefined;
    builder?.reserve(this.#countVarints(length));
    while (reader.position < last) {
      this.#varint(field);
      if (builder) builder.push(reader.low, reader.high);
      else append(message, field.key, reader.signedBigInt);
    }
    if (reader.position > last)
      this.#fail(`byte ${last}: a varint runs past the end of ${this.#place(field)}`);
  }

  /** How many varints end in the next `length` bytes. */
  #countVarints(length: number): number {
    const { source, position } = this.#reader;
    let count = 0;
    for (let at = 0; at < length; at += 1 << 20) {
      for (const byte of source.read(position + at, Math.min(1 << 20, length - at))) if (byte < 128) count++;
    }
    return count;
  }

  #builder(field: Field, message: Fields): WordBuilder | FixedBuilder {
    const { key } = field;
    const held = message[key];
    if (held instanceof WordBuilder || held instanceof FixedBuilder) return held;
    const builder =
      field.wireType === 0 ? new WordBuilder(field.type as 'int32' | 'int64' | 'uint64') : new FixedBuilder();
    message[key] = builder;
    this.#building.push({ message, key, field });
    return builder;
  }

  #embedded(field: Field, table: MessageTable, message: Fields, end: number): void {
    const { key } = field;
    const index = field.repeated ? (message[key] as unknown[]).length : 0;
    const child: Fields = (field.repeated ? undefined : (message[key] as Fields)) ?? { ...table.empty };
    if (field.repeated) append(message, key, child);
    else message[key] = child;
    const length = this.#length(field, end, index);
    this.#path.push({ field, message: child, index });
    if (table.name === 'GraphProto' && ++this.#graphs > NESTING_LIMIT + 1) {
      this.#fail(`byte ${this.#reader.position}: subgraphs nest deeper than ${NESTING_LIMIT} levels (limit)`);
    }
    if (table.name === 'TypeProto' && ++this.#types > NESTING_LIMIT) {
      const outer = this.#path.findIndex((step) => step.field.type === 'TypeProto');
      this.#path.length = outer + 1;
      this.#fail(`${this.#place()} nests deeper than ${NESTING_LIMIT} levels (limit)`);
    }
    this.#message(table, child, this.#reader.position + length);
    if (table.name === 'GraphProto') this.#graphs--;
    if (table.name === 'TypeProto') this.#types--;
    this.#path.pop();
  }

  /** Reads a length and checks it against the message around it, which ends at byte `end`. */
  #length(field: Field | undefined, end: number, index?: number): number {
    const reader = this.#reader;
    const place = (): string => (field ? this.#place(field, index) : `an unknown field of ${this.#place()}`);
    if (reader.len - reader.pos > 0 && (reader.buf[reader.pos] as number) < 128) {
      reader.low = reader.buf[reader.pos++] as number;
      reader.high = 0;
    } else this.#varint(field, 'length', index);
    const length = reader.unsigned;
    if (length > LENGTH_LIMIT) {
      this.#fail(`${place()} claims ${reader.unsignedBigInt} bytes; protobuf allows ${LENGTH_LIMIT}`);
    }
    const left = end - reader.position;
    // At the top the file itself is the parent: what is missing there is the file's end, named where reading meets it.
    if (length > left && this.#path.length > 0) {
      this.#fail(`${place()} is ${length} bytes but only ${Math.max(0, left)} are left in ${this.#place()}`);
    }
    return length;
  }

  /** Refuses a leaf of `length` bytes that the file does not hold. */
  #require(length: number, field: Field | undefined, index?: number): void {
    const { position } = this.#reader;
    if (position + length <= this.#size) return;
    const place = field ? this.#place(field, index) : `an unknown field of ${this.#place()}`;
    this.#fail(
      `truncated: ${place} needs ${length} bytes from byte ${position}, the file ends after ${this.#size - position}`,
      'model/truncated',
    );
  }

  #skip(number: number, wireType: number, end: number): void {
    const reader = this.#reader;
    if (wireType === 3) {
      this.#skipGroup(number, end);
      return;
    }
    if (wireType === 0) {
      this.#varint(undefined);
      return;
    }
    const length = wireType === 1 ? 8 : wireType === 5 ? 4 : this.#length(undefined, end);
    this.#require(length, undefined);
    reader.advance(length);
  }

  #skipGroup(number: number, end: number): void {
    const reader = this.#reader;
    const open = [number];
    while (open.length > 0) {
      const inner = open.at(-1) as number;
      const start = reader.position;
      if (start >= end || start >= this.#size) {
        this.#fail(`group ${inner} is not closed`, start >= this.#size ? 'model/truncated' : 'model/invalid');
      }
      this.#varint(undefined, 'tag');
      const wireType = reader.low & 7;
      const found = reader.low >>> 3;
      if (wireType > 5) this.#fail(`byte ${start}: wire type ${wireType} does not exist`);
      if (found === 0 || reader.high !== 0) this.#fail(`byte ${start}: no field has this number`);
      if (wireType === 4) {
        if (found !== inner) this.#fail(`byte ${start}: group ${inner} closed by end-group ${found}`);
        open.pop();
      } else if (wireType === 3) {
        if (open.length >= NESTING_LIMIT) {
          this.#fail(`byte ${start}: groups nest deeper than ${NESTING_LIMIT} levels (limit)`);
        }
        open.push(found);
      } else this.#skip(found, wireType, end);
    }
  }
}

const append = (message: Fields, key: string, value: unknown): void => {
  const list = message[key] as unknown[];
  if (list.length === 0) message[key] = [value];
  else list.push(value);
};

const clearOthers = (message: Fields, field: Field): void => {
  for (const other of ONEOFS.get(field) ?? []) message[other] = undefined;
};

/** The keys that setting a oneof member clears. */
const ONEOFS: ReadonlyMap<Field, readonly string[]> = new Map(
  Object.values(TABLES).flatMap(({ fields }) =>
    fields
      .filter(({ oneof }) => oneof !== undefined)
      .map((field) => [
        field,
        fields.filter((other) => other !== field && other.oneof === field.oneof).map(({ key }) => key),
      ]),
  ),
);

const finish = (field: Field, builder: unknown): unknown => {
  if (builder instanceof WordBuilder) return builder.finish();
  const bytes = (builder as FixedBuilder).finish();
  if (field.type !== 'float') return bytes;
  const floats = new Float32Array((bytes?.size ?? 0) / 4);
  bytes?.readInto(new Uint8Array(floats.buffer), 0);
  return floats;
};

/**
 * Decodes a message of any type from the whole source.
 * @throws OrthoError model/invalid or model/truncated naming the byte and the field.
 */
export const decodeMessage = <N extends MessageName>(name: N, source: ByteSource): Messages[N] =>
  new Decoder(source).decode(TABLES[name]) as unknown as Messages[N];

/**
 * Decodes a model. Large payloads stay slices of `source`, which must stay open as long as they are used.
 * What is not a model at all is called by its name: an archive, a checkpoint, JSON, ONNX text…
 * @throws OrthoError model/invalid or model/truncated naming the byte and the field.
 */
export const decodeModel = (source: ByteSource): ModelProto => {
  let model: ModelProto;
  try {
    model = decodeMessage('ModelProto', source);
  } catch (error) {
    throw identifyForeign(source, decodeMessage) ?? error;
  }
  if (model.graph === undefined) {
    const foreign = identifyForeign(source, decodeMessage);
    if (foreign) throw foreign;
  }
  return model;
};
