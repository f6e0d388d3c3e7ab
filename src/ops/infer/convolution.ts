/** Convolutions. X is [N, C, spatial…], W is [M, C / group, kernel…]; ConvTranspose's W is [C, M / group, kernel…]. */
import type { Dim, Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown, mulDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';
import { slide, type Window, windowOf } from './window.ts';

const groupOf = (call: Call): number => {
  const group = call.int('group', 1);
  if (group < 1) call.fail('attribute-range', `group is ${group}, expected at least 1`);
  return group;
};

const bias = (call: Call, index: number, channels: Dim): void => {
  if (!call.has(index)) return;
  const shape = call.ranked(index, 1);
  call.same(shape?.[0], channels, 'bias length and output channels');
};

/** The output shape of a convolution whose data and weight are inputs `x` and `w`. */
export const convolutionShape = (call: Call, x: number, w: number, b?: number): Shape | undefined => {
  const input = call.atLeast(x, 3);
  const weight = call.atLeast(w, 3);
  const group = groupOf(call);
  const rank = input?.length ?? weight?.length;
  if (rank === undefined) return undefined;
  if (input && weight && input.length !== weight.length) {
    call.fail('rank-mismatch', `input and weight have ranks ${input.length} and ${weight.length}`);
  }
  const window = windowOf(call, rank - 2, weight?.slice(2) ?? call.ints('kernel_shape') ?? []);
  const channels = weight?.[0] ?? null;
  if (weight) {
    call.same(input?.[1], mulDims(weight[1] as Dim, group), 'input channels and weight channels × group:');
    if (isKnown(channels) && channels % group !== 0) {
      call.fail('shape-mismatch', `${channels} output channels do not divide into ${group} groups`);
    }
  }
  if (b !== undefined) bias(call, b, channels);
  if (input === undefined) return [null, channels, ...new Array<null>(rank - 2).fill(null)];
  const spatial = slide(call, input.slice(2), window);
  return [input[0] as Dim, channels, ...spatial];
};

const conv: Rule = (call) => call.out(call.dtype(0) ?? call.dtype(1), convolutionShape(call, 0, 1, 2));

const transposedSize = (call: Call, input: Shape, window: Window): Dim[] => {
  const spatial = input.length;
  const shape = call.ints('output_shape');
  if (shape) {
    if (shape.length !== spatial) {
      call.fail('rank-mismatch', `output_shape has ${shape.length} entries, expected ${spatial}`);
    }
    return shape.map((size) =>
      size < 0 ? call.fail('attribute-range', `output_shape out of range (${size})`) : size,
    );
  }
  const padding = call.ints('output_padding') ?? new Array<number>(spatial).fill(0);
  if (padding.length !== spatial) {
    call.fail('rank-mismatch', `output_padding has ${padding.length} entries, expected ${spatial}`);
  }
  return input.map((size, i) => {
    const stride = window.strides[i] as number;
    if (window.autoPad.startsWith('SAME')) return mulDims(size, stride);
    const kernel = window.kernel[i] as Dim;
    if (!isKnown(kernel)) return null;
    const pads = (window.pads[i] as number) + (window.pads[i + spatial] as number);
    const grow = (padding[i] as number) + (window.dilations[i] as number) * (kernel - 1) + 1 - pads - stride;
    if (isKnown(size)) return size === 0 ? 0 : stride * size + grow;
    return stride === 1 && grow === 0 ? size : null;
  });
};

const convTranspose: Rule = (call) => {
  const input = call.atLeast(0, 3);
  const weight = call.atLeast(1, 3);
  const group = groupOf(call);
  const rank = input?.length ?? weight?.length;
  if (rank === undefined) return call.out(call.dtype(0), undefined);
  if (input && weight && input.length !== weight.length) {
    call.fail('rank-mismatch', `input and weight have ranks ${input.length} and ${weight.length}`);
  }
  const window = windowOf(call, rank - 2, weight?.slice(2) ?? call.ints('kernel_shape') ?? []);
  call.same(input?.[1], weight?.[0], 'input channels and weight channels');
  const channels = weight ? mulDims(weight[1] as Dim, group) : null;
  bias(call, 2, channels);
  const spatial = input ? transposedSize(call, input.slice(2), window) : new Array<null>(rank - 2).fill(null);
  return call.out(call.dtype(0) ?? call.dtype(1), [input?.[0] ?? null, channels, ...spatial]);
};

/** Inputs: X, W, offset, B, mask. */
const deformConv: Rule = (call) => call.out(call.dtype(0), convolutionShape(call, 0, 1, 3));

const convInteger: Rule = (call) => call.out('int32', convolutionShape(call, 0, 1));

/** Inputs: x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, B. */
const qLinearConv: Rule = (call) => call.out(call.dtype(7), convolutionShape(call, 0, 3, 8));

export const convolutionRules: RuleTable = {
  Conv: conv,
  ConvTranspose: convTranspose,
  DeformConv: deformConv,
  ConvInteger: convInteger,
  QLinearConv: qLinearConv,
};
