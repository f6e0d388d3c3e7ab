/**
 * Operator rules about the shapes of inputs that shape inference has no need to look at: what must be one element or a
 * list, what belongs to each other. Unknown dimensions are never judged.
 */
import { dtypeInfo } from '../core/dtype.ts';
import { quoted } from '../proto/quote.ts';
import type { Look } from './check-look.ts';

type Dims = readonly (number | undefined)[];

/** Inputs of one element: a scalar, or (all runtimes take it) a list of one. */
const SINGLE: Readonly<Record<string, readonly number[]>> = {
  BlackmanWindow: [0],
  CumSum: [1],
  DFT: [1, 2],
  Dropout: [1, 2],
  HammingWindow: [0],
  HannWindow: [0],
  If: [0],
  Loop: [0, 1],
  MelWeightMatrix: [0, 1, 2, 3, 4],
  NonMaxSuppression: [2, 3, 4],
  OneHot: [1],
  Pad: [2],
  Range: [0, 1, 2],
  SequenceAt: [1],
  SequenceErase: [1],
  SequenceInsert: [2],
  STFT: [1, 3],
  Trilu: [1],
};

/** Inputs that are lists: axes, sizes, starts. */
const LISTS: Readonly<Record<string, readonly number[]>> = {
  AffineGrid: [1],
  CenterCropPad: [1],
  Col2Im: [1, 2],
  Compress: [1],
  ConstantOfShape: [0],
  Expand: [1],
  MaxUnpool: [2],
  Reshape: [1],
  Resize: [2, 3],
  Slice: [1, 2, 3, 4],
  Split: [1],
  Squeeze: [1],
  Unsqueeze: [1],
};

const show = (dims: Dims): string => `[${dims.map((dim) => dim ?? '?').join(', ')}]`;

/** Number of elements; undefined when a dimension is unknown. */
const countOf = (dims: Dims | undefined): number | undefined =>
  dims?.reduce(
    (product, dim) => (product === undefined || dim === undefined ? undefined : product * dim),
    1 as number | undefined,
  );

const differ = (a: number | undefined, b: number | undefined): boolean =>
  a !== undefined && b !== undefined && a !== b;

const checkSingles = (look: Look): void => {
  if (look.node.is('Dropout') && look.opset < 12) return;
  for (const index of Object.hasOwn(SINGLE, look.node.op) ? SINGLE[look.node.op]! : []) {
    const count = countOf(look.dims(index));
    if (count === undefined || count === 1) continue;
    look.error('shape-mismatch', `${look.inputName(index)} must have one element, found ${count}`);
  }
};

const checkLists = (look: Look): void => {
  for (const index of Object.hasOwn(LISTS, look.node.op) ? LISTS[look.node.op]! : []) {
    const dims = look.dims(index);
    if (dims === undefined || dims.length < 2) continue;
    look.error('rank-mismatch', `${look.inputName(index)} must be a list, found the shape ${show(dims)}`);
  }
};

/** Reports an input of another shape than expected; unknown dimensions fit everything. */
const checkShape = (look: Look, index: number, expected: Dims): void => {
  const dims = look.dims(index);
  if (dims === undefined) return;
  if (dims.length === expected.length && !dims.some((dim, axis) => differ(dim, expected[axis]))) return;
  look.error(
    'shape-mismatch',
    `${look.inputName(index)} has the shape ${show(dims)}, expected ${show(expected)}`,
  );
};

/** Bias, states and peepholes of RNN, GRU and LSTM; as many activation functions as the gates need. */
const checkRecurrent =
  (gates: number, functions: number) =>
  (look: Look): void => {
    const directions = look.string('direction') === 'bidirectional' ? 2 : 1;
    const given = look.strings('activations').length;
    if (given > 0 && given < functions * directions) {
      look.error('attribute-range', `activations must be ${functions * directions}, found ${given}`);
    }
    const hidden = look.dims(2)?.[2];
    const batchFirst = look.int('layout') === 1n;
    const batch = look.dims(0)?.[batchFirst ? 0 : 1];
    const times = (count: number): number | undefined => (hidden === undefined ? undefined : count * hidden);
    const state = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
    checkShape(look, 3, [directions, times(2 * gates)]);
    checkShape(look, 4, [batch]);
    checkShape(look, 5, state);
    if (!look.node.is('LSTM')) return;
    checkShape(look, 6, state);
    checkShape(look, 7, [directions, times(3)]);
  };

const checkModulus = (look: Look): void => {
  const type = look.type(0);
  const dtype = type?.kind === 'tensor' ? type.dtype : undefined;
  if (dtype === undefined || dtypeInfo(dtype).kind !== 'float') return;
  if (look.node.attributes.get('fmod')?.kind === 'reference' || look.int('fmod') === 1n) return;
  look.error('attribute-range', `fmod must be 1 for ${dtypeInfo(dtype).text}`);
};

const checkBoxes = (look: Look): void => {
  const [boxes, scores] = [look.dims(0), look.dims(1)];
  for (const [what, a, b] of [
    ['batches', boxes?.[0], scores?.[0]],
    ['boxes', boxes?.[1], scores?.[2]],
  ] as const) {
    if (differ(a, b)) look.error('shape-mismatch', `boxes has ${a} ${what}, scores has ${b}`);
  }
};

const checkRegions = (look: Look): void => {
  const [data, rois] = [look.dims(0), look.dims(1)];
  checkShape(look, 1, [undefined, 4]);
  checkShape(look, 2, [rois?.[0]]);
  const batch = data?.[0];
  const wrong = look.elements(2).find((index) => batch !== undefined && !(index >= 0 && index < batch));
  if (wrong !== undefined) look.error('index-range', `batch index ${wrong} is out of range for ${batch}`);
};

const checkPooledRegions = (look: Look): void => {
  checkShape(look, 1, [undefined, 5]);
  const wrong = look.ints('pooled_shape').find((size) => size < 1n);
  if (wrong !== undefined) look.error('attribute-range', `pooled_shape holds ${wrong}`);
};

const checkReverse = (look: Look): void => {
  const [batchAxis, timeAxis] = [look.int('batch_axis') ?? 1n, look.int('time_axis') ?? 0n];
  if (batchAxis + timeAxis !== 1n || batchAxis * timeAxis !== 0n) {
    look.error('axis-range', `batch_axis ${batchAxis} and time_axis ${timeAxis} must be 0 and 1, or 1 and 0`);
    return;
  }
  const steps = look.dims(0)?.[Number(timeAxis)];
  checkShape(look, 1, [look.dims(0)?.[Number(batchAxis)]]);
  const wrong = look.elements(1).find((length) => length < 0 || (steps !== undefined && length > steps));
  if (wrong !== undefined) {
    look.error('index-range', `sequence length ${wrong} is out of range for ${steps ?? 'any'} steps`);
  }
};

const checkTransform = (look: Look): void => {
  const last = look.dims(0)?.at(-1);
  if (last !== undefined && last !== 1 && last !== 2) {
    look.error('shape-mismatch', `the last dimension is ${last}, expected 1 (real) or 2 (complex)`);
  }
};

const checkMoments = (look: Look): void => {
  const rank = look.dims(0)?.length;
  const axes = look.node.attributes.has('axes') ? look.ints('axes') : [0n, 2n, 3n];
  const wrong = axes.find((axis) => rank !== undefined && (axis < -rank || axis >= rank));
  if (wrong !== undefined) look.error('axis-range', `axis ${wrong} is out of range for rank ${rank}`);
};

/** The greatest of nothing is nowhere. */
const checkExtreme = (look: Look): void => {
  const dims = look.dims(0);
  const axis = dims && Number(look.int('axis') ?? 0n);
  if (axis === undefined || dims?.at(axis) !== 0) return;
  look.report('warning', 'empty-axis', `axis ${axis} has no elements to choose from`);
};

/** Scale and bias must broadcast to the axes that are normalised. */
const checkAffine = (look: Look): void => {
  const dims = look.dims(0);
  if (dims === undefined) return;
  const axis = Number(look.int('axis') ?? -1n);
  const normalised = dims.slice(axis < 0 ? axis : axis - dims.length);
  for (const index of [1, 2]) {
    const own = look.dims(index);
    const wrong = own?.some((dim, at) => dim !== 1 && differ(dim, normalised.at(at - own.length)));
    if (!wrong) continue;
    look.error(
      'shape-mismatch',
      `${look.inputName(index)} ${show(own!)} does not broadcast to ${show(normalised)}`,
    );
  }
};

const checkScatter = (look: Look): void => {
  const indices = look.dims(1);
  if (indices !== undefined) checkShape(look, 2, indices);
};

const checkHeads = (look: Look): void => {
  if (look.dims(0)?.length !== 3 || look.node.attributes.get('num_heads')?.kind === 'reference') return;
  const heads = look.int('num_heads') ?? 0n;
  const hidden = look.dims(0)?.[2];
  if (heads < 1n) look.error('attribute-range', `num_heads is ${heads}, a 3-D input needs at least 1`);
  else if (hidden !== undefined && hidden % Number(heads) !== 0) {
    look.error('shape-mismatch', `${hidden} columns do not divide into ${heads} heads`);
  }
};

const checkGrams = (look: Look): void => {
  const [least, most] = [look.int('min_gram_length') ?? 1n, look.int('max_gram_length') ?? 1n];
  if (least < 1n || most < least) {
    look.error('attribute-range', `min_gram_length ${least} and max_gram_length ${most} are no range`);
  }
};

const checkScan = (look: Look): void => {
  const scans = Number(look.int('num_scan_inputs') ?? 0n);
  const { length } = look.ints('scan_input_directions');
  if (length > 0 && scans > 0 && length !== scans) {
    look.error('rank-mismatch', `scan_input_directions has ${length} entries, expected ${scans}`);
  }
};

/** Reflection needs as many elements as it copies, the edge itself not counted. */
const checkReflection = (look: Look): void => {
  const dims = look.dims(0);
  const pads = look.elements(1).map(Number);
  if (look.string('mode') !== 'reflect' || dims === undefined || look.has(3)) return;
  if (pads.length !== 2 * dims.length) return;
  const wrong = pads.findIndex(
    (pad, at) => pad > 0 && pad >= (dims[at % dims.length] ?? Number.POSITIVE_INFINITY),
  );
  if (wrong < 0) return;
  const size = dims[wrong % dims.length];
  look.report(
    'warning',
    'pad-range',
    `pads[${wrong}] = ${pads[wrong]} reflects beyond a dimension of ${size}`,
  );
};

/** Pads as wide as the window make windows that see nothing but padding. */
const checkPooling = (look: Look): void => {
  const [kernel, pads, dilations] = [look.ints('kernel_shape'), look.ints('pads'), look.ints('dilations')];
  if (pads.length !== 2 * kernel.length) return;
  const wrong = pads.findIndex((pad, at) => {
    const axis = at % kernel.length;
    return pad > 0n && pad > (kernel[axis]! - 1n) * (dilations[axis] ?? 1n);
  });
  if (wrong < 0) return;
  look.report(
    'warning',
    'pad-range',
    `pads[${wrong}] = ${pads[wrong]} is as wide as the window of ${kernel[wrong % kernel.length]}`,
  );
};

const NUMBER_TEXT = /^\s*[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|inf(inity)?|nan)\s*$/i;

const checkNumberText = (look: Look): void => {
  const target = look.outputType(0);
  const dtype = target?.kind === 'tensor' ? target.dtype : undefined;
  const texts = look.node.inputs[0]?.constant?.strings;
  if (texts === undefined || dtype === undefined || dtypeInfo(dtype).kind === 'string') return;
  const decoder = new TextDecoder();
  for (const bytes of texts) {
    const text = typeof bytes === 'string' ? bytes : decoder.decode(bytes);
    if (NUMBER_TEXT.test(text)) continue;
    look.error('cast-range', `${quoted(text)} is no ${dtypeInfo(dtype).text}`);
    return;
  }
};

const RULES: Readonly<Record<string, (look: Look) => void>> = {
  ArgMax: checkExtreme,
  ArgMin: checkExtreme,
  AveragePool: checkPooling,
  Cast: checkNumberText,
  DFT: checkTransform,
  GRU: checkRecurrent(3, 2),
  LayerNormalization: checkAffine,
  LpPool: checkPooling,
  LSTM: checkRecurrent(4, 3),
  MaxPool: checkPooling,
  MaxRoiPool: checkPooledRegions,
  MeanVarianceNormalization: checkMoments,
  Mod: checkModulus,
  NonMaxSuppression: checkBoxes,
  Pad: checkReflection,
  ReverseSequence: checkReverse,
  RMSNormalization: checkAffine,
  RNN: checkRecurrent(1, 1),
  RoiAlign: checkRegions,
  RotaryEmbedding: checkHeads,
  Scan: checkScan,
  ScatterElements: checkScatter,
  TfIdfVectorizer: checkGrams,
};

/** Judges the shapes of a node's inputs against each other and against its attributes. */
export const checkShapes = (look: Look): void => {
  checkSingles(look);
  checkLists(look);
  if (Object.hasOwn(RULES, look.node.op)) RULES[look.node.op]!(look);
};
