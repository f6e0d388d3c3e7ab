/**
 * Shapes as torch.nn computes them: sliding windows and broadcasting, with symbolic dimensions kept where they hold.
 * Source: the "Shape" sections of torch.nn.Conv2d, MaxPool2d and AvgPool2d.
 */
import { OrthoError } from '../core/errors.ts';
import type { Dim, Shape } from '../ir/type.ts';

/** One value for both spatial dimensions, or [height, width]. */
export type Pair = number | readonly [number, number];

export const pair = (value: Pair): readonly [number, number] =>
  typeof value === 'number' ? [value, value] : value;

export const formatShape = (shape: Shape | undefined): string =>
  shape === undefined ? 'unknown' : `[${shape.map((dim) => dim ?? '?').join(', ')}]`;

export interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly ceilMode: boolean;
}

/**
 * ⌊(in + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, or ⌈ ⌉ in ceil mode, where torch drops a last window
 * that would start in the right padding. A symbolic size survives a window that keeps it; any other result is unknown.
 * `undefined` means that no window fits.
 */
export const windowedSize = (size: Dim, window: Window): Dim | undefined => {
  const { kernel, stride, padding, dilation, ceilMode } = window;
  const reach = dilation * (kernel - 1) + 1;
  if (typeof size !== 'number') return stride === 1 && 2 * padding === reach - 1 ? size : null;
  const steps = (size + 2 * padding - reach) / stride;
  if (steps < 0) return undefined;
  if (!ceilMode) return Math.floor(steps) + 1;
  const count = Math.ceil(steps) + 1;
  return (count - 1) * stride >= size + padding ? count - 1 : count;
};

/** NumPy broadcasting of two shapes; undefined where they do not fit. */
export const broadcastShapes = (a: Shape, b: Shape): Shape | undefined => {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const left = i < rank - a.length ? 1 : (a[i - rank + a.length] as Dim);
    const right = i < rank - b.length ? 1 : (b[i - rank + b.length] as Dim);
    if (left === 1 || left === right) result.push(right);
    else if (right === 1) result.push(left);
    else if (typeof left === 'number' && typeof right === 'number') return undefined;
    else result.push(typeof left === 'number' ? left : typeof right === 'number' ? right : null);
  }
  return result;
};

/** The product of known dimensions; null when one is unknown, the symbol itself when it stands alone. */
export const productOf = (dims: Shape): Dim => {
  const others = dims.filter((dim) => dim !== 1);
  if (others.length === 1) return others[0] as Dim;
  return others.reduce<Dim>(
    (product, dim) => (typeof product === 'number' && typeof dim === 'number' ? product * dim : null),
    1,
  );
};

/** An axis counted from the end when negative. @throws internal/bug outside the rank. */
export const axisOf = (axis: number, rank: number): number => {
  const resolved = axis < 0 ? axis + rank : axis;
  if (resolved < 0 || resolved >= rank)
    throw new OrthoError('internal/bug', `axis ${axis} of a tensor of rank ${rank}`);
  return resolved;
};
