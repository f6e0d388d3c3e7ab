/** Pooling over the spatial axes of [N, C, spatial…]. */
import type { Dim, Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown, mulDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';
import { slide, windowOf } from './window.ts';

/** The number of windows along each spatial axis. */
export const pooledSizes = (call: Call, spatial: Shape): Dim[] =>
  slide(call, spatial, windowOf(call, spatial.length), call.int('ceil_mode', 0) !== 0);

const pooled = (call: Call): Dim[] | undefined => {
  const input = call.atLeast(0, 3);
  return input && [...input.slice(0, 2), ...pooledSizes(call, input.slice(2))];
};

const pool: Rule = (call) => call.out(call.dtype(0), pooled(call));

const maxPool: Rule = (call) => {
  const shape = pooled(call);
  return [...call.out(call.dtype(0), shape), ...call.out('int64', shape)];
};

const globalPool: Rule = (call) =>
  call.out(
    call.dtype(0),
    call.atLeast(0, 2)?.map((dim, axis) => (axis < 2 ? dim : 1)),
  );

/** The inverse of MaxPool: (n − 1)·stride + kernel − pads, unless `output_shape` says otherwise. */
const maxUnpool: Rule = (call) => {
  const input = call.atLeast(0, 3);
  if (call.has(2)) {
    const wanted = call.knownDims(2);
    return call.out(call.dtype(0), wanted ?? input?.map(() => null));
  }
  if (input === undefined) return call.out(call.dtype(0), undefined);
  const spatial = input.length - 2;
  const { kernel, strides, pads } = windowOf(call, spatial);
  const sizes = input.slice(2).map((size, i): Dim => {
    const stride = strides[i] as number;
    const grow = Number(kernel[i]) - stride - (pads[i] as number) - (pads[i + spatial] as number);
    return isKnown(size) ? size * stride + grow : grow === 0 ? mulDims(size, stride) : null;
  });
  return call.out(call.dtype(0), [...input.slice(0, 2), ...sizes]);
};

export const poolingRules: RuleTable = {
  MaxPool: maxPool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
  MaxUnpool: maxUnpool,
};
