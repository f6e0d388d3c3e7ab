/** Rules about what inputs and outputs must look like, on models in ONNX text; each with what merely looks like a fault. */
import { describe, expect, it } from 'vitest';
import { checkProto } from '../../src/inspect/check.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';

interface Given {
  readonly inputs?: string;
  readonly outputs?: string;
  readonly stored?: string;
  readonly opset?: number;
  readonly functions?: string;
}

/** Errors and warnings, those about the declared output's shape left out: the texts do not spell it. */
const faults = (
  body: string,
  { inputs = 'float[2,3] X', outputs = 'float Y', stored = '', opset = 21, functions = '' }: Given = {},
): string[] => {
  const text = `<ir_version: 10, opset_import: ["": ${opset}, "ai.onnx.ml": 4, "d": 1]>
    g (${inputs}) => (${outputs}) ${stored === '' ? '' : `<${stored}>`} { ${body} } ${functions}`;
  return checkProto(parseModelText(text))
    .findings.filter(({ level, rule }) => level !== 'note' && rule !== 'declared-shape')
    .map(({ level, message }) => `${level}: ${message.replace(/^graph\.node\[0\] ?/, '')}`);
};

const lstm = 'float[3,1,4] X, float[1,8,4] W, float[1,8,2] R';

describe('faults', () => {
  it.each([
    [
      'Y = If (c) <then_branch = t () => (float a) { a = Relu (X) }, else_branch = e () => (float b) { b = Neg (X) }>',
      { inputs: 'float[2,3] X, bool[2] c' },
      'error: If: cond must have one element, found 2',
    ],
    [
      'Y = CumSum (X, a)',
      { stored: 'int64[2] a = {0, 1}' },
      'error: CumSum: axis must have one element, found 2',
    ],
    [
      'Y = Range (a, b, d)',
      { inputs: 'int64[2] a, int64 b, int64 d', outputs: 'int64 Y' },
      'error: Range: start must have one element, found 2',
    ],
    [
      'Y = Reshape (X, s)',
      { inputs: 'float[2,3] X, int64[1,2] s' },
      'error: Reshape: shape must be a list, found the shape [1, 2]',
    ],
    ['Y = Mod (X, X)', {}, 'error: Mod: fmod must be 1 for float'],
    [
      'Y = NonMaxSuppression (b, s)',
      { inputs: 'float[1,5,4] b, float[1,1,6] s', outputs: 'int64 Y' },
      'error: NonMaxSuppression: boxes has 5 boxes, scores has 6',
    ],
    [
      'Y = RoiAlign (X, r, b)',
      { inputs: 'float[1,4,5,5] X, float[2,3] r, int64[2] b' },
      'error: RoiAlign: rois has the shape [2, 3], expected [?, 4]',
    ],
    [
      'Y = RoiAlign (X, r, b)',
      { inputs: 'float[1,4,5,5] X, float[1,4] r', stored: 'int64[1] b = {7}' },
      'error: RoiAlign: batch index 7 is out of range for 1',
    ],
    [
      'Y = MaxRoiPool <pooled_shape = [0, 2]> (X, r)',
      { inputs: 'float[1,4,5,5] X, float[1,5] r' },
      'error: MaxRoiPool: pooled_shape holds 0',
    ],
    [
      'Y = ReverseSequence (X, l)',
      { stored: 'int64[3] l = {1, 9, 1}' },
      'error: ReverseSequence: sequence length 9 is out of range for 2 steps',
    ],
    [
      'Y = ReverseSequence <batch_axis = 1, time_axis = 1> (X, l)',
      { inputs: 'float[2,3] X, int64[3] l' },
      'error: ReverseSequence: batch_axis 1 and time_axis 1 must be 0 and 1, or 1 and 0',
    ],
    [
      'Y = DFT (X)',
      { inputs: 'float[1,4,3] X' },
      'error: DFT: the last dimension is 3, expected 1 (real) or 2 (complex)',
    ],
    [
      'Y = MeanVarianceNormalization <axes = [9]> (X)',
      {},
      'error: MeanVarianceNormalization: axis 9 is out of range for rank 2',
    ],
    [
      'Y = ArgMax <axis = 1> (X)',
      { inputs: 'float[2,0] X', outputs: 'int64 Y' },
      'warning: ArgMax: axis 1 has no elements to choose from',
    ],
    [
      'Y = LayerNormalization (X, s)',
      { inputs: 'float[2,3] X, float[5] s' },
      'error: LayerNormalization: Scale [5] does not broadcast to [3]',
    ],
    [
      'Y = ScatterElements (X, i, u)',
      { inputs: 'float[2,3] X, int64[1,1] i, float[1,2] u' },
      'error: ScatterElements: updates has the shape [1, 2], expected [1, 1]',
    ],
    [
      'Y = Pad <mode = "reflect"> (X, p)',
      { stored: 'int64[4] p = {5, 0, 0, 0}' },
      'warning: Pad: pads[0] = 5 reflects beyond a dimension of 2',
    ],
    [
      'Y = AveragePool <kernel_shape = [2, 2], pads = [2, 0, 0, 0]> (X)',
      { inputs: 'float[1,1,5,5] X' },
      'warning: AveragePool: pads[0] = 2 is as wide as the window of 2',
    ],
    [
      'Y = Cast <to = 7> (t)',
      { outputs: 'int64 Y', stored: 'string[1] t = {"abc"}' },
      "error: Cast: 'abc' is no int64",
    ],
    [
      'Y = TfIdfVectorizer <max_gram_length = 1, max_skip_count = 0, min_gram_length = 2, mode = "TF", ngram_counts = [0], ngram_indexes = [0], pool_int64s = [1]> (X)',
      { inputs: 'int64[3] X' },
      'error: TfIdfVectorizer: min_gram_length 2 and max_gram_length 1 are no range',
    ],
    [
      'Y = LSTM <hidden_size = 2, activations = ["Sigmoid"]> (X, W, R)',
      { inputs: lstm },
      'error: LSTM: activations must be 3, found 1',
    ],
    [
      'Y = LSTM <hidden_size = 2> (X, W, R, B)',
      { inputs: `${lstm}, float[1,15] B` },
      'error: LSTM: B has the shape [1, 15], expected [1, 16]',
    ],
    [
      'Y = LSTM <hidden_size = 2, layout = 2> (X, W, R)',
      { inputs: lstm },
      'error: LSTM: layout is 2, expected 0 to 1',
    ],
    [
      'Y = RandomNormal <shape = [2], dtype = 7> ()',
      { outputs: 'int64 Y' },
      'error: RandomNormal: output 0 (output) is tensor(int64), expected tensor(double), tensor(float), tensor(float16)',
    ],
    [
      'Y = Cast <to = 14> (X)',
      { outputs: 'complex64 Y' },
      /^error: Cast: output 0 \(output\) is tensor\(complex64\), expected tensor\(bfloat16\), .* and \d+ more$/,
    ],
    [
      'Y = Loop (m, , X) <body = b (float i, bool c, float[2,3] v) => (bool o, float[2,3] w) { o = Identity (c) w = Relu (v) }>',
      { stored: 'int64 m = {3}' },
      'error: Loop: input 0 of the body is declared float32, it is given int64',
    ],
    [
      'Y = d.F (X)',
      {
        inputs: 'int64[2] X',
        outputs: 'int64 Y',
        functions: '<domain: "d", opset_import: ["": 21]> F (x) => (y) { y = Sqrt (x) }',
      },
      'error: function d.F.node[0] Sqrt: input 0 (X) is tensor(int64), expected tensor(bfloat16), tensor(double), tensor(float), tensor(float16)',
    ],
    [
      'Y = d.F <k = 1> (X)',
      {
        functions:
          '<domain: "d", opset_import: ["": 21]> F <k> (x) => (y) { y = LeakyRelu <alpha: float = @k> (x) }',
      },
      "error: : attribute 'k' of d.F is INT, its body takes FLOAT",
    ],
    [
      'Y = GroupNormalization <num_groups = 1> (X, s, s)',
      { opset: 18, inputs: 'float[1,4,5] X, float[1] s' },
      'warning: : GroupNormalization of opset 18 is deprecated',
    ],
  ] satisfies [string, Given, string | RegExp][])('%s', (body, given, expected) => {
    expect(faults(body, given)).toEqual([
      typeof expected === 'string' ? expected : expect.stringMatching(expected),
    ]);
  });
});

describe('no faults', () => {
  it.each([
    ['Y = CumSum (X, a)', { stored: 'int64[1] a = {1}' }],
    ['Y = Mod <fmod = 1> (X, X)', {}],
    ['Y = LayerNormalization (X, s)', { inputs: 'float[2,3] X, float[1] s' }],
    ['Y = LayerNormalization <axis = 0> (X, s)', { inputs: 'float[2,3] X, float[2,3] s' }],
    ['Y = Pad <mode = "reflect"> (X, p)', { stored: 'int64[4] p = {1, 2, 0, -1}' }],
    ['Y = MaxPool <kernel_shape = [3, 3], pads = [2, 2, 2, 2]> (X)', { inputs: 'float[1,1,5,5] X' }],
    ['Y = Cast <to = 1> (t)', { stored: 'string[4] t = {"1.5", "-INF", "NaN", "1e-3"}' }],
    [
      'Y = RNN <hidden_size = 2, activations = ["Relu"]> (X, W, R)',
      { inputs: 'float[3,1,4] X, float[1,2,4] W, float[1,2,2] R' },
    ],
    [
      'Y = LSTM <hidden_size = 2, layout = 1> (X, W, R, , , h)',
      { inputs: 'float[5,3,4] X, float[1,8,4] W, float[1,8,2] R, float[5,1,2] h' },
    ],
    [
      'Y = Loop (m, k, X) <body = b (int64[1] i, bool[1] c, float[2,3] v) => (bool[1] o, float[2,3] w) { o = Identity (c) w = Relu (v) }>',
      { stored: 'int64[1] m = {3}, bool[1] k = {1}' },
    ],
    ['Y = ai.onnx.ml.ZipMap <classlabels_int64s = [1, 2, 3]> (X)', { outputs: 'seq(map(int64, float)) Y' }],
    ['Y = ai.onnx.ml.DictVectorizer <int64_vocabulary = [1, 2]> (m)', { inputs: 'map(int64, float) m' }],
    ['Y = Add (X, w)', { stored: 'float[3] w = {inf, -inf, 1}' }],
    ['Y = Add (X, w)', { inputs: 'float16[2] X', outputs: 'float16 Y', stored: 'float16[1] w = {1}' }],
  ] satisfies [string, Given][])('%s', (body, given) => {
    expect(faults(body, given)).toEqual([]);
  });
});

it('names the overloads that a function has', () => {
  const proto = parseModelText(`<ir_version: 10, opset_import: ["": 21, "d": 1]>
    g (float[2] X) => (float Y) { Y = d.F (X) }
    <domain: "d", opset_import: ["": 21]> F (x) => (y) { y = Relu (x) }`);
  proto.functions[0]!.overload = 'a';
  expect(checkProto(proto).findings.map(({ message }) => message)).toContain(
    "graph.node[0]: d.F has no overload '', only 'a'",
  );
});
