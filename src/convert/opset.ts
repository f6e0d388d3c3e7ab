/** Operator sets that the nn builder can write, and the IR version a model of each needs at least. */
import { OrthoError } from '../core/errors.ts';

export const DEFAULT_OPSET = 17;
export const OLDEST_OPSET = 13;
export const NEWEST_OPSET = 23;

/** IR 8 unless the opset was published with a later one (ONNX 1.14 to 1.18). */
export const irVersionFor = (opset: number): number => {
  if (opset >= 23) return 11;
  if (opset >= 21) return 10;
  return opset >= 19 ? 9 : 8;
};

/** @throws OrthoError op/unsupported outside the range above */
export const checkOpset = (opset: number): void => {
  if (Number.isInteger(opset) && opset >= OLDEST_OPSET && opset <= NEWEST_OPSET) return;
  throw new OrthoError(
    'op/unsupported',
    `opset ${opset} cannot be written: ${OLDEST_OPSET} to ${NEWEST_OPSET} can`,
    {
      hint: `leave out --opset for ${DEFAULT_OPSET}`,
    },
  );
};
