/** Operators that make tensors: constants, ranges, random numbers, windows. */
import type { DType } from '../../core/dtype.ts';
import type { Attribute } from '../../ir/attribute.ts';
import type { Dim, ValueType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import { isKnown } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

const CONSTANT_ATTRIBUTES = [
  'value',
  'value_float',
  'value_floats',
  'value_int',
  'value_ints',
  'value_string',
  'value_strings',
  'sparse_value',
] as const;

const typeOfConstant = (call: Call, attribute: Attribute): ValueType | undefined => {
  switch (attribute.kind) {
    case 'tensor':
      return call.out(attribute.value.dtype, attribute.value.dims)[0];
    case 'sparse_tensor':
      return call.out(attribute.value.values.dtype, attribute.value.dims)[0];
    case 'float':
      return call.out('float32', [])[0];
    case 'floats':
      return call.out('float32', [attribute.value.length])[0];
    case 'int':
      return call.out('int64', [])[0];
    case 'ints':
      return call.out('int64', [attribute.value.length])[0];
    case 'string':
      return call.out('string', [])[0];
    case 'strings':
      return call.out('string', [attribute.value.length])[0];
    default:
      return undefined;
  }
};

/** The attribute that holds a Constant's value; exactly one must be there. */
export const constantAttribute = (call: Call): Attribute => {
  const found = CONSTANT_ATTRIBUTES.flatMap((name) => call.attribute(name) ?? []);
  const [first] = found;
  if (first === undefined || found.length > 1) {
    call.fail('missing-attribute', `needs exactly one value attribute, found ${found.length}`);
  }
  return first;
};

const constant: Rule = (call) => [typeOfConstant(call, constantAttribute(call))];

const constantOfShape: Rule = (call) => {
  const dtype = call.tensor('value')?.dtype ?? 'float32';
  const dims = call.knownDims(0);
  for (const dim of dims ?? []) {
    if (isKnown(dim) && dim < 0) call.fail('attribute-range', `dimension ${dim} in the shape`);
  }
  return call.out(dtype, dims);
};

/** max(0, ceil((limit − start) / delta)) elements. */
const range: Rule = (call) => {
  const dtype = call.dtype(0) ?? call.dtype(1) ?? call.dtype(2);
  const [start, limit, delta] = [0, 1, 2].map((index) => call.knownScalar(index));
  if (delta === 0n || delta === 0) call.fail('attribute-range', 'delta is 0');
  const numeric = (element: typeof start): element is number | bigint =>
    typeof element === 'number' || typeof element === 'bigint';
  let count: Dim = null;
  if (numeric(start) && numeric(limit) && numeric(delta)) {
    count = Math.max(0, Math.ceil((Number(limit) - Number(start)) / Number(delta))) || 0;
  } else if ((start === 0n || start === 0) && (delta === 1n || delta === 1) && typeof limit === 'string') {
    count = limit;
  }
  return call.out(dtype, [count]);
};

/** Random tensors whose shape is an attribute. */
const random: Rule = (call) => {
  const shape = call.ints('shape');
  if (shape === undefined && !call.isUnbound('shape')) call.fail('missing-attribute', 'shape is missing');
  for (const dim of shape ?? []) {
    if (dim < 0) call.fail('attribute-range', `shape out of range (${dim})`);
  }
  return call.out(call.dtypeAttribute('dtype', 'float32'), shape);
};

const randomLike: Rule = (call) => call.out(call.dtypeAttribute('dtype', call.dtype(0)), call.shape(0));

const eyeLike: Rule = (call) => call.out(call.dtypeAttribute('dtype', call.dtype(0)), call.ranked(0, 2));

const multinomial: Rule = (call) =>
  call.out(call.dtypeAttribute('dtype', 'int32'), [
    call.ranked(0, 2)?.[0] ?? null,
    call.int('sample_size', 1),
  ]);

const windowFunction: Rule = (call) => {
  const size = call.knownScalar(0);
  if (typeof size === 'bigint' && size < 0n) call.fail('attribute-range', `size is ${size}`);
  const dim: Dim = typeof size === 'bigint' ? Number(size) : typeof size === 'string' ? size : null;
  return call.out(call.dtypeAttribute('output_datatype', 'float32' satisfies DType), [dim]);
};

/** [floor(dft_length / 2) + 1, num_mel_bins]. */
const melWeightMatrix: Rule = (call) => {
  const bins = call.knownScalar(0);
  const length = call.knownScalar(1);
  return call.out(call.dtypeAttribute('output_datatype', 'float32'), [
    typeof length === 'bigint' ? Math.floor(Number(length) / 2) + 1 : null,
    typeof bins === 'bigint' ? Number(bins) : null,
  ]);
};

export const generatorRules: RuleTable = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  RandomNormal: random,
  RandomUniform: random,
  RandomNormalLike: randomLike,
  RandomUniformLike: randomLike,
  Bernoulli: randomLike,
  EyeLike: eyeLike,
  Multinomial: multinomial,
  BlackmanWindow: windowFunction,
  HammingWindow: windowFunction,
  HannWindow: windowFunction,
  MelWeightMatrix: melWeightMatrix,
};
