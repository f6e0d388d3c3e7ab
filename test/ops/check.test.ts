/** Operator rules, on models in ONNX text: each fault by its own words, and what merely looks like one. */
import { describe, expect, it } from 'vitest';
import { checkProto } from '../../src/inspect/check.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';

interface Given {
  readonly inputs?: string;
  readonly outputs?: string;
  readonly stored?: string;
  readonly opset?: number;
  readonly imports?: string;
}

const lines = (
  body: string,
  { inputs = 'float[2,3] X', outputs = 'float Y', stored = '', opset = 21, imports = '' }: Given = {},
): string[] => {
  const text = `<ir_version: 10, opset_import: ["": ${opset}${imports}]>
    g (${inputs}) => (${outputs}) ${stored === '' ? '' : `<${stored}>`} { ${body} }`;
  return checkProto(parseModelText(text)).findings.map(
    ({ level, rule, message }) => `${level} ${rule}: ${message}`,
  );
};
/** Errors and warnings, those about the declared output left out: the texts do not spell its shape. */
const faults = (body: string, given?: Given): string[] =>
  lines(body, given).filter((line) => !line.startsWith('note') && !line.includes('declared-shape'));

describe('schemas', () => {
  it.each([
    ['Y = Rule (X)', {}, "error unknown-operator: graph.node[0]: 'Rule' is not an operator of opset 21"],
    [
      'Y = hasOwnProperty (X)',
      {},
      "error unknown-operator: graph.node[0]: 'hasOwnProperty' is not an operator of opset 21",
    ],
    [
      'Y = Gelu (X)',
      { opset: 19 },
      'error operator-too-new: graph.node[0]: Gelu exists from opset 20; the model imports 19',
    ],
    [
      'Y = Upsample <mode = "nearest"> (X, X)',
      { opset: 10 },
      'error operator-removed: graph.node[0]: Upsample was removed in opset 10; the model imports 10',
    ],
    [
      'Y = Relu <alpha = 1.0> (X)',
      {},
      "error unknown-attribute: graph.node[0]: Relu has no attribute 'alpha'",
    ],
    [
      'Y = Softmax <axis = 1.0> (X)',
      {},
      'error attribute-kind: graph.node[0] Softmax: axis must be an int, found a float',
    ],
    [
      'Y = Transpose <perm = 1> (X)',
      {},
      'error attribute-kind: graph.node[0] Transpose: perm must be a list of ints, found an int',
    ],
    ['Y = Concat (X, X)', {}, "error missing-attribute: graph.node[0]: Concat needs attribute 'axis'"],
    ['Y = Relu (X, X)', {}, 'error node-arity: graph.node[0]: Relu takes 1 input, found 2'],
    ['Y = Add (X)', {}, 'error node-arity: graph.node[0]: Add takes 2 inputs, found 1'],
    ['Y = Clip (X, X, X, X)', {}, 'error node-arity: graph.node[0]: Clip takes 1 to 3 inputs, found 4'],
    ['Y, Z = Relu (X)', {}, 'error node-arity: graph.node[0]: Relu has 1 output, found 2'],
    ['Y = Add (, X)', {}, 'error missing-input: graph.node[0] Add: input 0 (A) is required'],
    [
      'Y = Sum (X, , X)',
      {},
      'error missing-input: graph.node[0] Sum has an empty input (1); empty is allowed for optional inputs only',
    ],
    [
      'Y = Constant <value_int = 1, value_ints = [1]> ()',
      { outputs: 'int64 Y' },
      'error constant-value: graph.node[0]: Constant needs exactly one value attribute, found 2',
    ],
    [
      'Y = com.acme.Foo (X)',
      { imports: ', "com.acme": 1' },
      'warning op/unsupported: com.acme.Foo: no schema; cannot be run or folded (graph.node[0])',
    ],
  ] satisfies [string, Given, string][])('%s', (body, given, expected) => {
    expect(faults(body, given)).toContain(expected);
  });

  it('tells of operators without a schema once each', () => {
    const body = 'a = com.acme.Foo (X) b = com.acme.Foo (a) c = com.acme.Foo (b) Y = com.acme.Bar (c)';
    expect(faults(body, { imports: ', "com.acme": 1' })).toEqual([
      'warning op/unsupported: com.acme.Foo: no schema; cannot be run or folded (graph.node[0] and 2 more)',
      'warning op/unsupported: com.acme.Bar: no schema; cannot be run or folded (graph.node[3])',
    ]);
  });

  it('notes what only ONNX Runtime knows', () => {
    const found = lines('Y = com.microsoft.FusedConv (X, X)', { imports: ', "com.microsoft": 1' });
    expect(found).toContain(
      'note op/contrib: com.microsoft.FusedConv: an operator of ONNX Runtime only (graph.node[0])',
    );
  });

  it('judges subgraphs and functions by their own opsets', () => {
    const inside =
      'Y = If (c) <then_branch = t () => (float a) { a = Rule (X) }, else_branch = e () => (float b) { b = Relu (X) }>';
    expect(faults(inside, { inputs: 'float[2,3] X, bool c' })).toContain(
      "error unknown-operator: graph.node[0].then_branch.node[0]: 'Rule' is not an operator of opset 21",
    );
    const model = `<ir_version: 10, opset_import: ["": 21, "d": 1]> g (float[2] X) => (float[2] Y) { Y = d.F (X) }
      <domain: "d", opset_import: ["": 19]> F (a) => (b) { b = Gelu (a) }`;
    expect(checkProto(parseModelText(model)).findings.map(({ message }) => message)).toContain(
      'function d.F.node[0]: Gelu exists from opset 20; function d.F imports 19',
    );
  });

  it('judges nodes although the graph is broken', () => {
    expect(faults('Y = Relu <alpha = 1.0> (nothing)')).toEqual([
      "error undefined-value: graph.node[0] Relu reads 'nothing', which nothing defines",
      "error unknown-attribute: graph.node[0]: Relu has no attribute 'alpha'",
    ]);
  });
});

describe('types', () => {
  it.each([
    [
      'Y = Not (X)',
      { outputs: 'bool Y' },
      'error input-type: graph.node[0] Not: input 0 (X) is tensor(float), expected tensor(bool)',
    ],
    [
      'Y = Gather (X, X)',
      {},
      'error input-type: graph.node[0] Gather: input 1 (indices) is tensor(float), expected tensor(int32), tensor(int64)',
    ],
    [
      'Y = Where (c, X, n)',
      { inputs: 'float[2,3] X, bool c, int64 n' },
      'error input-type: graph.node[0] Where: input 2 (Y) is tensor(int64), input 1 (X) is tensor(float): they must agree',
    ],
    [
      'Y = Relu (X)',
      { outputs: 'int64[2,3] Y' },
      "error declared-type: graph.output 'Y' is declared int64, inferred float32",
    ],
    ['Y = MatMul (X, X)', {}, 'error shape-mismatch: graph.node[0] MatMul: inner dimensions 3 and 2 differ'],
  ] satisfies [string, Given, string][])('%s', (body, given, expected) => {
    expect(faults(body, given)).toContain(expected);
  });

  it('lets the inputs of Loop and of sequences differ', () => {
    expect(
      faults(
        `z, Y = Loop (M, c, n, X) <body = b (int64 i, bool go, int64 k, float[2,3] v) => (bool on, int64 l, float[2,3] w)
          { on = Identity (go) l = Identity (k) w = Relu (v) }>`,
        { inputs: 'float[2,3] X, int64 M, bool c, int64 n', outputs: 'int64 z, float[2,3] Y' },
      ),
    ).toEqual([]);
  });
});

describe('values', () => {
  it.each([
    [
      'Y = BitShift <direction = "UP"> (a, a)',
      { outputs: 'uint8 Y', stored: 'uint8[1] a = {1}' },
      "error attribute-range: graph.node[0] BitShift: direction 'UP' is none of LEFT, RIGHT",
    ],
    [
      'Y = BitShift <direction = "LEFT"> (a, b)',
      { outputs: 'uint8 Y', stored: 'uint8[1] a = {1}, uint8[1] b = {8}' },
      'warning shift-range: graph.node[0] BitShift: a shift by 8 of 8 bits is undefined',
    ],
    [
      'Y = Cast <to = 3> (a)',
      { outputs: 'int8 Y', stored: 'float[2] a = {127.5, 128.0}' },
      'warning cast-range: graph.node[0] Cast: 128 does not fit int8',
    ],
    [
      'Y = ConstantOfShape <value = float[2] {1.0, 2.0}> (s)',
      { stored: 'int64[1] s = {3}' },
      'error attribute-range: graph.node[0] ConstantOfShape: value must have one element, found 2',
    ],
    [
      'Y = DequantizeLinear <axis = 1> (q, s, z)',
      { inputs: 'uint8[2,3] q', stored: 'float[3] s = {1,1,1}, uint8[2] z = {0,0}' },
      'error shape-mismatch: graph.node[0] DequantizeLinear: scale [3] and zero point [2] differ in shape',
    ],
    [
      'Y = QuantizeLinear (X, s)',
      { outputs: 'uint8 Y', stored: 'float s = {0}' },
      'warning quantization-scale: graph.node[0] QuantizeLinear: scale 0 is not positive',
    ],
    [
      'Y = Einsum <equation = "i$->"> (X)',
      {},
      "error attribute-range: graph.node[0] Einsum: '$' in the equation 'i$->'",
    ],
    [
      'Y = OneHot (n, d, v)',
      { inputs: 'int64[2] n', stored: 'int64 d = {3}, float[3] v = {0,1,2}' },
      'error shape-mismatch: graph.node[0] OneHot: values must have 2 elements, found 3',
    ],
    [
      'Y = Pow (a, b)',
      { outputs: 'int32 Y', stored: 'int32[1] a = {0}, int32[1] b = {-1}' },
      'error division-by-zero: graph.node[0] Pow: 0 to a negative power is a division by zero',
    ],
    [
      'Y = Resize (X)',
      {},
      'error missing-input: graph.node[0] Resize: exactly one of scales and sizes is needed, found none',
    ],
    [
      'Y, Z = Split (X)',
      { outputs: 'float Y, float Z' },
      'error missing-input: graph.node[0] Split: exactly one of split and num_outputs is needed, found none',
    ],
    [
      'Y = RandomNormal <shape = [1000000, 1000000]> ()',
      {},
      'warning result-too-large: graph.node[0] RandomNormal: the result takes 4000000000000 bytes',
    ],
    [
      'Y = ConstantOfShape (s)',
      { stored: 'int64[1] s = {100000000}' },
      'warning constant-too-large: graph.node[0] ConstantOfShape: constant result is too large to fold (400000000 bytes, the limit is 67108864)',
    ],
    [
      'Y = Div (a, b)',
      { outputs: 'int64 Y', stored: 'int64[1] a = {1}, int64[1] b = {0}' },
      'error division-by-zero: graph.node[0] Div: integer division by zero (element 0)',
    ],
  ] satisfies [string, Given, string][])('%s', (body, given, expected) => {
    expect(faults(body, given)).toContain(expected);
  });

  it('follows strings that double', () => {
    const doubled = Array.from({ length: 30 }, (_, i) => `v${i + 1} = StringConcat (v${i}, v${i})`).join(
      '\n',
    );
    expect(
      faults(`${doubled} Y = Identity (v30)`, { outputs: 'string Y', stored: 'string[1] v0 = {"abcd"}' }),
    ).toEqual([
      'warning constant-too-large: graph.node[24] StringConcat: constant result is too large to fold (a string of 134217728 bytes, the limit is 67108864)',
    ]);
  });

  it.each([
    ['Y = Cast <to = 3> (a)', { outputs: 'int8 Y', stored: 'float[2] a = {127.5, -128.5}' }],
    [
      'Y = BitShift <direction = "LEFT"> (a, b)',
      { outputs: 'uint8 Y', stored: 'uint8[1] a = {1}, uint8[1] b = {7}' },
    ],
    ['Y = DequantizeLinear (q, s, z)', { inputs: 'uint8[2,3] q', stored: 'float s = {1}, uint8[1] z = {0}' }],
    ['Y = Pow (a, b)', { outputs: 'float Y', stored: 'float[1] a = {0}, float[1] b = {-1}' }],
    ['Y = Relu (X)', { inputs: 'float[100000000000] X' }],
  ] satisfies [string, Given][])('has nothing to say of %s', (body, given) => {
    expect(faults(body, given).filter((line) => !line.includes('result-too-large'))).toEqual([]);
  });

  it('counts NaN, infinities and subnormals tensor by tensor', () => {
    const found = lines('Y = Sum (X, a, b, m)', {
      stored: 'float[3] a = {nan, inf, 1.0}, float[3] b = {1e-42, 1e-43, 0.0}, float m = {-inf}',
    });
    expect(found).toEqual(
      expect.arrayContaining([
        "warning non-finite-weights: initializer 'a': 1 NaN, 1 Inf",
        "warning subnormal-weights: initializer 'b': 2 subnormal elements",
        "note non-finite-weights: initializer 'm': 1 Inf",
      ]),
    );
  });
});
