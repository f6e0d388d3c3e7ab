/** Compares a decoded model with what onnx-proto (protobufjs 6, IR 8) reads from the same bytes. */
import { onnx } from 'onnx-proto';
import type { ByteSource } from '../../src/core/source.ts';
import { type Field, type MessageTable, protoName, TABLES } from '../../src/proto/fields.ts';
import type { ModelProto } from '../../src/proto/schema.ts';

type Fields = Readonly<Record<string, unknown>>;

const bytesOf = (value: unknown): Uint8Array =>
  value instanceof Uint8Array ? value : (value as ByteSource).read(0, (value as ByteSource).size);

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const sameScalar = (field: Field, ours: unknown, theirs: unknown): boolean => {
  if (field.type === 'bytes' || field.type === 'source')
    return sameBytes(bytesOf(ours), theirs as Uint8Array);
  if (field.type === 'int64' || field.type === 'uint64') return ours === BigInt(String(theirs));
  return Object.is(ours, theirs);
};

const sameFloats = (field: Field, ours: unknown, theirs: readonly number[]): boolean => {
  const make = field.type === 'floats64' ? Float64Array : Float32Array;
  const expected = new make(theirs);
  const actual =
    field.type === 'float' ? (ours as Float32Array) : ours === undefined ? new Uint8Array(0) : bytesOf(ours);
  return sameBytes(
    new Uint8Array(actual.buffer, actual.byteOffset, actual.byteLength),
    new Uint8Array(expected.buffer),
  );
};

/** The first field that differs, as a path with both values; undefined when all that onnx-proto knows agree. */
const differenceIn = (table: MessageTable, ours: Fields, theirs: Fields, at: string): string | undefined => {
  for (const field of table.fields) {
    const { key } = field;
    const place = `${at}.${protoName(key)}`;
    // onnx-proto stops at IR 8: its messages have no property for newer fields.
    if (!(key in theirs)) continue;
    const mine = ours[key];
    const other = Object.hasOwn(theirs, key) ? theirs[key] : undefined;
    if (!field.repeated) {
      if ((mine === undefined) !== (other === undefined || other === null))
        return `${place}: presence differs`;
      if (mine === undefined) continue;
      const inner = field.message
        ? differenceIn(field.message, mine as Fields, other as Fields, place)
        : sameScalar(field, mine, other)
          ? undefined
          : `${place}: ${String(mine)} instead of ${String(other)}`;
      if (inner) return inner;
      continue;
    }
    const list = (other ?? []) as readonly unknown[];
    if (field.type === 'float' || field.type === 'floats32' || field.type === 'floats64') {
      if (!sameFloats(field, mine, list as readonly number[])) return `${place}: other floats`;
      continue;
    }
    const items = Array.from(mine as Iterable<unknown>);
    if (items.length !== list.length) return `${place}: ${items.length} items instead of ${list.length}`;
    for (const [index, item] of items.entries()) {
      const where = `${place}[${index}]`;
      const inner = field.message
        ? differenceIn(field.message, item as Fields, list[index] as Fields, where)
        : sameScalar(field, item, list[index])
          ? undefined
          : `${where}: ${String(item)} instead of ${String(list[index])}`;
      if (inner) return inner;
    }
  }
  return undefined;
};

/** How a model differs from what onnx-proto reads from these bytes; undefined when it does not. */
export const differenceFromOracle = (model: ModelProto, bytes: Uint8Array): string | undefined =>
  differenceIn(
    TABLES.ModelProto,
    model as unknown as Fields,
    onnx.ModelProto.decode(bytes) as unknown as Fields,
    'model',
  );
