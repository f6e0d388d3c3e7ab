/**
 * Pickled values as plain JSON for reports: shortened, cycle-safe, never more than a screenful for one entry.
 */
import type { Tensor } from '../core/tensor.ts';
import { elementCount } from '../core/tensor.ts';
import { NumpyArray, NumpyDType, scalarValue } from './pickle-numpy.ts';
import {
  PickleDict,
  PickleGlobal,
  PickleObject,
  PickleSet,
  PickleTuple,
  type PickleValue,
  textOf,
} from './pickle-values.ts';
import type { Json } from './state-dict.ts';
import {
  ConvertedTensor,
  RefusedTensor,
  StorageRecord,
  TensorRecord,
  tensorFromRecord,
} from './torch-tensor.ts';

/** Levels, items of one container, items in all, and letters of one string that are shown. */
const MAX_DEPTH = 6;
const MAX_ITEMS = 32;
const MAX_TOTAL = 512;
const MAX_TEXT = 500;

const shorten = (text: string): string => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);

const ofNumber = (value: number | bigint): Json => {
  if (typeof value === 'bigint') return value.toString();
  return Number.isFinite(value) ? value : String(value);
};

const ofTensor = (tensor: Tensor): Json => {
  if (elementCount(tensor.dims) === 1) {
    const value = scalarValue(tensor);
    if (value !== undefined) return typeof value === 'boolean' ? value : ofNumber(value);
  }
  return `tensor ${tensor.dtype} [${tensor.dims.join(', ')}]`;
};

/** Python's datetime pickles as 10 bytes: year (2), month, day, hour, minute, second, microsecond (3). */
const ofDatetime = (value: PickleObject): string | undefined => {
  const [bytes] = value.args;
  if (!(bytes instanceof Uint8Array)) return undefined;
  const pad = (n: number | undefined, width = 2) => String(n ?? 0).padStart(width, '0');
  const date = `${pad((bytes[0] ?? 0) * 256 + (bytes[1] ?? 0), 4)}-${pad(bytes[2])}-${pad(bytes[3])}`;
  if (value.type.name === 'date' && bytes.length === 4) return date;
  if (value.type.name !== 'datetime' || bytes.length !== 10) return undefined;
  return `${date}T${pad(bytes[4])}:${pad(bytes[5])}:${pad(bytes[6])}`;
};

/**
 * A JSON value for one entry. Tensors with one element become numbers (their few bytes are read), others a summary;
 * the containers in `hidden` (state dicts that are listed elsewhere) appear as the text given for them.
 */
export const toJson = (root: PickleValue, hidden: ReadonlyMap<PickleValue, string> = new Map()): Json => {
  let left = MAX_TOTAL;
  const open = new Set<object>();

  const list = (items: readonly PickleValue[], depth: number): Json => {
    const shown = items.slice(0, MAX_ITEMS).map((item) => convert(item, depth + 1));
    return items.length > MAX_ITEMS ? [...shown, `… ${items.length - MAX_ITEMS} more`] : shown;
  };
  const dict = (
    entries: Iterable<[PickleValue, PickleValue]>,
    size: number,
    depth: number,
  ): [string, Json][] => {
    const shown: [string, Json][] = [];
    for (const [key, value] of entries) {
      if (shown.length >= MAX_ITEMS) {
        shown.push(['…', `${size - MAX_ITEMS} more`]);
        break;
      }
      const name = key instanceof PickleTuple ? JSON.stringify(convert(key, depth + 1)) : textOf(key);
      shown.push([name, convert(value, depth + 1)]);
    }
    return shown;
  };
  const object = (value: PickleObject, depth: number): Json => {
    const text = value.type.module === 'datetime' ? ofDatetime(value) : undefined;
    if (text !== undefined) return text;
    const parts: [string, Json][] = [];
    // A Namespace is its attributes; other classes say what they were.
    if (value.type.qualified !== 'argparse.Namespace') parts.push(['class', value.type.qualified]);
    if (value.args.length > 0) parts.push(['args', list(value.args, depth)]);
    if (value.state instanceof PickleDict)
      parts.push(...dict(value.state.entries, value.state.entries.size, depth));
    else if (value.state !== undefined) parts.push(['state', convert(value.state, depth + 1)]);
    if (value.entries !== undefined) parts.push(...dict(value.entries, value.entries.size, depth));
    if (value.items !== undefined) parts.push(['items', list(value.items, depth)]);
    return record(parts);
  };
  const container = (value: object, depth: number): Json => {
    const text = hidden.get(value);
    if (text !== undefined) return text;
    if (open.has(value)) return '… (itself)';
    if (depth >= MAX_DEPTH) return '…';
    open.add(value);
    let result: Json = '…';
    if (Array.isArray(value)) result = list(value as PickleValue[], depth);
    else if (value instanceof PickleTuple || value instanceof PickleSet) result = list(value.items, depth);
    else if (value instanceof PickleDict) result = record(dict(value.entries, value.entries.size, depth));
    else if (value instanceof PickleObject) result = object(value, depth);
    open.delete(value);
    return result;
  };
  const convert = (value: PickleValue, depth: number): Json => {
    if (left-- <= 0) return '…';
    if (value === null || typeof value === 'boolean') return value;
    if (typeof value === 'number' || typeof value === 'bigint') return ofNumber(value);
    if (typeof value === 'string') return shorten(value);
    if (value instanceof TensorRecord) return ofTensor(tensorFromRecord(value));
    if (value instanceof ConvertedTensor) return `${value.what} ${value.dtype} [${value.dims.join(', ')}]`;
    if (value instanceof NumpyArray) {
      return value.tensor === undefined ? (value.refused ?? 'numpy array') : ofTensor(value.tensor);
    }
    if (value instanceof RefusedTensor) return value.what;
    if (value instanceof StorageRecord) return `storage ${value.kind.name} of ${value.elements} elements`;
    if (value instanceof PickleGlobal) return value.qualified;
    if (value instanceof NumpyDType) return `numpy.dtype('${value.code}')`;
    if (value instanceof Uint8Array) return `${value.length} bytes`;
    return container(value, depth);
  };
  return convert(root, 0);
};

/** An object with exactly these own keys, `__proto__` included. */
const record = (parts: readonly [string, Json][]): Json => {
  const result: Record<string, Json> = Object.create(null);
  for (const [key, value] of parts) result[shorten(key)] = value;
  return result;
};
