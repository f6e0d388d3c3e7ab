/**
 * Sliding windows, shared by convolution and pooling. Along one axis of size n, with effective kernel
 * e = dilation·(k − 1) + 1 and total padding p:
 *   out = floor((n + p − e) / stride) + 1            (ceil in ceil_mode)
 *   SAME_UPPER, SAME_LOWER: ceil(n / stride);  VALID: p = 0
 * Source: the ONNX operator documents of Conv, MaxPool and AveragePool.
 */
import type { Dim, Shape } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown, unknownDims } from './dims.ts';

export type AutoPad = 'NOTSET' | 'SAME_UPPER' | 'SAME_LOWER' | 'VALID';

export interface Window {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Begins, then ends. */
  readonly pads: readonly number[];
  readonly autoPad: AutoPad;
}

const AUTO_PADS: readonly string[] = ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'] satisfies AutoPad[];

/** The entries of a list attribute; those out of range go to `faults`, so that all lists are judged. */
const perAxis = (
  call: Call,
  name: string,
  count: number,
  lowest: number,
  fallback: number,
  faults: string[],
): number[] => {
  const values = call.ints(name) ?? new Array<number>(count).fill(fallback);
  if (values.length !== count) {
    call.fail('rank-mismatch', `${name} has ${values.length} entries, expected ${count}`);
  }
  const outside = values.find((value) => value < lowest || value > 2 ** 31);
  if (outside !== undefined) faults.push(`${name} out of range (${outside})`);
  return values;
};

/** auto_pad, an unknown word refused. */
const autoPadOf = (call: Call): AutoPad => {
  const text = call.string('auto_pad') || 'NOTSET';
  if (!AUTO_PADS.includes(text)) call.fail('attribute-range', `unknown auto_pad "${text}"`);
  return text as AutoPad;
};

/**
 * The window attributes over `spatial` axes.
 * @param kernel the kernel's dimensions where the weight gives them; the attribute must agree
 */
export const windowOf = (call: Call, spatial: number, kernel?: Shape): Window => {
  const attribute = call.ints('kernel_shape');
  const faults: string[] = [];
  if (attribute) {
    perAxis(call, 'kernel_shape', spatial, 1, 1, faults);
    attribute.forEach((size, i) => {
      call.same(size, kernel?.[i], `kernel_shape and weight: sizes along axis ${i}`);
    });
  } else if (kernel === undefined && !call.isUnbound('kernel_shape')) {
    call.fail('missing-attribute', 'kernel_shape is missing');
  }
  const window: Window = {
    kernel: attribute ?? kernel ?? unknownDims(spatial),
    strides: perAxis(call, 'strides', spatial, 1, 1, faults),
    dilations: perAxis(call, 'dilations', spatial, 1, 1, faults),
    pads: perAxis(call, 'pads', 2 * spatial, 0, 0, faults),
    autoPad: autoPadOf(call),
  };
  const last = faults.pop();
  for (const fault of faults) call.warn('attribute-range', fault, 'error');
  return last === undefined ? window : call.fail('attribute-range', last);
};

/** The number of window positions along each axis. */
export const slide = (call: Call, input: Shape, window: Window, ceilMode = false): Dim[] =>
  input.map((size, i) => {
    const stride = window.strides[i] as number;
    const kernel = window.kernel[i] as Dim;
    const dilation = window.dilations[i] as number;
    if (window.autoPad === 'SAME_UPPER' || window.autoPad === 'SAME_LOWER') {
      return stride === 1 ? size : isKnown(size) ? Math.ceil(size / stride) : null;
    }
    if (!isKnown(kernel)) return null;
    const begin = window.autoPad === 'VALID' ? 0 : (window.pads[i] as number);
    const end = window.autoPad === 'VALID' ? 0 : (window.pads[i + input.length] as number);
    const effective = dilation * (kernel - 1) + 1;
    const grow = begin + end - effective;
    if (!isKnown(size)) return stride === 1 && grow === -1 ? size : null;
    if (size === 0) return 0;
    if (size + grow < 0) {
      call.fail(
        'negative-dimension',
        `the kernel spans ${effective} along spatial axis ${i}, the padded input only ${size + begin + end}`,
      );
    }
    const steps = (size + grow) / stride;
    if (!ceilMode) return Math.floor(steps) + 1;
    const count = Math.ceil(steps) + 1;
    // A window that would start in the end padding is left out.
    return (count - 1) * stride >= size + begin ? count - 1 : count;
  });
