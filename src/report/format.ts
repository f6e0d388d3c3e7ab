/** Numbers, sizes and shapes as people read them. Names from files are made printable here, once for all renderers. */
import type { Place } from '../core/errors.ts';
import { printable } from '../core/printable.ts';

/** Stands for null, undefined and "not defined". */
export const NONE = '–';

const scaled = (value: number, step: number, units: readonly string[]): string => {
  let unit = 0;
  let rest = value;
  while (rest >= step && unit < units.length - 1) {
    rest /= step;
    unit++;
  }
  const digits = unit === 0 || rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return `${rest.toFixed(digits)}${units[unit]}`;
};

/** 13631488 is `13.6 MB` (powers of 1000). */
export const formatBytes = (bytes: number): string => scaled(bytes, 1000, [' B', ' kB', ' MB', ' GB', ' TB']);

/** Up to 99999 in full, beyond that `3.50 M`. */
export const formatCount = (count: number): string =>
  count < 100_000 ? String(count) : scaled(count, 1000, ['', ' k', ' M', ' G', ' T']);

/** A measured number with four significant digits (or as many as wanted); `inf` and `nan` spelt out. */
export const formatNumber = (value: number, digits = 4): string => {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 2).replace(/\.?0+e/, 'e');
  return String(Number(value.toPrecision(digits)));
};

/** Milliseconds with three significant digits. */
export const formatMs = (ms: number): string =>
  !Number.isFinite(ms)
    ? formatNumber(ms)
    : ms >= 100
      ? ms.toFixed(0)
      : ms >= 10
        ? ms.toFixed(1)
        : ms.toFixed(ms >= 1 ? 2 : 3);

/** `[1, 3, height, ?]`; undefined or null rank is `?`. */
export const formatShape = (shape: readonly (number | string | null)[] | null): string =>
  shape === null ? '?' : `[${shape.map((dim) => (dim === null ? '?' : printable(String(dim)))).join(', ')}]`;

/** Names with counts, most frequent first: `Conv 52, Clip 35`. */
export const formatOps = (ops: Readonly<Record<string, number>>): string => {
  const entries = Object.entries(ops).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return entries.length === 0 ? NONE : entries.map(([op, count]) => `${printable(op)} ${count}`).join(', ');
};

/** `flushedSubnormals` is `flushed subnormals`. */
export const formatLabel = (key: string): string =>
  printable(key.replace(/[a-z0-9][A-Z]/g, (pair) => `${pair[0]} ${pair[1]!.toLowerCase()}`));

/** Any scalar of a report. */
export const formatScalar = (value: unknown): string => {
  if (value === null || value === undefined) return NONE;
  if (typeof value === 'number') return formatNumber(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return printable(String(value));
};

/** `node "conv1", value "x"`. */
export const formatPlace = (at: Place): string =>
  Object.entries(at)
    .map(([kind, name]) => `${kind} "${printable(String(name))}"`)
    .join(', ');
