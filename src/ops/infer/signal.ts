/** Fourier transforms. The last axis holds the real and imaginary parts (1 or 2). */
import type { Dim } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown, unknownDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

const scalarOf = (call: Call, index: number): Dim => {
  const element = call.knownScalar(index);
  return typeof element === 'bigint' ? Number(element) : null;
};

/** One-sided: floor(n / 2) + 1 bins; the inverse of a one-sided transform (opset 20) is real, n long. */
const dft: Rule = (call) => {
  const shape = call.atLeast(0, 2);
  const dtype = call.dtype(0);
  if (shape === undefined) return call.out(dtype, undefined);
  const inverse = call.int('inverse', 0) !== 0;
  const onesided = call.int('onesided', 0) !== 0;
  const axis: Dim = call.opset < 20 ? call.int('axis', 1) : call.has(2) ? scalarOf(call, 2) : -2;
  if (!isKnown(axis)) return call.out(dtype, unknownDims(shape.length));
  const at = call.axis(axis, shape.length);
  if (at === shape.length - 1)
    call.fail('axis-range', `axis ${axis} is the axis of real and imaginary parts`);
  const length = call.has(1) ? scalarOf(call, 1) : (shape[at] as Dim);
  const dims: Dim[] = [...shape];
  dims[at] = length;
  if (onesided && !inverse) dims[at] = isKnown(length) ? Math.floor(length / 2) + 1 : null;
  if (onesided && inverse && !call.has(1)) dims[at] = isKnown(length) ? 2 * (length - 1) : null;
  dims[shape.length - 1] = onesided && inverse ? 1 : 2;
  return call.out(dtype, dims);
};

/** [batch, floor((length − frame) / step) + 1, bins, 2]. */
const stft: Rule = (call) => {
  const signal = call.atLeast(0, 2);
  const step = scalarOf(call, 1);
  const frame = call.has(3) ? scalarOf(call, 3) : call.has(2) ? (call.shape(2)?.[0] ?? null) : null;
  if (isKnown(step) && step < 1) call.fail('attribute-range', `frame_step is ${step}`);
  const length = signal?.[1];
  const frames =
    isKnown(length) && isKnown(frame) && isKnown(step) ? Math.floor((length - frame) / step) + 1 : null;
  const onesided = call.int('onesided', 1) !== 0;
  const bins = isKnown(frame) ? (onesided ? Math.floor(frame / 2) + 1 : frame) : null;
  return call.out(call.dtype(0), [signal?.[0] ?? null, frames, bins, 2]);
};

export const signalRules: RuleTable = { DFT: dft, STFT: stft };
