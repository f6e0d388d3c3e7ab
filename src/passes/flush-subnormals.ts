/**
 * Subnormal floats in constants become zeros of the same sign. A change is one tensor.
 *
 * Arithmetic on subnormal numbers is 4 to 19 times slower on common processors, while what they add is below the
 * rounding of any sum they meet: |w| < 2^-126 in float32, bfloat16 and complex64, 2^-1022 in float64 and complex128.
 *
 * Hazards: a float16 subnormal (|w| < 2^-14) is neither slow, because processors compute with it in float32, nor
 * negligible, so float16 stays as it is. The default of an overridable initializer is the caller's.
 */
import { countFloats, hasFloatCensus } from '../core/float-census.ts';
import { type Tensor, tensorBytes, tensorOf } from '../core/tensor.ts';
import { tensor as tensorAttribute } from '../ir/attribute.ts';
import { allGraphs } from '../ir/graph.ts';
import type { Pass, PassContext } from './pass.ts';

/** Bytes of a lane (a complex number is two) and the exponent's mask in its uppermost 16 bits. */
const LANES = new Map([
  ['float32', { size: 4, exponent: 0x7f80 }],
  ['bfloat16', { size: 2, exponent: 0x7f80 }],
  ['complex64', { size: 4, exponent: 0x7f80 }],
  ['float64', { size: 8, exponent: 0x7ff0 }],
  ['complex128', { size: 8, exponent: 0x7ff0 }],
]);

/** A copy in which every lane with a zero exponent keeps its sign and nothing else; undefined when there is none. */
const flushed = (tensor: Tensor, context: PassContext): Tensor | undefined => {
  if (!hasFloatCensus(tensor.dtype) || countFloats(tensor.dtype, tensor.data).subnormals === 0)
    return undefined;
  const lane = LANES.get(tensor.dtype);
  if (lane === undefined) {
    context.decline(`${tensor.dtype} subnormals are not negligible`);
    return undefined;
  }
  const bytes = tensorBytes(tensor).slice();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += lane.size) {
    const upper = view.getUint16(at + lane.size - 2, true);
    if ((upper & lane.exponent) !== 0) continue;
    bytes.fill(0, at, at + lane.size);
    view.setUint16(at + lane.size - 2, upper & 0x8000, true);
  }
  return tensorOf(tensor.dtype, tensor.dims, bytes);
};

export const flushSubnormals: Pass = {
  name: 'flush-subnormals',
  summary: 'turn subnormal constants into zeros',
  worksInFunctions: true,
  run(graph, context) {
    let changes = 0;
    for (const one of allGraphs(graph)) {
      for (const value of one.initializers) {
        if (value.constant === undefined) continue;
        const tensor = flushed(value.constant, context);
        if (tensor === undefined) continue;
        one.setInitializer(value, tensor);
        changes++;
      }
      for (const node of one.nodes) {
        const attribute = node.is('Constant') ? node.attributes.get('value') : undefined;
        if (attribute?.kind !== 'tensor') continue;
        const tensor = flushed(attribute.value, context);
        if (tensor === undefined) continue;
        node.setAttribute('value', tensorAttribute(tensor));
        changes++;
      }
    }
    return changes;
  },
};
