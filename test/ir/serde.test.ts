/** Between messages and graphs: references, tensors, and what an edited model is written as. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { OrthoError } from '../../src/core/errors.ts';
import { BytesSource } from '../../src/core/source.ts';
import { float32Tensor, tensorArray, tensorBytes } from '../../src/core/tensor.ts';
import { graph as graphAttribute, int } from '../../src/ir/attribute.ts';
import { modelFromProto } from '../../src/ir/from-proto.ts';
import { Graph } from '../../src/ir/graph.ts';
import { openModel } from '../../src/ir/load.ts';
import { Model } from '../../src/ir/model.ts';
import { protoOfTensor, tensorFromProto } from '../../src/ir/tensor-from-proto.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { tensorType } from '../../src/ir/type.ts';
import { decodeModel } from '../../src/proto/decode.ts';
import { createMessage } from '../../src/proto/fields.ts';
import type { TensorProto } from '../../src/proto/schema.ts';
import { modelFromText, textOfModel } from '../support/model-text.ts';

const odd = fileURLToPath(new URL('../fixtures/onnx-odd/', import.meta.url));
const oddModel = (name: string): Model => openModel(new BytesSource(readFileSync(join(odd, name))));

const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(OrthoError);
    return `${(error as OrthoError).code}: ${(error as OrthoError).message}`;
  }
  throw new Error('nothing was refused');
};

describe('reading', () => {
  it('captures are references to the outer values', () => {
    const model = modelFromText(`g (float[2] X, bool C) => (float[2] Y) <float[2] W = {1, 2}> {
      t = Relu (X)
      Y = If (C) <then_branch: graph = a () => (float[2] p) { p = Add (t, W) },
                  else_branch: graph = b () => (float[2] p) { p = Neg (t) }>
    }`);
    const [relu, branch] = model.graph.nodes;
    const [then, otherwise] = branch?.subgraphs ?? [];
    expect(then?.nodes[0]?.inputs).toEqual([relu?.output, model.graph.initializers[0]]);
    expect(otherwise?.nodes[0]?.inputs).toEqual([relu?.output]);
    expect(relu?.output.useCount).toBe(2);
    expect(then?.owner).toBe(branch);
  });

  it('an initializer that is also an input is no constant', () => {
    const { graph } = modelFromText('g (float[1] X, float[1] W = {3}) => (float[1] Y) { Y = Add (X, W) }');
    const weight = graph.inputs[1];
    expect(
      weight?.initializer && [
        ...tensorArray({ ...weight.initializer, dtype: 'float32', data: weight.initializer.data }),
      ],
    ).toEqual([3]);
    expect(weight?.constant).toBeUndefined();
  });

  it('nodes in any order are sorted, also around captures', () => {
    const { graph } = modelFromText(`g (float[1] X, bool C) => (float[1] Y) {
      Y = If (C) <then_branch: graph = a () => (float[1] p) { p = Neg (late) },
                  else_branch: graph = b () => (float[1] p) { p = Abs (late) }>
      late = Relu (mid)
      mid = Exp (X)
    }`);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Exp', 'Relu', 'If']);
  });

  it.each([
    ['a cycle', '{ a = Add (b, X)  b = Relu (a)  Y = Relu (a) }', "cycle: 'a' -> 'b' -> 'a'"],
    ['an undefined name', '{ Y = Relu (nope) }', "graph.node[0] Relu reads 'nope', which nothing defines"],
    ['a name made twice', '{ Y = Relu (X)  Y = Neg (X) }', "'Y' is the output of two nodes"],
    ['an output listed twice', '{ Y, Y = Split (X) }', "graph.node[0] lists output 'Y' twice"],
    ['an overwritten input', '{ X = Relu (X)  Y = Neg (X) }', "'X' is an input and the output of node 0"],
    ['a missing output', '{ Z = Relu (X) }', "graph.output 'Y': nothing defines it"],
  ])('refuses %s', (_, nodes, message) => {
    expect(refusal(() => modelFromText(`g (float[1] X) => (float[1] Y) ${nodes}`))).toBe(
      `model/invalid: ${message}`,
    );
  });

  it('a subgraph may list a value as two outputs', () => {
    const model = modelFromText(`g (float[1] X, int64 m) => (float[1] Y, float[n,1] Z) {
      Y, Z = Loop (m, , X) <body: graph = b (int64 i, bool c, float[1] v) => (bool o, float[1] w, float[1] w) {
        o = Identity (c)
        w = Relu (v)
      }>
    }`);
    const written = modelToProto(model).graph?.node[0]?.attribute[0]?.g;
    expect(written?.node.map(({ opType, output }) => `${opType} ${output}`)).toEqual([
      'Identity o',
      'Relu w',
      'Identity w_1',
    ]);
    expect(written?.output.map(({ name }) => name)).toEqual(['o', 'w', 'w_1']);
  });

  it('functions do not see outer values', () => {
    const text = `<ir_version: 8, opset_import: ["": 17, "d": 1]>
      g (float[1] X) => (float[1] Y) <float[1] W = {1}> { Y = d.F (X) }
      <domain: "d", opset_import: ["": 17]> F (a) => (b) { b = Add (a, W) }`;
    expect(refusal(() => modelFromText(text))).toMatch(/function 'd\.F'\.node\[0\] Add reads 'W'/);
  });

  it('what an annotation or a training binding names counts as used', () => {
    const { graph } = oddModel('odd-quant-annot.onnx');
    expect(graph.initializers.filter(({ uses }) => uses.length === 0).map(({ isUsed }) => isUsed)).toContain(
      true,
    );
  });
});

describe('tensors', () => {
  const tensor = (fields: Partial<TensorProto>): TensorProto => createMessage('TensorProto', fields);
  const int32 = (...values: number[]) => ({ int32Data: Int32Array.from(values) });
  const read = (dataType: number, dims: bigint[], fields: Partial<TensorProto>): number[] => [
    ...tensorBytes(tensorFromProto(tensor({ dataType, dims, ...fields }))),
  ];

  it.each<[DType, number, number[], number[]]>([
    ['uint8', 2, [0, 255], [0, 255]],
    ['int8', 3, [-1, 127], [255, 127]],
    ['uint16', 4, [65535, 1], [255, 255, 1, 0]],
    ['int16', 5, [-2, 258], [254, 255, 2, 1]],
    ['bool', 9, [1, 0], [1, 0]],
    ['float16', 10, [0x3c00, 0xbc00], [0x00, 0x3c, 0x00, 0xbc]],
    ['bfloat16', 16, [0x3f80, 0], [0x80, 0x3f, 0, 0]],
    ['float8e5m2', 19, [0x3c, 0xbc], [0x3c, 0xbc]],
  ])('%s in int32_data', (dtype, dataType, entries, bytes) => {
    const found = tensorFromProto(tensor({ dataType, dims: [2n], ...int32(...entries) }));
    expect(found.dtype).toBe(dtype);
    expect([...tensorBytes(found)]).toEqual(bytes);
  });

  it('packed types hold a byte in each entry, and the last one may be half full', () => {
    expect(read(22, [3n], int32(0x21, 0x0f))).toEqual([0x21, 0x0f]);
    expect(read(21, [4n], { rawData: new BytesSource(Uint8Array.of(0x10, 0x32)) })).toEqual([0x10, 0x32]);
    expect(read(26, [5n], int32(0x1b, 0x02))).toEqual([0x1b, 0x02]);
  });

  it('uint32 is in uint64_data', () => {
    expect(read(12, [1n], { uint64Data: BigUint64Array.of(0xfffefdfcn) })).toEqual([0xfc, 0xfd, 0xfe, 0xff]);
  });

  it.each<[string, Partial<TensorProto>, string]>([
    ['an unknown type', { dataType: 999 }, 'unknown data_type 999'],
    ['a negative dim', { dataType: 1, dims: [-1n] }, 'dims[0] is -1'],
    ['dims beyond memory', { dataType: 1, dims: [1n << 62n] }, 'dims[0] is 4611686018427387904: beyond 2^53'],
    ['no data', { dataType: 1, dims: [2n, 3n] }, 'float 2x3 needs 24 bytes, there is no data'],
    [
      'short data',
      { dataType: 1, dims: [2n], rawData: new BytesSource(new Uint8Array(4)) },
      'float 2 needs 8 bytes, raw_data has 4',
    ],
    [
      'too many entries',
      { dataType: 7, dims: [1n], int64Data: new BigInt64Array(2) },
      '1 elements, int64_data has 2',
    ],
    [
      'the wrong field',
      { dataType: 1, dims: [1n], int64Data: new BigInt64Array(1) },
      'is float but holds int64_data',
    ],
    [
      'two storages',
      { dataType: 6, dims: [1n], ...int32(1), rawData: new BytesSource(new Uint8Array(4)) },
      'has both raw_data and int32_data',
    ],
    [
      'strings in raw_data',
      { dataType: 8, dims: [1n], rawData: new BytesSource(new Uint8Array(4)) },
      'strings cannot be in raw_data',
    ],
    [
      'segments',
      { dataType: 1, segment: createMessage('TensorSegment', {}) },
      'uses segment, which no tool implements',
    ],
  ])('refuses %s', (_, fields, message) => {
    expect(refusal(() => tensorFromProto(tensor({ name: 'W', ...fields })))).toBe(
      `model/invalid: tensor 'W': ${message}`,
    );
  });

  it('an entry out of range is refused when it is read', () => {
    const found = tensorFromProto(tensor({ dataType: 10, dims: [1n], ...int32(70000) }));
    expect(refusal(() => tensorBytes(found))).toMatch(/int32_data holds 70000, which is not a float16 value/);
  });
});

describe('writing an edited model', () => {
  const chain = 'g (float[N] X) => (float[N] Y) { a = Relu (X)  b = Neg (a)  Y = Abs (b) }';

  it('an output keeps its name when another value takes its slot', () => {
    const model = modelFromText(chain);
    const [relu, , abs] = model.graph.nodes;
    abs?.output.replaceAllUsesWith(relu!.output);
    for (const node of model.graph.nodes.slice(1).reverse()) model.graph.remove(node);
    expect(textOfModel(model)).toMatch(/\{\n {3}Y = Relu \(X\)\n\}/);
  });

  it('a slot filled by an input, or twice by one value, is bridged by an Identity', () => {
    const model = modelFromText(
      'g (float[N] X) => (float[N] Y, float[N] Z, float[N] Q) { Y = Relu (X)  Z = Neg (X)  Q = Abs (X) }',
    );
    const { graph } = model;
    graph.setOutput(1, graph.outputs[0]);
    graph.setOutput(2, graph.inputs[0]);
    for (const node of graph.nodes.slice(1)) graph.remove(node);
    expect(textOfModel(model)).toMatch(
      /\{\n {3}Y = Relu \(X\)\n {3}Z = Identity \(Y\)\n {3}Q = Identity \(X\)\n\}/,
    );
  });

  it('an initializer takes the name of the slot it fills', () => {
    const model = modelFromText('g (float[1] X) => (float[1] Y) <float[1] W = {1}> { Y = Relu (W) }');
    const { graph } = model;
    graph.setOutput(0, graph.initializers[0]);
    graph.remove(graph.nodes[0]!);
    const proto = modelToProto(model);
    expect(proto.graph?.initializer.map(({ name }) => name)).toEqual(['Y']);
    expect(proto.graph?.node).toEqual([]);
  });

  it('values with the same name, or none, are told apart', () => {
    const graph = new Graph('g');
    const x = graph.addInput('X', tensorType('float32', [1]));
    const a = graph.add({ op: 'Relu', inputs: [x], outputs: ['t'] });
    const b = graph.add({ op: 'Neg', inputs: [a.output], outputs: ['t'] });
    const c = graph.add({ op: 'Abs', name: 'n', inputs: [b.output], outputs: [''] });
    const d = graph.add({ op: 'Add', inputs: [c.output, a.output], outputs: ['X'] });
    graph.addOutput('t', d.output);
    const nodes = modelToProto(new Model(graph)).graph?.node.map(({ input, output }) => [
      ...input,
      '->',
      ...output,
    ]);
    expect(nodes).toEqual([
      ['X', '->', 't_1'],
      ['t_1', '->', 't_2'],
      ['t_2', '->', 'n_output_1'],
      ['n_output_1', 't_1', '->', 't'],
    ]);
  });

  it('a new name inside a subgraph avoids those outside', () => {
    const model = modelFromText(`g (float[1] X, bool C) => (float[1] Y) {
      t = Relu (X)
      Y = If (C) <then_branch: graph = a () => (float[1] p) { p = Neg (t) },
                  else_branch: graph = b () => (float[1] p) { p = Abs (t) }>
    }`);
    const then = model.graph.nodes[1]?.subgraphs[0] as Graph;
    const [neg] = then.nodes;
    const extra = then.insertBefore({ op: 'Exp', inputs: [neg?.inputs[0]], outputs: ['t'] }, neg!);
    neg?.setInput(0, extra.output);
    const written = modelToProto(model).graph?.node[1]?.attribute[0]?.g?.node;
    expect(written?.map(({ input, output }) => [...input, '->', ...output])).toEqual([
      ['t', '->', 't_1'],
      ['t_1', '->', 'p'],
    ]);
  });

  it('a subgraph output that is an outer value is bridged', () => {
    const model = modelFromText(`g (float[1] X, bool C) => (float[1] Y) {
      Y = If (C) <then_branch: graph = a () => (float[1] p) { p = Neg (X) },
                  else_branch: graph = b () => (float[1] p) { p = Abs (X) }>
    }`);
    const then = model.graph.nodes[0]?.subgraphs[0] as Graph;
    const [neg] = then.nodes;
    neg?.output.replaceAllUsesWith(model.graph.inputs[0]!);
    then.remove(neg!);
    const written = modelToProto(model).graph?.node[0]?.attribute[0]?.g;
    expect(written?.node.map(({ opType, input, output }) => [opType, ...input, ...output])).toEqual([
      ['Identity', 'X', 'p'],
    ]);
  });

  it('value_info follows its values: renamed, retyped, dropped', () => {
    const model = modelFromText(
      'g (float[N] X) => (float[N] Y) <float[N] a, float[N] b, float[7] stray> { a = Relu (X)  b = Neg (a)  Y = Abs (b) }',
    );
    const [relu, neg, abs] = model.graph.nodes;
    abs?.setInput(0, relu?.output);
    model.graph.remove(neg!);
    relu!.output.name = 'renamed';
    relu!.output.setTensorType('float32', [4]);
    expect(textOfModel(model)).toMatch(/<float\[4\] renamed,\n {4}float\[7\] stray>/);
  });

  it('a new tensor is raw_data, an untouched one keeps its storage and its message', () => {
    const model = modelFromText(
      'g (float[1] X) => (float[1] Y) <float[1] W = {1}, float[1] V = {2}> { t = Add (X, W)  Y = Add (t, V) }',
    );
    const [w, v] = model.graph.initializers;
    model.graph.setInitializer(w!, float32Tensor([1], [5]));
    const [first, second] = modelToProto(model).graph?.initializer ?? [];
    expect(first?.rawData?.size).toBe(4);
    expect(first?.floatData).toBeUndefined();
    expect(second).toBe(protoOfTensor(v!.initializer!));
  });

  it('a copied attribute with a new value is written with that value', () => {
    const model = modelFromText('g (float[1] X) => (float[1] Y) { Y = Softmax <axis = 0> (X) }');
    const [node] = model.graph.nodes;
    const axis = node?.attributes.get('axis');
    node?.setAttribute('axis', { ...axis, kind: 'int', value: -1n });
    node?.setAttribute('extra', int(3));
    const written = modelToProto(model).graph?.node[0]?.attribute;
    expect(written?.map(({ name, i }) => [name, i])).toEqual([
      ['axis', -1n],
      ['extra', 3n],
    ]);
  });

  it('imports, metadata and versions change in place', () => {
    const model = oddModel('odd-domain-alias.onnx');
    const before = decodeModel(new BytesSource(readFileSync(join(odd, 'odd-domain-alias.onnx'))));
    expect(model.opset).toBe(Number(before.opsetImport[0]?.version));
    expect(before.opsetImport[0]?.domain).toBe('ai.onnx');
    model.opsets.set('', 18);
    model.opsets.set('com.microsoft', 1);
    model.metadata.set('k', 'v');
    model.irVersion = 9;
    const after = modelToProto(model);
    expect(after.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['ai.onnx', 18n],
      ['com.microsoft', 1n],
    ]);
    expect(after.metadataProps.map(({ key, value }) => [key, value])).toEqual([['k', 'v']]);
    expect(after.irVersion).toBe(9n);
    expect(after.graph?.node.map(({ domain }) => domain)).toEqual(
      before.graph?.node.map(({ domain }) => domain),
    );
  });

  it('a graph built from nothing is written whole', () => {
    const inner = new Graph('inner');
    inner.addOutput(
      'p',
      inner.add({ op: 'Constant', inputs: [], outputs: ['p'], attributes: { value_int: int(1) } }).output,
    );
    const graph = new Graph('g');
    const condition = graph.addInput('C', tensorType('bool', []));
    const branch = graph.add({
      op: 'If',
      inputs: [condition],
      outputs: ['Y'],
      attributes: { then_branch: graphAttribute(inner) },
    });
    graph.addOutput('Y', branch.output, { kind: 'sequence', element: tensorType('int64', ['n', null]) });
    const model = new Model(graph);
    model.opsets.set('', 17);
    const text = textOfModel(model);
    expect(text).toContain('g (bool C) => (seq(int64[n,?]) Y) {');
    expect(text).toContain('then_branch: graph = inner () => (p) {');
    expect(textOfModel(modelFromText(text))).toBe(text);
  });
});

describe('a model without a path', () => {
  it('cannot reach external data', () => {
    const model = oddModel('odd-ext-constant.onnx');
    const value = model.graph.nodes[0]?.tensor('value');
    expect(refusal(() => value?.data)).toMatch(/^model\/external-data: .*the model is not in a file/);
    expect(modelFromProto(modelToProto(model, { external: 'keep' })).graph.nodeCount).toBe(
      model.graph.nodeCount,
    );
  });
});

describe('a model with a path', () => {
  it('names the file in what it refuses', () => {
    const path = 'folder/model.onnx';
    const bytes = readFileSync(join(odd, 'wire-wt-optype-fixed32.onnx'));
    expect(refusal(() => openModel(new BytesSource(bytes), path))).toBe(
      `model/invalid: ${path}: graph.node[0] has no op_type`,
    );
  });
});
