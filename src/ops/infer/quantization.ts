/** Quantisation and dequantisation: the shape stays, the element type changes. */
import type { DType } from '../../core/dtype.ts';
import { tensorType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { showShape } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/** Per-axis scales have one entry per slice; with block_size they have the data's rank. */
const checkScale = (call: Call): void => {
  const data = call.shape(0);
  const scale = call.shape(1);
  const block = call.int('block_size', 0);
  if (block < 0) call.fail('attribute-range', `block_size is ${block}`);
  if (!data || !scale || scale.length === 0 || (scale.length === 1 && scale[0] === 1)) return;
  if (block > 0) {
    if (scale.length !== data.length) {
      call.fail('rank-mismatch', `blocked scale ${showShape(scale)} for data ${showShape(data)}`);
    }
    return;
  }
  if (scale.length > 1) return;
  const axis = call.axis(call.int('axis', 1), data.length);
  call.same(scale[0], data[axis], `scale length and the size of axis ${axis}:`);
};

/** output_dtype; 0 means "not given". */
const givenDtype = (call: Call): DType | undefined =>
  call.int('output_dtype', 0) === 0 ? undefined : call.dtypeAttribute('output_dtype');

const quantizeLinear: Rule = (call) => {
  checkScale(call);
  return call.out(call.has(2) ? call.dtype(2) : (givenDtype(call) ?? 'uint8'), call.shape(0));
};

/** The result has the scale's type, unless output_dtype (opset 23) says otherwise. */
const dequantizeLinear: Rule = (call) => {
  checkScale(call);
  const data = call.dtype(0);
  const zeroPoint = call.has(2) ? call.dtype(2) : undefined;
  if (data && zeroPoint && data !== zeroPoint) {
    call.fail('type-mismatch', `x is ${data}, its zero point ${zeroPoint}`);
  }
  return call.out(givenDtype(call) ?? call.dtype(1) ?? 'float32', call.shape(0));
};

const dynamicQuantizeLinear: Rule = (call) => [
  tensorType('uint8', call.shape(0)),
  tensorType('float32', []),
  tensorType('uint8', []),
];

export const quantizationRules: RuleTable = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  DynamicQuantizeLinear: dynamicQuantizeLinear,
};
