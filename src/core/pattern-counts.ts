/**
 * How often each bit pattern occurs in the elements of a tensor. Types of 8 and 16 bits have so few that whatever is
 * asked about their values is cheaper to compute from these counts than element by element.
 */
import { type DType, dtypeInfo } from './dtype.ts';
import { elementBatches } from './element-reader.ts';
import { type ByteSource, BytesSource } from './source.ts';

export interface PatternCounts {
  /** What each pattern means. */
  readonly values: Float64Array;
  /** How many elements have it. */
  readonly counts: Int32Array;
}

const CHUNK = 1 << 16;
/** From here on, 65,536 counts cost less than the elements do. */
const WORTHWHILE = 1 << 16;
/** Counts are 32-bit integers. */
const MAX_COUNT = 2 ** 31 - 1;

const valuesByType = new Map<DType, Float64Array>();

const valuesOf = (dtype: DType): Float64Array => {
  const known = valuesByType.get(dtype);
  if (known !== undefined) return known;
  const all =
    dtypeInfo(dtype).bits === 8
      ? Uint8Array.from({ length: 1 << 8 }, (_, pattern) => pattern)
      : new Uint8Array(Uint16Array.from({ length: 1 << 16 }, (_, pattern) => pattern).buffer);
  const values = new Float64Array(all.length / (dtypeInfo(dtype).bits / 8));
  let at = 0;
  for (const batch of elementBatches(dtype, new BytesSource(all))) {
    values.set(batch, at);
    at += batch.length;
  }
  valuesByType.set(dtype, values);
  return values;
};

let stored: Uint8Array | undefined;

/**
 * The counts of a tensor of 8 or 16 bits an element; undefined where elements have other sizes, or are too few or too
 * many for it. The counts are the caller's own.
 */
export const countPatterns = (dtype: DType, data: ByteSource, count: number): PatternCounts | undefined => {
  const { bits } = dtypeInfo(dtype);
  const isWorthwhile = bits === 8 || (bits === 16 && count >= WORTHWHILE);
  if (!isWorthwhile || count > MAX_COUNT) return undefined;
  stored ??= new Uint8Array(CHUNK);
  const patterns = 1 << bits;
  // Even and odd elements are counted apart: equal neighbours (zeros) need not wait for each other.
  const counts = new Int32Array(2 * patterns);
  const size = count * (bits / 8);
  for (let at = 0; at < size; at += CHUNK) {
    const bytes = stored.subarray(0, Math.min(CHUNK, size - at));
    data.readInto(bytes, at);
    if (bits === 8) countElements(bytes, counts, patterns);
    else countElements(new Uint16Array(bytes.buffer, 0, bytes.length / 2), counts, patterns);
  }
  for (let pattern = 0; pattern < patterns; pattern++) counts[pattern]! += counts[patterns + pattern]!;
  return { values: valuesOf(dtype), counts: counts.subarray(0, patterns) };
};

const countElements = (elements: Uint8Array | Uint16Array, counts: Int32Array, patterns: number): void => {
  const pairs = elements.length & ~1;
  for (let i = 0; i < pairs; i += 2) {
    const even = elements[i]!;
    const odd = elements[i + 1]! + patterns;
    counts[even] = (counts[even]! + 1) | 0;
    counts[odd] = (counts[odd]! + 1) | 0;
  }
  if (pairs < elements.length) counts[elements[pairs]!]!++;
};
