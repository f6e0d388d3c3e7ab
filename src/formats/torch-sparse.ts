/**
 * Sparse tensors of PyTorch, read as the dense tensors that `to_dense()` gives: zeros, to which every entry is added
 * (entries of an uncoalesced tensor may meet in one place).
 *
 *   COO:           indices [axes, n], values [n, ...dense]; entry k lies at indices[:, k]
 *   CSR, CSC:      compressed [...batch, rows + 1], plain [...batch, n], values [...batch, n, ...dense]; the entries
 *                  compressed[r] to compressed[r + 1] lie in row r, in the columns that `plain` has (CSC: the other way)
 *   BSR, BSC:      the same over blocks: values [...batch, n, blockRows, blockColumns, ...dense]
 *
 * The dense tensor is made window by window; nothing but one window is held.
 */
import { type DType, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, checkRange } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { PickleGlobal, PickleTuple, type PickleValue, textOf } from './pickle-values.ts';
import { adderOf } from './sparse-add.ts';
import { ConvertedTensor, RefusedTensor, TensorRecord, tensorFromRecord } from './torch-tensor.ts';

/** Bytes of a sparse tensor once it is dense. */
const MAX_DENSE = 1024 * 1024 * 1024;
const MAX_RANK = 64;
/** Bytes of the dense tensor that are made at once, and bytes of a part that are read at once. */
const WINDOW = 16 * 1024 * 1024;
const READ_AHEAD = 256 * 1024;
/** Entries of one tensor, counted again for every window. */
const MAX_STEPS = 2 ** 28;

const HINT = 'store it dense (tensor.to_dense()) in Python';

type Invalid = (message: string) => Error;

/** Reads elements mostly one after the other, in pieces. */
class Forward {
  readonly #source: ByteSource;
  readonly #unit: number;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #start = 0;

  constructor({ dtype, data }: Tensor) {
    this.#source = data;
    this.#unit = dtypeInfo(dtype).bits / 8;
  }
  /** The bytes of `count` elements, and where they begin in them; valid until the next call. */
  bytes(first: number, count: number): { bytes: DataView; at: number } {
    const from = first * this.#unit;
    const length = count * this.#unit;
    if (from < this.#start || from + length > this.#start + this.#bytes.length) {
      const wanted = Math.min(Math.max(length, READ_AHEAD), this.#source.size - from);
      this.#bytes = this.#source.read(from, wanted);
      this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length);
      this.#start = from;
    }
    return { bytes: this.#view, at: from - this.#start };
  }
  /** An index (int64 or int32). */
  index(at: number): number {
    const { bytes, at: from } = this.bytes(at, 1);
    return this.#unit === 8 ? Number(bytes.getBigInt64(from, true)) : bytes.getInt32(from, true);
  }
}

/** Called for every run of elements that lie side by side: where in the dense tensor, and where in the values. */
type Visit = (dense: number, value: number) => void;

interface Entries {
  readonly values: TensorRecord;
  /** Steps that `visit` takes. */
  readonly steps: number;
  /** Elements of a run. */
  readonly run: number;
  /** @throws OrthoError checkpoint/invalid when an index lies outside the tensor */
  visit(visit: Visit): void;
}

const product = (dims: readonly number[]): number => dims.reduce((result, dim) => result * dim, 1);

const outside = (index: number, size: number): OrthoError =>
  new OrthoError('checkpoint/invalid', `a sparse tensor with the index ${index} on an axis of ${size}`, {
    hint: 'the file is damaged; save it again with torch.save',
  });

const checkedIndex = (index: number, size: number): number => {
  if (index >= 0 && index < size) return index;
  throw outside(index, size);
};

const cooEntries = (
  size: readonly number[],
  indices: TensorRecord,
  values: TensorRecord,
  invalid: Invalid,
): Entries => {
  const [axes = 0, count = 0] = indices.dims;
  const dense = size.slice(axes);
  if (indices.dims.length !== 2 || axes > size.length || indices.dtype !== 'int64') {
    throw invalid(`a sparse tensor with indices [${indices.dims.join(', ')}] of ${indices.dtype}`);
  }
  checkShape(values, [count, ...dense], invalid);
  return {
    values,
    steps: count,
    run: product(dense),
    visit: (visit) => {
      // A reader an axis, each going through its row.
      const tensor = tensorFromRecord(indices);
      const rows = Array.from({ length: axes }, () => new Forward(tensor));
      for (let k = 0; k < count; k++) {
        let at = 0;
        for (let axis = 0; axis < axes; axis++) {
          at = at * size[axis]! + checkedIndex(rows[axis]!.index(axis * count + k), size[axis]!);
        }
        visit(at * product(dense), k * product(dense));
      }
    },
  };
};

const checkShape = (record: TensorRecord, expected: readonly number[], invalid: Invalid): void => {
  const { dims } = record;
  if (dims.length === expected.length && dims.every((dim, axis) => dim === expected[axis])) return;
  throw invalid(`a sparse tensor with a part [${dims.join(', ')}], expected [${expected.join(', ')}]`);
};

interface Compressed {
  /** Whether rows are compressed (CSR, BSR), not columns. */
  readonly byRow: boolean;
  readonly isBlocked: boolean;
}
const COMPRESSED: ReadonlyMap<string, Compressed> = new Map([
  ['torch.sparse_csr', { byRow: true, isBlocked: false }],
  ['torch.sparse_csc', { byRow: false, isBlocked: false }],
  ['torch.sparse_bsr', { byRow: true, isBlocked: true }],
  ['torch.sparse_bsc', { byRow: false, isBlocked: true }],
]);

const compressedEntries = (
  { byRow, isBlocked }: Compressed,
  size: readonly number[],
  [compressed, plain, values]: readonly [TensorRecord, TensorRecord, TensorRecord],
  invalid: Invalid,
): Entries => {
  const rank = compressed.dims.length - 1;
  const batch = size.slice(0, rank);
  const [rows, columns] = size.slice(rank);
  const count = plain.dims.at(-1);
  if (rank < 0 || rows === undefined || columns === undefined || count === undefined) {
    throw invalid('a sparse tensor without two sparse axes');
  }
  const [blockRows = 0, blockColumns = 0] = isBlocked ? values.dims.slice(rank + 1) : [1, 1];
  if (!(rows % blockRows === 0 && columns % blockColumns === 0)) {
    throw invalid(`a sparse tensor [${size.join(', ')}] in blocks of [${blockRows}, ${blockColumns}]`);
  }
  const dense = size.slice(rank + 2);
  const block = isBlocked ? [blockRows, blockColumns] : [];
  const [down, across] = [rows / blockRows, columns / blockColumns];
  const lanes = byRow ? down : across;
  checkShape(compressed, [...batch, lanes + 1], invalid);
  checkShape(plain, [...batch, count], invalid);
  checkShape(values, [...batch, count, ...block, ...dense], invalid);
  const inner = product(dense);
  const run = blockColumns * inner;
  return {
    values,
    steps: product(batch) * (lanes + count * blockRows),
    run,
    visit: (visit) => {
      const starts = new Forward(tensorFromRecord(compressed));
      const others = new Forward(tensorFromRecord(plain));
      const block = (from: number, row: number, column: number): void => {
        const first = row * blockRows;
        for (let i = 0; i < blockRows; i++) {
          const at =
            ((Math.floor(from / count) * rows + first + i) * columns + column * blockColumns) * inner;
          visit(at, (from * blockRows + i) * run);
        }
      };
      for (let lane = 0; lane < product(batch) * lanes; lane++) {
        const place = lane + Math.floor(lane / lanes);
        const [from, to] = [starts.index(place), starts.index(place + 1)];
        const isFirst = lane % lanes === 0;
        const isLast = lane % lanes === lanes - 1;
        if (!(from <= to) || from < 0 || to > count || (isFirst && from !== 0) || (isLast && to !== count)) {
          throw outside(isFirst ? from : to, count);
        }
        const base = Math.floor(lane / lanes) * count;
        for (let k = base + from; k < base + to; k++) {
          const other = checkedIndex(others.index(k), byRow ? across : down);
          block(k, byRow ? lane % lanes : other, byRow ? other : lane % lanes);
        }
      }
    },
  };
};

/** The dense bytes, one window at a time; the last window of all sources together is kept. */
class DenseSource implements ByteSource {
  static #kept:
    | { readonly source: DenseSource; readonly start: number; readonly bytes: Uint8Array }
    | undefined;
  readonly size: number;
  readonly #entries: Entries;
  readonly #unit: number;

  constructor(size: number, entries: Entries) {
    this.size = size;
    this.#entries = entries;
    this.#unit = dtypeInfo(entries.values.dtype).bits / 8;
  }

  get path(): string | undefined {
    return this.#entries.values.storage.data?.path;
  }

  #window(start: number): Uint8Array {
    const kept = DenseSource.#kept;
    if (kept !== undefined && kept.source === this && kept.start === start) return kept.bytes;
    const unit = this.#unit;
    const bytes = new Uint8Array(Math.min(WINDOW, this.size - start));
    const view = new DataView(bytes.buffer);
    const first = start / unit;
    const last = first + bytes.length / unit;
    const { values, run, visit } = this.#entries;
    const reader = new Forward(tensorFromRecord(values));
    const add = adderOf(values.dtype);
    visit((dense, value) => {
      const from = Math.max(dense, first);
      const to = Math.min(dense + run, last);
      if (from >= to) return;
      const { bytes: source, at } = reader.bytes(value + from - dense, to - from);
      for (let i = 0; i < to - from; i++) add(view, (from - first + i) * unit, source, at + i * unit);
    });
    DenseSource.#kept = { source: this, start, bytes };
    return bytes;
  }

  read(offset: number, length: number): Uint8Array {
    const target = new Uint8Array(length);
    this.readInto(target, offset);
    return target;
  }

  readInto(target: Uint8Array, offset: number): void {
    checkRange(this, offset, target.length);
    for (let done = 0; done < target.length; ) {
      const at = offset + done;
      const start = Math.floor(at / WINDOW) * WINDOW;
      const part = this.#window(start).subarray(at - start, at - start + target.length - done);
      target.set(part, done);
      done += part.length;
    }
  }
}

const sizeOf = (value: PickleValue | undefined, invalid: Invalid): number[] => {
  const items = value instanceof PickleTuple ? value.items : [];
  if (!(value instanceof PickleTuple) || items.length > MAX_RANK)
    throw invalid('a sparse tensor without a size');
  return items.map((item) => {
    if (typeof item === 'number' && Number.isSafeInteger(item) && item >= 0) return item;
    throw invalid(`a sparse tensor whose size holds ${textOf(item)}`);
  });
};

const parts = (items: readonly PickleValue[], invalid: Invalid): TensorRecord[] | RefusedTensor => {
  const refused = items.find((item) => item instanceof RefusedTensor);
  if (refused !== undefined) return refused as RefusedTensor;
  const records = items.filter((item) => item instanceof TensorRecord);
  if (records.length < items.length) throw invalid('a sparse tensor with a part that is no tensor');
  return records;
};

const isIndex = (dtype: DType): boolean => dtype === 'int64' || dtype === 'int32';

/** `_rebuild_sparse_tensor(layout, (indices…, values, size[, is_coalesced]))`. */
export const makeSparse = (
  [layout, data]: readonly PickleValue[],
  invalid: Invalid,
): ConvertedTensor | RefusedTensor => {
  const name = layout instanceof PickleGlobal ? layout.qualified : textOf(layout);
  const kind = COMPRESSED.get(name);
  const what = `sparse tensor (${name})`;
  if (kind === undefined && name !== 'torch.sparse_coo') return new RefusedTensor(`a ${what}`, HINT);
  const items = data instanceof PickleTuple ? data.items : [];
  const count = kind === undefined ? 2 : 3;
  if (items.length <= count) throw invalid('a sparse tensor without all its parts');
  const records = parts(items.slice(0, count), invalid);
  if (records instanceof RefusedTensor) return records;
  const size = sizeOf(items[count], invalid);
  const indices = records.slice(0, -1);
  const values = records.at(-1)!;
  if (!indices.every(({ dtype }) => isIndex(dtype)))
    throw invalid('a sparse tensor with indices of no integer type');
  // Expanded indices would put endless entries into the same place.
  if (indices.some(({ dims, storage }) => product(dims) > storage.elements))
    throw invalid('a sparse tensor with expanded indices');
  const entries =
    kind === undefined
      ? cooEntries(size, indices[0]!, values, invalid)
      : compressedEntries(kind, size, [indices[0]!, indices[1]!, values], invalid);
  const bytes = product(size) * (dtypeInfo(values.dtype).bits / 8);
  if (!(bytes <= MAX_DENSE)) {
    return new RefusedTensor(`a ${what} of ${bytes} bytes when dense (at most ${MAX_DENSE})`, HINT);
  }
  if (entries.steps * Math.ceil(bytes / WINDOW) > MAX_STEPS) {
    return new RefusedTensor(`a ${what} with ${entries.steps} entries, too many to make it dense here`, HINT);
  }
  return new ConvertedTensor(
    { what, form: 'dense', dtype: values.dtype, dims: size },
    () => new DenseSource(bytes, entries),
  );
};
