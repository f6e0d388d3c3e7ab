/** ONNX text: what is read, what is printed, and where syntax errors are. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { BytesSource } from '../../src/core/source.ts';
import { tensorBytes } from '../../src/core/tensor.ts';
import { tensorFromProto } from '../../src/ir/tensor-from-proto.ts';
import { decodeModel } from '../../src/proto/decode.ts';
import { DATA_LOCATION, type ModelProto } from '../../src/proto/schema.ts';
import { float32Text } from '../../src/proto/text/elements.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { printModelText } from '../../src/proto/text/print.ts';

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
const modelOf = (file: string): ModelProto =>
  decodeModel(new BytesSource(readFileSync(join(fixtures, file))));

const refusal = (text: string): string => {
  try {
    parseModelText(text);
  } catch (error) {
    expect(error).toBeInstanceOf(OrthoError);
    expect((error as OrthoError).code).toBe('model/text-syntax');
    return (error as OrthoError).message;
  }
  throw new Error('nothing was refused');
};

describe('reading', () => {
  it('reads every part of the syntax', () => {
    const model = parseModelText(`
      # a comment
      <ir_version: 10, opset_import: ["" : 21, "my.domain" : 2], producer_name: "a \\"b\\" \\\\", model_version: 7,
       metadata_props: ["k": "v", "empty": ""]>
      "graph 1" (float[N, 3] X, seq(map(string, int64[])) S, optional(float16) O, undefined[] U)
        => (float Y, "odd name")
        <float[N] t, int64[2, 2] W = {1, -2, 3, 9223372036854775807}, float e = {-1.5e-3},
         string[2] s = {"x", "y\\"z"}, float[2] f = ["location": "w.bin", "offset": "64"]>
      {
        [label] t, , "odd name" = my.domain.Op:v2 <a = 1, b: float = 2, c = [1.5, inf, -nan], d: ints = [], e = "s",
          f = float[2] {1, 2}, g: tensor = int32 name = {5}, h = seq(float[2]), i = ["x", "y"],
          j: graphs = [sub () => (z) { z = Neg (X) }], k: type_protos = [float, optional(int8[?])]> (X, "", , W)
        Y = Relu (t)
      }
      <domain: "my.domain", overload: "v2", opset_import: ["" : 21], doc_string: "d">
      Op <needed, axis: int = 3> (a, float[2] b) => (c) <float[2] m> {
        m = Add (a, b)
        c = Softmax <axis: int = @axis> (m)
      }`);
    expect(model.irVersion).toBe(10n);
    expect(model.producerName).toBe('a "b" \\');
    expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 21n],
      ['my.domain', 2n],
    ]);
    const { graph } = model;
    expect(graph?.name).toBe('graph 1');
    expect(graph?.initializer.map(({ name, dataLocation }) => [name, dataLocation])).toEqual([
      ['W', undefined],
      ['e', undefined],
      ['s', undefined],
      ['f', DATA_LOCATION.external],
    ]);
    const [op] = graph?.node ?? [];
    expect(op).toMatchObject({
      name: 'label',
      domain: 'my.domain',
      opType: 'Op',
      overload: 'v2',
      output: ['t', '', 'odd name'],
      input: ['X', '', '', 'W'],
    });
    expect(op?.attribute.map(({ type }) => type)).toEqual([2, 1, 6, 7, 3, 4, 4, 13, 8, 10, 14]);
    expect(op?.attribute[2]?.floats).toEqual(Float32Array.of(1.5, Infinity, NaN));
    expect(op?.attribute[9]?.graphs[0]?.node[0]?.opType).toBe('Neg');
    const [fn] = model.functions;
    expect(fn).toMatchObject({ domain: 'my.domain', name: 'Op', overload: 'v2', attribute: ['needed'] });
    expect(fn?.attributeProto[0]).toMatchObject({ name: 'axis', i: 3n });
    expect(fn?.valueInfo.map(({ name }) => name)).toEqual(['b', 'm']);
    expect(fn?.node[1]?.attribute[0]).toMatchObject({ refAttrName: 'axis', type: 2 });
  });

  it.each([
    ['g (float[1] X) => (float[1] Y) { Y = Relu (X }', "line 1:46: ')' expected, found '}'"],
    ['g (float[1] X) =>\n(float[1] Y) {\n  Y = Relu <a = > (X)\n}', "line 3:17: a value expected, found '>'"],
    ['g () => () { Y = Op <a = []> () }', 'line 1:28: an empty list needs a type, as in `axes: ints = []`'],
    [
      'g () => () { Y = Op <a: int = 1.5> () }',
      'line 1:34: a value of type int expected, found one of type float',
    ],
    [
      'g () => () { Y = Op <a = [1, 2.5]> () }',
      'line 1:33: a value of type int expected, found one of type float',
    ],
    ['g () => () { Y = Op <a: color = 1> () }', 'line 1:25: color is not an attribute type'],
    [
      'g () => () <int8[1] w = {99999999999}> { }',
      'line 1:26: 99999999999 is out of range (-2147483648 to 2147483647)',
    ],
    ['g () => () <float[N] w = {1}> { }', 'line 1:25: the dimensions of a tensor constant must be numbers'],
    [
      'g () => () <float[2] w = ...> { }',
      'line 1:29: the elements of this tensor were left out when the text was made',
    ],
    ['<colour: 1> g () => () { }', 'line 1:2: colour is none of ir_version, '],
    ['g () => () { Y = Relu (X)', "line 1:26: '}' expected, found the end"],
    ['g () => () { "unfinished', 'line 1:14: a string in double quotes expected'],
    ['', 'line 1:1: a graph name expected, found the end'],
  ])('says where %s breaks', (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  it('refuses nesting beyond the limit without overflowing', () => {
    const type = `${'seq('.repeat(20_000)}float${')'.repeat(20_000)}`;
    expect(refusal(`g (${type} X) => () { }`)).toContain('types nest deeper than 100 levels');
    const graphs = 'g () => () { Y = Op <a = '.repeat(20_000);
    expect(refusal(graphs)).toContain('subgraphs nest deeper than 100 levels');
  });

  it('any damage to a text gives only syntax errors', () => {
    const text = printModelText(modelOf('onnx-odd/odd-attr-bytes.onnx'));
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(40), fc.string({ maxLength: 5 }), (at, cut, insert) => {
        try {
          parseModelText(text.slice(0, at) + insert + text.slice(at + cut));
        } catch (error) {
          expect(error).toMatchObject({ code: 'model/text-syntax' });
        }
      }),
      { numRuns: 1500, seed: 3 },
    );
  });
});

describe('printing', () => {
  const files = [
    ...readdirSync(join(fixtures, 'onnx-odd'))
      .filter((name) => /^odd-.*\.onnx$/.test(name))
      .map((name) => `onnx-odd/${name}`),
    'onnx/tiny.default.onnx',
    'onnx/tiny.modulefunctions.onnx',
  ];

  it.each(files)('%s says the same after printing and parsing', (file) => {
    const model = modelOf(file);
    const text = printModelText(model);
    const again = parseModelText(text);
    expect(printModelText(again)).toBe(text);
    const { graph } = model;
    expect(again.graph?.node.map(({ opType }) => opType)).toEqual(graph?.node.map(({ opType }) => opType));
    expect(again.graph?.initializer.length).toBe(graph?.initializer.length);
    again.graph?.initializer.forEach((tensor, i) => {
      const original = graph?.initializer[i];
      if (original === undefined || original.dataLocation === DATA_LOCATION.external) {
        expect(tensor.externalData).toEqual(original?.externalData);
        return;
      }
      const [found, expected] = [tensorFromProto(tensor), tensorFromProto(original)];
      expect(found.dims).toEqual(expected.dims);
      expect(found.strings).toEqual(expected.strings);
      expect(Buffer.from(tensorBytes(found)).equals(tensorBytes(expected))).toBe(true);
    });
  });

  it('is the text that people write', () => {
    const model = parseModelText(
      '<ir_version: 8, opset_import: ["" : 17]> g (float[N,3] X) => (float[N,3] Y) <float[2] W = {1, 0.1}> { Y = Softmax <axis = 1> (X) }',
    );
    expect(printModelText(model)).toBe(`<
   ir_version: 8,
   opset_import: ["" : 17]
>
g (float[N,3] X) => (float[N,3] Y) 
   <float[2] W = {1, 0.1}>
{
   Y = Softmax <axis: int = 1> (X)
}
`);
  });

  it('leaves out the elements of large tensors only when asked', () => {
    const model = parseModelText('g () => () <float[3] W = {1, 2, 3}> { }');
    expect(printModelText(model, { maxElements: 2 })).toContain('float[3] W = ...');
    expect(printModelText(model, { maxElements: 3 })).toContain('float[3] W = {1, 2, 3}');
  });

  it('names that are no identifiers are quoted, and survive', () => {
    const names = [
      'a b',
      'x"y',
      '\\',
      'float',
      'seq',
      'inf',
      '1st',
      'é',
      '__proto__',
      'a.b',
      'line\nbreak',
      'b',
    ];
    const text = `g () => () { ${names.map((name) => `${JSON.stringify(name).replace('\\n', '\n')} = Op ()`).join('\n')} }`;
    const model = parseModelText(printModelText(parseModelText(text)));
    expect(model.graph?.node.map(({ output }) => output[0])).toEqual(names);
  });

  it('float32 is written in its shortest form', () => {
    const scratch = new DataView(new ArrayBuffer(4));
    expect(
      [0.1, 1, -0, 1e-7, 3.4028234663852886e38, 1e-45, NaN].map((value) => float32Text(Math.fround(value))),
    ).toEqual(['0.1', '1', '-0', '1e-7', '3.4028235e+38', '1e-45', 'nan']);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (bits) => {
        scratch.setUint32(0, bits);
        const value = scratch.getFloat32(0);
        if (Number.isFinite(value)) expect(Math.fround(Number(float32Text(value)))).toBe(value);
      }),
      { numRuns: 20_000, seed: 5 },
    );
  });
});
