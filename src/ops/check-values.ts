/**
 * Operator rules about values that shape inference has no need to look at: words and numbers of attributes, constants
 * that make the result undefined, results too large for any machine. What a node is given is known only as far as
 * constants lead to it; unknown values are never judged.
 */
import { byteLengthOf, dtypeInfo } from '../core/dtype.ts';
import type { FindingList } from '../ir/check-context.ts';
import type { Node } from '../ir/node.ts';
import type { ValueType } from '../ir/type.ts';
import type { Value } from '../ir/value.ts';
import { quoted } from '../proto/quote.ts';
import { Look } from './check-look.ts';
import { checkShapes } from './check-shapes.ts';
import type { Inference } from './infer/index.ts';

/** Results of this many bytes are told of even when they are no constants. */
const HUGE_RESULT = 2 ** 36;
/** A constant string beyond this many bytes is too large to compute ahead of time. */
const LONG_STRING = 2 ** 26;

/** Words that an attribute may have, by operator. Before some version an operator may have fewer of them. */
const WORDS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  BitShift: { direction: ['LEFT', 'RIGHT'] },
  DepthToSpace: { mode: ['DCR', 'CRD'] },
  Gelu: { approximate: ['none', 'tanh'] },
  GridSample: {
    mode: ['linear', 'nearest', 'cubic', 'bilinear', 'bicubic'],
    padding_mode: ['zeros', 'border', 'reflection'],
  },
  GRU: { direction: ['forward', 'reverse', 'bidirectional'] },
  LSTM: { direction: ['forward', 'reverse', 'bidirectional'] },
  RNN: { direction: ['forward', 'reverse', 'bidirectional'] },
  NegativeLogLikelihoodLoss: { reduction: ['none', 'sum', 'mean'] },
  SoftmaxCrossEntropyLoss: { reduction: ['none', 'sum', 'mean'] },
  Pad: { mode: ['constant', 'reflect', 'edge', 'wrap'] },
  Resize: {
    mode: ['nearest', 'linear', 'cubic'],
    coordinate_transformation_mode: [
      'half_pixel',
      'half_pixel_symmetric',
      'pytorch_half_pixel',
      'align_corners',
      'asymmetric',
      'tf_half_pixel_for_nn',
      'tf_crop_and_resize',
    ],
    nearest_mode: ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'],
    keep_aspect_ratio_policy: ['stretch', 'not_larger', 'not_smaller'],
  },
  RoiAlign: { mode: ['avg', 'max'], coordinate_transformation_mode: ['half_pixel', 'output_half_pixel'] },
  ScatterElements: { reduction: ['none', 'add', 'mul', 'max', 'min'] },
  ScatterND: { reduction: ['none', 'add', 'mul', 'max', 'min'] },
  StringNormalizer: { case_change_action: ['LOWER', 'UPPER', 'NONE'] },
  Upsample: { mode: ['nearest', 'linear', 'bilinear'] },
};

const ACTIVATIONS = new Set(
  [
    'Relu',
    'Tanh',
    'Sigmoid',
    'Affine',
    'LeakyRelu',
    'ThresholdedRelu',
    'ScaledTanh',
    'HardSigmoid',
    'Elu',
    'Softsign',
    'Softplus',
  ].map((name) => name.toLowerCase()),
);

/** Least and greatest value of an int attribute, by operator. */
const RANGES: Readonly<Record<string, Readonly<Record<string, readonly [number, number]>>>> = {
  GroupNormalization: { num_groups: [1, 2 ** 31] },
  GRU: { layout: [0, 1] },
  LRN: { size: [1, 2 ** 31] },
  LSTM: { layout: [0, 1] },
  LpPool: { p: [1, 2 ** 31] },
  MaxPool: { storage_order: [0, 1] },
  NonMaxSuppression: { center_point_box: [0, 1] },
  RNN: { layout: [0, 1] },
};

const checkRecurrent = (look: Look): void => {
  for (const name of look.strings('activations')) {
    if (!ACTIVATIONS.has(name.toLowerCase())) {
      look.error('attribute-range', `unknown activation ${quoted(name)}`);
    }
  }
};

const checkDirections = (look: Look): void => {
  for (const name of ['scan_input_directions', 'scan_output_directions', 'directions']) {
    const wrong = look.ints(name).find((direction) => direction !== 0n && direction !== 1n);
    if (wrong !== undefined) look.error('attribute-range', `${name} holds ${wrong}, expected 0 or 1`);
  }
};

/** Scales divide: 0 and NaN make every quantised value undefined. */
const checkScale = (look: Look): void => {
  const wrong = look.elements(1).find((scale) => !(Number(scale) > 0));
  if (wrong !== undefined) look.report('warning', 'quantization-scale', `scale ${wrong} is not positive`);
};

const checkZeroPoint = (look: Look): void => {
  checkScale(look);
  const [scale, zeroPoint] = [look.dims(1), look.dims(2)];
  if (scale === undefined || zeroPoint === undefined) return;
  const differ =
    scale.length !== zeroPoint.length ||
    scale.some((dim, axis) => dim !== undefined && zeroPoint[axis] !== undefined && dim !== zeroPoint[axis]);
  const isScalar = (dims: typeof scale): boolean => dims.every((dim) => dim === 1);
  if (differ && !(isScalar(scale) && isScalar(zeroPoint))) {
    look.error(
      'shape-mismatch',
      `scale [${scale.join(', ')}] and zero point [${zeroPoint.join(', ')}] differ in shape`,
    );
  }
};

/** Integers that a float becomes in Cast: outside the type the result is undefined in most runtimes. */
const checkCast = (look: Look): void => {
  const from = look.type(0);
  const target = look.outputType(0);
  if (from?.kind !== 'tensor' || from.dtype === undefined || dtypeInfo(from.dtype).kind !== 'float') return;
  const dtype = target?.kind === 'tensor' ? target.dtype : undefined;
  if (dtype === undefined) return;
  const { kind, bits, text } = dtypeInfo(dtype);
  if (kind !== 'int' && kind !== 'uint') return;
  const [low, high] = kind === 'int' ? [-(2 ** (bits - 1)), 2 ** (bits - 1)] : [0, 2 ** bits];
  const wrong = look.elements(0).find((element) => {
    const whole = Math.trunc(Number(element));
    return !(whole >= low && whole < high);
  });
  if (wrong !== undefined) look.report('warning', 'cast-range', `${wrong} does not fit ${text}`);
};

const checkShift = (look: Look): void => {
  const type = look.type(0);
  const bits = type?.kind === 'tensor' && type.dtype !== undefined ? dtypeInfo(type.dtype).bits : undefined;
  const wrong = bits === undefined ? undefined : look.elements(1).find((shift) => Number(shift) >= bits);
  if (wrong !== undefined)
    look.report('warning', 'shift-range', `a shift by ${wrong} of ${bits} bits is undefined`);
};

const checkPower = (look: Look): void => {
  const bases = look.elements(0);
  const exponents = look.elements(1);
  const isInteger = bases.length > 0 && bases.every((base) => typeof base === 'bigint');
  if (isInteger && bases.includes(0n) && exponents.some((exponent) => Number(exponent) < 0)) {
    look.error('division-by-zero', '0 to a negative power is a division by zero');
  }
};

const checkResize = (look: Look, opset: number): void => {
  if (opset < 11) return;
  const empty = (index: number): boolean => !look.has(index) || look.dims(index)?.[0] === 0;
  const [scales, sizes] = [!empty(2), !empty(3)];
  if (scales === sizes) {
    look.error(
      'missing-input',
      `exactly one of scales and sizes is needed, found ${scales ? 'both' : 'none'}`,
    );
  }
};

const checkSplit = (look: Look, opset: number): void => {
  if (opset < 18 || look.node.attributes.get('num_outputs')?.kind === 'reference') return;
  const given = look.has(1);
  if (given === (look.int('num_outputs') !== undefined)) {
    look.error(
      'missing-input',
      `exactly one of split and num_outputs is needed, found ${given ? 'both' : 'none'}`,
    );
  }
};

/** An input that must have this many elements. */
const checkCount =
  (index: number, name: string, count: number) =>
  (look: Look): void => {
    const dims = look.dims(index);
    if (dims === undefined || dims.includes(undefined)) return;
    const found = dims.reduce<number>((product, dim) => product * dim!, 1);
    if (found !== count) look.error('shape-mismatch', `${name} must have ${count} elements, found ${found}`);
  };

const checkGrid = (look: Look): void => {
  const [rank, grid] = [look.dims(0)?.length, look.dims(1)];
  const last = grid?.at(-1);
  if (rank !== undefined && last !== undefined && last !== rank - 2) {
    look.error('shape-mismatch', `the last dimension of grid is ${last}, expected ${rank - 2}`);
  }
};

const checkGroups = (look: Look): void => {
  const channels = look.dims(0)?.[1];
  const groups = Number(look.int('num_groups') ?? 1n);
  if (channels !== undefined && groups > 0 && channels % groups !== 0) {
    look.error('shape-mismatch', `${channels} channels do not divide into ${groups} groups`);
  }
};

const checkEquation = (look: Look): void => {
  const equation = look.string('equation') ?? '';
  const wrong = /[^A-Za-z.,\s>-]/.exec(equation)?.[0];
  if (wrong !== undefined)
    look.error('attribute-range', `${quoted(wrong)} in the equation ${quoted(equation)}`);
};

const checkFill = (look: Look): void => {
  const value = look.node.attributes.get('value');
  if (value?.kind !== 'tensor') return;
  const count = value.value.dims.reduce((a, b) => a * b, 1);
  if (count !== 1) look.error('attribute-range', `value must have one element, found ${count}`);
};

const checkBranches = (look: Look): void => {
  for (const name of ['then_branch', 'else_branch']) {
    const branch = look.node.attributes.get(name);
    const inputs = branch?.kind === 'graph' ? branch.value.inputs.length : 0;
    if (inputs > 0) look.error('subgraph-arity', `${name} must have no inputs, found ${inputs}`);
  }
};

/** The body of a loop says first whether to go on. */
const checkLoop = (look: Look): void => {
  const body = look.node.attributes.get('body');
  const condition = body?.kind === 'graph' ? body.value.outputs[0] : undefined;
  const type = condition && look.typeOf(condition);
  if (type === undefined || (type.kind === 'tensor' && (type.dtype ?? 'bool') === 'bool')) return;
  const found = type.kind === 'tensor' ? type.dtype : type.kind;
  look.error('type-mismatch', `the condition that the body gives is ${found}, expected bool`);
};

const checkPosition = (look: Look): void => {
  const type = look.node.inputs[0]?.producer;
  if (!type?.is('SequenceConstruct')) return;
  const count = type.inputs.length;
  const wrong = look.elements(1).find((index) => Number(index) < -count || Number(index) >= count);
  if (wrong !== undefined)
    look.error('index-range', `position ${wrong} is out of range for ${count} elements`);
};

const RULES: Readonly<Record<string, (look: Look, opset: number) => void>> = {
  BitShift: checkShift,
  Cast: checkCast,
  ConstantOfShape: checkFill,
  DequantizeLinear: checkZeroPoint,
  Einsum: checkEquation,
  GridSample: checkGrid,
  GroupNormalization: checkGroups,
  GRU: checkRecurrent,
  If: checkBranches,
  Loop: checkLoop,
  LSTM: checkRecurrent,
  OneHot: checkCount(2, 'values', 2),
  Pow: checkPower,
  QuantizeLinear: checkZeroPoint,
  Resize: checkResize,
  RNN: checkRecurrent,
  Scan: checkDirections,
  SequenceAt: checkPosition,
  Split: checkSplit,
  TopK: (look, opset) => {
    if (opset >= 10) checkCount(1, 'K', 1)(look);
  },
};

const ownEntry = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

const resultBytes = (type: ValueType | undefined): number => {
  if (type?.kind !== 'tensor' || type.dtype === undefined || type.shape === undefined) return 0;
  let count = 1;
  for (const dim of type.shape) {
    if (typeof dim !== 'number') return 0;
    count *= dim;
  }
  return dtypeInfo(type.dtype).bits === 0 ? count : byteLengthOf(type.dtype, count);
};

const checkSize = (look: Look, inference: Inference): void => {
  if (look.node.is('Constant')) return;
  for (const output of look.node.outputs) {
    const bytes = resultBytes(inference.typeOf(output));
    if (bytes < HUGE_RESULT || inference.constancyOf(output) !== undefined) continue;
    look.report('warning', 'result-too-large', `the result takes ${bytes} bytes`);
    return;
  }
};

/** Judges the values of nodes of a model one after the other, in topological order. */
export class ValueChecker {
  readonly #inference: Inference;
  readonly #findings: FindingList;
  /** Bytes of the longest element of string values that constants lead to. */
  readonly #lengths = new Map<Value, number>();

  constructor(inference: Inference, findings: FindingList) {
    this.#inference = inference;
    this.#findings = findings;
  }

  check(node: Node, place: string, opset: number): void {
    if (node.domain !== '') return;
    const look = new Look(node, place, opset, this.#inference, this.#findings);
    for (const [name, words] of Object.entries(ownEntry(WORDS, node.op) ?? {})) {
      const word = look.string(name);
      // An empty word is how some writers leave an attribute out.
      if (word && !words.includes(word)) {
        look.error('attribute-range', `${name} ${quoted(word)} is none of ${words.join(', ')}`);
      }
    }
    for (const [name, [low, high]] of Object.entries(ownEntry(RANGES, node.op) ?? {})) {
      const number = look.int(name);
      if (number !== undefined && (number < low || number > high)) {
        const expected = high >= 2 ** 31 ? `at least ${low}` : `${low} to ${high}`;
        look.error('attribute-range', `${name} is ${number}, expected ${expected}`);
      }
    }
    ownEntry(RULES, node.op)?.(look, opset);
    checkShapes(look);
    checkSize(look, this.#inference);
    if (node.is('StringConcat')) this.#checkLength(look);
  }

  #lengthOf(value: Value | undefined): number | undefined {
    const stored = value?.constant?.strings;
    if (stored) return stored.reduce((longest, text) => Math.max(longest, text.length), 0);
    return value && this.#lengths.get(value);
  }

  /** Concatenation doubles what it is given twice: forty times make a terabyte of one letter. */
  #checkLength(look: Look): void {
    const [a, b] = look.node.inputs.map((value) => this.#lengthOf(value));
    const output = look.node.outputs[0];
    if (a === undefined || b === undefined || output === undefined) return;
    const length = a + b;
    this.#lengths.set(output, length);
    if (length > LONG_STRING && Math.max(a, b) <= LONG_STRING) {
      look.report(
        'warning',
        'constant-too-large',
        `constant result is too large to fold (a string of ${length} bytes, the limit is ${LONG_STRING})`,
      );
    }
  }
}
