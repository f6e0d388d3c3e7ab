/** The structural rules, one by one, on messages made for them. */
import { linkSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DTYPES, type DType } from '../../src/core/dtype.ts';
import { BytesSource } from '../../src/core/source.ts';
import { checkStructure } from '../../src/ir/check.ts';
import { createMessage } from '../../src/proto/fields.ts';
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
  TypeProto,
  ValueInfoProto,
} from '../../src/proto/schema.ts';

// Messages

const float = (dims: readonly number[] = [2, 3]): TypeProto =>
  createMessage('TypeProto', {
    tensorType: createMessage('TensorTypeProto', {
      elemType: 1,
      shape: createMessage('TensorShapeProto', {
        dim: dims.map((dim) => createMessage('Dimension', { dimValue: BigInt(dim) })),
      }),
    }),
  });
const value = (name: string, type: TypeProto | undefined = float()): ValueInfoProto =>
  createMessage('ValueInfoProto', { name, type });
const node = (op: string, inputs: string[], outputs: string[], more: Partial<NodeProto> = {}): NodeProto =>
  createMessage('NodeProto', { opType: op, input: inputs, output: outputs, ...more });
const attribute = (name: string, fields: Partial<AttributeProto>): AttributeProto =>
  createMessage('AttributeProto', { name, ...fields });
const graph = (fields: Partial<GraphProto> = {}): GraphProto =>
  createMessage('GraphProto', {
    name: 'g',
    input: [value('X')],
    output: [value('Y')],
    node: [node('Relu', ['X'], ['Y'])],
    ...fields,
  });
const model = (fields: Partial<GraphProto> = {}, more: Partial<ModelProto> = {}): ModelProto =>
  createMessage('ModelProto', {
    irVersion: 8n,
    opsetImport: [createMessage('OperatorSetIdProto', { version: 17n })],
    graph: graph(fields),
    ...more,
  });
const tensor = (fields: Partial<TensorProto>): TensorProto =>
  createMessage('TensorProto', { name: 'W', dims: [2n], dataType: 1, ...fields });
const bytes = (count: number): BytesSource => new BytesSource(new Uint8Array(count));
const entries = (given: Readonly<Record<string, string>>) =>
  Object.entries(given).map(([key, text]) => createMessage('StringStringEntryProto', { key, value: text }));
const branch = (nodes: NodeProto[], outputs: string[], more: Partial<GraphProto> = {}): GraphProto =>
  graph({ name: 'b', input: [], node: nodes, output: outputs.map((name) => value(name)), ...more });
const conditional = (then: GraphProto): NodeProto =>
  node('If', ['X'], ['Y'], {
    attribute: [
      attribute('then_branch', { type: 5, g: then }),
      attribute('else_branch', { type: 5, g: branch([node('Relu', ['X'], ['e'])], ['e']) }),
    ],
  });
const local = (fields: Partial<FunctionProto>): FunctionProto =>
  createMessage('FunctionProto', {
    domain: 'd',
    name: 'F',
    input: ['a'],
    output: ['b'],
    node: [node('Relu', ['a'], ['b'])],
    opsetImport: [createMessage('OperatorSetIdProto', { version: 17n })],
    ...fields,
  });
const imports = (...given: [string, bigint][]) =>
  given.map(([domain, version]) => createMessage('OperatorSetIdProto', { domain, version }));

const lines = (proto: ModelProto, path?: string): string[] =>
  checkStructure(proto, { path }).map(({ level, rule, message }) => `${level} ${rule}: ${message}`);

it('has nothing to say of a sound model', () => {
  expect(lines(model({ initializer: [tensor({ rawData: bytes(8) })] }))).toEqual([]);
});

it('reports all faults at once, errors first', () => {
  const proto = model(
    {
      name: '',
      node: [node('', ['X'], ['a']), node('Relu', ['q'], ['Y']), node('Relu', ['X'], ['Y'])],
      initializer: [tensor({ dims: [-1n] })],
    },
    { irVersion: 99n, opsetImport: [] },
  );
  expect(checkStructure(proto).map(({ level, rule }) => `${level} ${rule}`)).toEqual([
    'error ir-version',
    'error opset-missing',
    'error tensor-dims',
    'error duplicate-value',
    'error node-op-type',
    'error undefined-value',
    'warning graph-name',
  ]);
});

describe('header', () => {
  it.each([
    [{ irVersion: undefined }, 'error ir-version: the model has no ir_version'],
    [{ irVersion: 0n }, 'error ir-version: IR version 0 does not exist'],
    [{ irVersion: -3n }, 'error ir-version: IR version -3 does not exist'],
    [{ irVersion: 15n }, 'error ir-version: IR version 15 is newer than any known (14)'],
    [{ irVersion: 2n }, 'warning ir-version-old: IR version 2 predates opset_import (IR version 3)'],
    [{ opsetImport: imports(['', 0n]) }, 'error opset-version: opset 0 does not exist'],
    [{ opsetImport: imports(['', 29n]) }, 'error opset-version: opset 29 is newer than any known (28)'],
    [
      { opsetImport: imports(['', 17n], ['ai.onnx.ml', 6n]) },
      "error opset-version: opset 6 of domain 'ai.onnx.ml' is newer than any known (5)",
    ],
    [
      { opsetImport: imports(['', 17n], ['ai.onnx', 13n]) },
      "error opset-duplicate: opset_import lists domain '' twice, as 17 and 13",
    ],
    [
      { opsetImport: imports(['', 17n], ['', 17n]) },
      "warning opset-duplicate: opset_import lists domain '' twice",
    ],
    [
      { metadataProps: [...entries({ k: 'a' }), ...entries({ k: 'b' })] },
      "warning metadata-key: metadata_props has the key 'k' twice",
    ],
    [{ graph: undefined }, 'error no-graph: the model has no graph'],
  ] satisfies [Partial<ModelProto>, string][])('%#: %o', (fields, expected) => {
    expect(lines(model({}, fields))).toContain(expected);
  });

  it('takes any version of a domain it does not know', () => {
    expect(lines(model({}, { opsetImport: imports(['', 17n], ['com.acme', 4000n]) }))).toEqual([]);
  });
});

describe('values', () => {
  it('names a cycle through three nodes, and not what merely hangs on it', () => {
    const found = lines(
      model({
        node: [
          node('Relu', ['X'], ['p']),
          node('Add', ['p', 'c'], ['a']),
          node('Relu', ['a'], ['b']),
          node('Relu', ['b'], ['c']),
          node('Relu', ['c'], ['Y']),
        ],
      }),
    );
    expect(found).toEqual(['error cycle: cycle: a -> c -> b -> a']);
  });

  it('finds a cycle that closes through a subgraph', () => {
    const then = branch([node('Relu', ['later'], ['t'])], ['t']);
    const found = lines(model({ node: [conditional(then), node('Relu', ['Y'], ['later'])] }));
    expect(found).toEqual(['error cycle: cycle: Y -> later -> Y']);
  });

  it('finds a node that reads itself', () => {
    expect(lines(model({ node: [node('Add', ['X', 'Y'], ['Y'])] }))).toEqual(['error cycle: cycle: Y -> Y']);
  });

  it('tells an unsorted graph from a cyclic one, captures included', () => {
    const then = branch([node('Relu', ['later'], ['t'])], ['t']);
    expect(lines(model({ node: [conditional(then), node('Relu', ['X'], ['later'])] }))).toEqual([
      "error unsorted: graph.node[0] reads 'later' which graph.node[1] makes later",
    ]);
  });

  it('walks a chain of 100,000 nodes in the wrong order', () => {
    const count = 100_000;
    const nodes = Array.from({ length: count }, (_, i) =>
      node('Relu', [i === count - 1 ? 'X' : `v${i + 1}`], [i === 0 ? 'Y' : `v${i}`]),
    );
    const found = checkStructure(model({ node: nodes }));
    expect(found[0]?.message).toMatch(/^graph\.node\[0\] reads 'v1' .* \(and 99,998 more\)$/);
  });

  it.each([
    [
      'two nodes',
      { node: [node('Relu', ['X'], ['Y']), node('Relu', ['X'], ['Y'])] },
      "'Y' is the output of node 0 and of node 1",
    ],
    [
      'an input',
      { node: [node('Relu', ['X'], ['X']), node('Relu', ['X'], ['Y'])] },
      "'X' is a graph input and the output of node 0",
    ],
    ['two inputs', { input: [value('X'), value('X')] }, "graph.input 'X' is listed twice"],
    [
      'two initializers',
      { initializer: [tensor({ rawData: bytes(8) }), tensor({ rawData: bytes(8) })] },
      "graph.initializer 'W' is listed twice",
    ],
  ] satisfies [string, Partial<GraphProto>, string][])('is defined once: %s', (_, fields, message) => {
    expect(lines(model(fields))).toEqual([`error duplicate-value: ${message}`]);
  });

  it('lets a subgraph read outside and both branches use the same names', () => {
    const then = branch([node('Relu', ['X'], ['e'])], ['e']);
    expect(lines(model({ node: [conditional(then)] }))).toEqual([]);
  });

  it('refuses shadowing by a node, and notes it for an input', () => {
    const shadow = branch([node('Relu', ['X'], ['X'])], ['X']);
    expect(lines(model({ node: [conditional(shadow)] }))).toEqual([
      "error shadowed-value: node 0 in graph.node[0].then_branch shadows outer value 'X'",
    ]);
    const input = branch([node('Relu', ['X'], ['t'])], ['t'], { input: [value('X')] });
    expect(lines(model({ node: [conditional(input)] }))).toEqual([
      "note shadowed-value: an input in graph.node[0].then_branch shadows outer value 'X'",
    ]);
  });

  it('wants outputs to be made where they are listed', () => {
    expect(lines(model({ output: [value('Z')] }))).toEqual([
      "error output-not-produced: graph.output 'Z' is not produced by any node",
    ]);
    expect(lines(model({ node: [conditional(branch([], ['X']))] }))).toEqual([
      "error output-not-produced: graph.node[0].then_branch.output 'X' is an outer value: a subgraph must make its outputs itself (with Identity)",
    ]);
  });

  it('takes a default for an input only where it fits', () => {
    const found = (fields: Partial<TensorProto>): string[] =>
      lines(model({ input: [value('X'), value('W')], initializer: [tensor(fields)] }));
    expect(found({ dims: [2n, 3n], rawData: bytes(24) })).toEqual([]);
    expect(found({ dims: [2n, 3n], dataType: 7, rawData: bytes(48) })).toEqual([
      "error initializer-type: graph.input 'W' is declared float, its initializer is int64",
    ]);
    expect(found({ dims: [3n, 2n], rawData: bytes(24) })).toEqual([
      "error initializer-type: graph.input 'W' is declared [2, 3], its initializer is [3, 2]",
    ]);
  });

  it('keeps names of Object.prototype apart', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const nodes = names.map((name, i) => node('Relu', [i === 0 ? 'X' : names[i - 1]!], [name]));
    expect(lines(model({ node: [...nodes, node('Relu', ['hasOwnProperty'], ['Y'])] }))).toEqual([]);
    expect(lines(model({ node: [node('Relu', ['__proto__'], ['Y'])] }))).toEqual([
      "error undefined-value: graph.node[0] Relu reads '__proto__', which nothing defines",
    ]);
  });

  it('warns of what a reader does not see', () => {
    const rules = (name: string): string[] =>
      checkStructure(model({ node: [node('Relu', ['X'], [name]), node('Relu', [name], ['Y'])] })).map(
        ({ level, rule }) => `${level} ${rule}`,
      );
    expect(rules('a\0b')).toEqual(['warning name-nul']);
    expect(rules('a\x1b[2Jb')).toEqual(['warning name-control-characters']);
    expect(rules('a\u202eb')).toEqual(['warning name-hidden-characters']);
    expect(rules('a\ufeff')).toContain('warning name-hidden-characters');
    expect(rules(' a')).toEqual(['note name-whitespace']);
    expect(rules('größe/層.1 x')).toEqual([]);
  });
});

describe('tensors', () => {
  const found = (fields: Partial<TensorProto>): string[] => lines(model({ initializer: [tensor(fields)] }));
  const sized = (Object.keys(DTYPES) as DType[]).filter((dtype) => dtype !== 'string');
  const rawBytes = (dtype: DType, elements: number): number => Math.ceil((elements * DTYPES[dtype].bits) / 8);

  it.each(sized)('%s needs exactly its bytes in raw_data', (dtype) => {
    const dataType = DTYPES[dtype].onnx;
    const needed = rawBytes(dtype, 15);
    const dims = [3n, 5n];
    expect(found({ dataType, dims, rawData: bytes(needed) })).toEqual([]);
    for (const size of [needed - 1, needed + 1]) {
      expect(found({ dataType, dims, rawData: bytes(size) })).toEqual([
        `error tensor-size: initializer 'W': ${DTYPES[dtype].text} 3x5 needs ${needed} bytes, raw_data has ${size}`,
      ]);
    }
    expect(found({ dataType, dims })).toEqual([
      `error tensor-size: initializer 'W': ${DTYPES[dtype].text} 3x5 needs ${needed} bytes, there is no data`,
    ]);
  });

  /** Typed fields: name, how to fill it with `count` entries, the types it holds and entries for 5 elements. */
  const fields = {
    float_data: (count: number) => ({ floatData: bytes(count * 4) }),
    int32_data: (count: number) => ({ int32Data: new Int32Array(count) }),
    int64_data: (count: number) => ({ int64Data: new BigInt64Array(count) }),
    double_data: (count: number) => ({ doubleData: bytes(count * 8) }),
    uint64_data: (count: number) => ({ uint64Data: new BigUint64Array(count) }),
    string_data: (count: number) => ({ stringData: Array.from({ length: count }, () => new Uint8Array(1)) }),
  } as const;
  const homes: Readonly<Record<DType, readonly [keyof typeof fields, number]>> = {
    float32: ['float_data', 5],
    complex64: ['float_data', 10],
    float64: ['double_data', 5],
    complex128: ['double_data', 10],
    int64: ['int64_data', 5],
    uint64: ['uint64_data', 5],
    uint32: ['uint64_data', 5],
    string: ['string_data', 5],
    int32: ['int32_data', 5],
    int16: ['int32_data', 5],
    uint16: ['int32_data', 5],
    int8: ['int32_data', 5],
    uint8: ['int32_data', 5],
    bool: ['int32_data', 5],
    float16: ['int32_data', 5],
    bfloat16: ['int32_data', 5],
    float8e4m3fn: ['int32_data', 5],
    float8e4m3fnuz: ['int32_data', 5],
    float8e5m2: ['int32_data', 5],
    float8e5m2fnuz: ['int32_data', 5],
    float8e8m0: ['int32_data', 5],
    float6e2m3: ['int32_data', 5],
    float6e3m2: ['int32_data', 5],
    int4: ['int32_data', 3],
    uint4: ['int32_data', 3],
    float4e2m1: ['int32_data', 3],
    int2: ['int32_data', 2],
    uint2: ['int32_data', 2],
  };

  it.each(Object.entries(homes))('%s lives in its own typed field only', (dtype, [home, needed]) => {
    const { onnx: dataType, text } = DTYPES[dtype as DType];
    for (const [field, fill] of Object.entries(fields)) {
      const errors = found({ dataType, dims: [5n], ...fill(needed) });
      const expected =
        field === home ? [] : [`error tensor-field: initializer 'W' is ${text} but holds ${field}`];
      expect(errors).toEqual(expected);
    }
    for (const count of [needed - 1, needed + 1]) {
      expect(found({ dataType, dims: [5n], ...fields[home](count) })).toEqual([
        expect.stringMatching(
          new RegExp(`^error tensor-size: initializer 'W': 5 elements.*, ${home} has ${count}$`),
        ),
      ]);
    }
  });

  it.each([
    ['bool', 1, 0, 2],
    ['int8', 127, -128, 128],
    ['int8', 127, -128, -129],
    ['uint8', 255, 0, 256],
    ['uint8', 255, 0, -1],
    ['int16', 32767, -32768, 32768],
    ['uint16', 65535, 0, -1],
    ['float16', 65535, 0, 65536],
    ['bfloat16', 65535, 0, -1],
    ['float8e5m2', 255, 0, 256],
    ['float6e3m2', 63, 0, 64],
  ] as const)('%s entries lie in its range', (dtype, high, low, outside) => {
    const dataType = DTYPES[dtype].onnx;
    expect(found({ dataType, int32Data: Int32Array.of(low, high) })).toEqual([]);
    expect(found({ dataType, int32Data: Int32Array.of(low, outside) })).toEqual([
      expect.stringMatching(
        new RegExp(`^error tensor-range: initializer 'W': int32_data\\[1\\] = ${outside} is not an? `),
      ),
    ]);
  });

  it('knows that uint32 shares its field with uint64', () => {
    expect(found({ dataType: 12, uint64Data: BigUint64Array.of(0n, 0xffffffffn) })).toEqual([]);
    expect(found({ dataType: 12, uint64Data: BigUint64Array.of(0n, 1n << 32n) })).toEqual([
      "error tensor-range: initializer 'W': uint64_data[1] = 4294967296 is not a uint32",
    ]);
  });

  it.each([
    [{ dataType: undefined }, "error tensor-type: initializer 'W': no data_type"],
    [{ dataType: 29 }, "error tensor-type: initializer 'W': unknown data_type 29"],
    [{ dims: [3n, -2n] }, "error tensor-dims: initializer 'W': dims[1] is -2"],
    [
      { dims: [1n << 62n, 1n << 62n] },
      "error tensor-dims: initializer 'W': the number of elements overflows (dims 4611686018427387904 x 4611686018427387904)",
    ],
    [
      { dims: [1n << 40n] },
      "error tensor-size: initializer 'W': float 1099511627776 needs 4 TiB, there is no data",
    ],
    [
      { rawData: bytes(8), floatData: bytes(8) },
      "error tensor-field: initializer 'W' holds its data more than once: float_data and raw_data",
    ],
    [
      { dataType: 8, rawData: bytes(2) },
      "error tensor-field: initializer 'W': strings cannot be in raw_data",
    ],
    [
      { segment: createMessage('TensorSegment', { begin: 0n, end: 1n }) },
      "error tensor-segment: initializer 'W' uses segment, which no tool implements",
    ],
    [{ dataLocation: 7 }, "error tensor-location: initializer 'W': unknown data_location 7"],
    [
      { dims: [0n], rawData: bytes(4) },
      "error tensor-size: initializer 'W': float 0 needs 0 bytes, raw_data has 4",
    ],
    [
      { dataType: 8, stringData: [Uint8Array.of(0x61), Uint8Array.of(0xff)] },
      "warning tensor-range: initializer 'W': string_data[1] is not UTF-8",
    ],
  ] satisfies [Partial<TensorProto>, string][])('%#', (fields_, expected) => {
    expect(found(fields_)).toEqual([expected]);
  });

  it('takes scalars, empty tensors and an empty raw_data beside typed data', () => {
    expect(found({ dims: [], rawData: bytes(4) })).toEqual([]);
    expect(found({ dims: [0n, 3n] })).toEqual([]);
    expect(found({ dims: [0n, 3n], rawData: bytes(0) })).toEqual([]);
    expect(found({ rawData: bytes(0), floatData: bytes(8) })).toEqual([]);
  });

  it('checks tensors wherever they are: attributes, subgraphs, functions', () => {
    const bad = tensor({ rawData: bytes(4) });
    const constant = node('Constant', [], ['c'], { attribute: [attribute('value', { type: 4, t: bad })] });
    const inBranch = branch([constant, node('Relu', ['c'], ['t'])], ['t'], { initializer: [bad] });
    const found_ = lines(
      model(
        { node: [conditional(inBranch)] },
        {
          opsetImport: imports(['', 17n], ['d', 1n]),
          functions: [local({ node: [constant, node('Add', ['a', 'c'], ['b'])] })],
        },
      ),
    );
    expect(found_.filter((line) => line.startsWith('error'))).toEqual([
      "error tensor-size: node 0 then_branch initializer 'W': float 2 needs 8 bytes, raw_data has 4",
      'error tensor-size: node 0 then_branch node 0 attribute value: float 2 needs 8 bytes, raw_data has 4',
      'error tensor-size: function d.F node 0 attribute value: float 2 needs 8 bytes, raw_data has 4',
    ]);
  });
});

describe('sparse tensors', () => {
  const sparse = (
    values: Partial<TensorProto>,
    indices: Partial<TensorProto>,
    dims: bigint[],
  ): SparseTensorProto =>
    createMessage('SparseTensorProto', {
      values: tensor({ rawData: bytes(8), ...values }),
      indices: tensor({ name: '', dataType: 7, ...indices }),
      dims,
    });
  const found = (...given: Parameters<typeof sparse>): string[] =>
    lines(model({ sparseInitializer: [sparse(...given)] }));

  it.each([
    [{}, { int64Data: BigInt64Array.of(1n, 5n) }, undefined],
    [{}, { dims: [2n, 2n], int64Data: BigInt64Array.of(0n, 2n, 1n, 0n) }, undefined],
    [
      {},
      { int64Data: BigInt64Array.of(1n, 6n) },
      "sparse-index: sparse initializer 'W': index 6 is out of range (6 elements)",
    ],
    [
      {},
      { int64Data: BigInt64Array.of(-1n, 5n) },
      "sparse-index: sparse initializer 'W': index -1 is out of range (6 elements)",
    ],
    [
      {},
      { int64Data: BigInt64Array.of(3n, 3n) },
      "sparse-index: sparse initializer 'W': index 3 occurs twice",
    ],
    [
      {},
      { int64Data: BigInt64Array.of(3n, 1n) },
      "sparse-index: sparse initializer 'W': index 1 is out of order: indices must ascend",
    ],
    [
      {},
      { dims: [2n, 2n], int64Data: BigInt64Array.of(0n, 2n, 2n, 0n) },
      "sparse-index: sparse initializer 'W': index (2,0) is out of range (2x3)",
    ],
    [
      {},
      { dims: [2n, 3n], int64Data: new BigInt64Array(6) },
      "sparse-shape: sparse initializer 'W': indices have 3 columns, the rank is 2",
    ],
    [
      {},
      { dims: [3n], int64Data: new BigInt64Array(3) },
      "sparse-shape: sparse initializer 'W': 2 values, 3 indices",
    ],
    [
      {},
      { dataType: 6, int32Data: new Int32Array(2) },
      "sparse-shape: sparse initializer 'W': indices must be int64, found int32",
    ],
    [
      { dims: [1n, 2n] },
      { int64Data: BigInt64Array.of(1n, 5n) },
      "sparse-shape: sparse initializer 'W': values must be 1-D, found rank 2",
    ],
  ] satisfies [Partial<TensorProto>, Partial<TensorProto>, string | undefined][])(
    '%#',
    (values, indices, expected) => {
      const errors = found(values, indices, [2n, 3n]);
      expect(errors).toEqual(expected === undefined ? [] : [`error ${expected}`]);
    },
  );
});

describe('external data', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ortho-check-'));
  const outside = mkdtempSync(join(tmpdir(), 'ortho-outside-'));
  afterAll(() => {
    rmSync(folder, { recursive: true });
    rmSync(outside, { recursive: true });
  });
  const path = join(folder, 'model.onnx');
  writeFileSync(path, 'the model');
  writeFileSync(join(folder, 'w.bin'), new Uint8Array(16));
  writeFileSync(join(outside, 'secret.bin'), new Uint8Array(16));
  symlinkSync(join(outside, 'secret.bin'), join(folder, 'link.bin'));
  symlinkSync(outside, join(folder, 'linked'));
  symlinkSync(join(folder, 'w.bin'), join(folder, 'inner.bin'));
  symlinkSync(join(folder, 'gone'), join(folder, 'dangling.bin'));
  linkSync(join(outside, 'secret.bin'), join(folder, 'hard.bin'));

  const found = (given: Readonly<Record<string, string>>, fields: Partial<TensorProto> = {}): string[] =>
    lines(
      model({ initializer: [tensor({ dataLocation: 1, externalData: entries(given), ...fields })] }),
      path,
    );
  const error = (message: string): string[] => [`error external-data: initializer 'W': ${message}`];

  it.each([
    [{ location: 'w.bin' }],
    [{ location: './w.bin', offset: '8' }],
    [{ location: 'w.bin', offset: '3', length: '8' }],
    [{ location: 'inner.bin', length: '8' }],
    [{ location: 'w.bin', checksum: 'E129F27C5103BC5CC44BCDF0A15E160D445066FF' }],
  ])('accepts %o', (given) => expect(found(given)).toEqual([]));

  it('takes an empty raw_data beside the reference', () => {
    expect(found({ location: 'w.bin' }, { rawData: bytes(0) })).toEqual([]);
  });

  it.each([
    ['../w.bin', "leaves the model's folder: '../w.bin'"],
    ['a/../../w.bin', "leaves the model's folder: 'a/../../w.bin'"],
    ['/etc/passwd', "is absolute: '/etc/passwd'"],
    ['C:w.bin', "is absolute: 'C:w.bin'"],
    ['\\\\host\\share', "is absolute: '\\\\host\\share'"],
    ['a\\w.bin', "holds a backslash: 'a\\w.bin'"],
    ['file:///etc/passwd', "is a URL: 'file:///etc/passwd'"],
    ['link.bin', "leaves the model's folder through a symbolic link: 'link.bin'"],
    ['linked/secret.bin', "leaves the model's folder through a symbolic link: 'linked/secret.bin'"],
    ['dangling.bin', "'dangling.bin' is a symbolic link to nothing"],
    ['.', "'.' is a folder"],
    ['w.bin/', "is a folder: 'w.bin/'"],
    ['model.onnx', "is the model itself: 'model.onnx'"],
    ['hard.bin', "'hard.bin' is a hard link: its content may belong to a file outside the model's folder"],
  ])('refuses the location %s', (location, message) => {
    expect(found({ location })).toEqual(error(`external_data location ${message}`));
  });

  it.each([
    [{ location: 'gone.bin' }, "external data file 'gone.bin' does not exist"],
    [{ location: 'w.bin/x' }, "external data file 'w.bin/x' does not exist"],
    [{}, 'external_data has no location'],
    [{ location: '' }, 'external_data has no location'],
    [{ location: 'w.bin', offset: '-1' }, 'external_data offset -1 is negative'],
    [{ location: 'w.bin', offset: '' }, "external_data offset '' is not a decimal number"],
    [{ location: 'w.bin', offset: '1e1' }, "external_data offset '1e1' is not a decimal number"],
    [{ location: 'w.bin', offset: '+8' }, "external_data offset '+8' is not a decimal number"],
    [{ location: 'w.bin', length: '-8' }, 'external_data length -8 is negative'],
    [{ location: 'w.bin', length: '7' }, 'needs 8 bytes, external_data length is 7'],
    [{ location: 'w.bin', offset: '9' }, 'external data: 9+8 is past the end of the file (16 bytes)'],
    [
      { location: 'w.bin', offset: '9223372036854775807' },
      'external_data offset + length overflows (9223372036854775807 + 8)',
    ],
  ])('refuses %o', (given, message) => expect(found(given)).toEqual(error(message)));

  it('finds what contradicts it', () => {
    const location = { location: 'w.bin' };
    expect(found(location, { rawData: bytes(8) })).toEqual([
      "error tensor-field: initializer 'W' is external and has raw_data",
    ]);
    expect(found(location, { dataType: 8 })[0]).toBe(
      "error tensor-field: initializer 'W': strings cannot be external",
    );
    expect(found({ ...location, checksum: '00'.repeat(20) })).toEqual([
      expect.stringMatching(/^warning external-checksum: .* is not that of the file/),
    ]);
    const twice = [...entries({ location: 'w.bin', offset: '0' }), ...entries({ offset: '8' })];
    expect(found({}, { externalData: twice })).toEqual(error("external_data has the key 'offset' twice"));
  });

  it('judges only the text of a model that is in no file', () => {
    const proto = (location: string): ModelProto =>
      model({ initializer: [tensor({ dataLocation: 1, externalData: entries({ location }) })] });
    expect(lines(proto('anything.bin'))).toEqual([]);
    expect(lines(proto('../anything.bin'))).toHaveLength(1);
  });
});

describe('attributes', () => {
  const found = (fields: Partial<AttributeProto>, more: readonly AttributeProto[] = []): string[] =>
    lines(model({ node: [node('Relu', ['X'], ['Y'], { attribute: [attribute('a', fields), ...more] })] }));
  const at = 'graph.node[0] Relu: attribute a';

  it.each([
    [{ i: 1n }, `attribute-type: ${at} has no type; it holds an int`],
    [{ type: 99, i: 1n }, `attribute-type: ${at}: unknown attribute type 99`],
    [{ type: 3, i: 1n }, `attribute-type: ${at} says STRING but holds an int`],
    [{ type: 1, floats: Float32Array.of(1) }, `attribute-type: ${at} says FLOAT but holds floats`],
    [{ type: 2, i: 1n, ints: [1n] }, `attribute-type: ${at} says INT but also holds ints`],
    [{ type: 4 }, `attribute-value: ${at} says TENSOR but holds nothing`],
    [{ type: 5 }, `attribute-value: ${at} says GRAPH but holds nothing`],
    [{ type: 2, refAttrName: 'k' }, `attribute-reference: ${at} refers to 'k' outside a function`],
    [{ name: '', type: 2, i: 1n }, 'attribute-name: graph.node[0] Relu has an attribute without a name'],
  ] satisfies [Partial<AttributeProto>, string][])('%#', (fields, expected) => {
    expect(found(fields)).toEqual([`error ${expected}`]);
  });

  it('lets zeros and empty lists be left out', () => {
    for (const type of [1, 2, 3, 6, 7, 8]) expect(found({ type })).toEqual([]);
  });

  it('refuses the same name twice', () => {
    expect(found({ type: 2, i: 1n }, [attribute('a', { type: 2, i: 2n })])).toEqual([
      "error duplicate-attribute: graph.node[0] Relu: attribute 'a' is given twice",
    ]);
  });
});

describe('types', () => {
  const typed = (type: TypeProto | undefined): string[] =>
    lines(model({ input: [createMessage('ValueInfoProto', { name: 'X', type })] }));
  const elem = (elemType: number) =>
    createMessage('TypeProto', { tensorType: createMessage('TensorTypeProto', { elemType }) });

  it.each([
    [undefined, "type-missing: graph.input 'X' has no type"],
    [createMessage('TypeProto'), "type-missing: graph.input 'X' has an empty type"],
    [elem(0), "type-missing: graph.input 'X' has no element type"],
    [elem(77), "type-unknown: graph.input 'X': unknown element type 77"],
    [
      createMessage('TypeProto', {
        mapType: createMessage('MapTypeProto', { keyType: 1, valueType: elem(1) }),
      }),
      "type-map-key: graph.input 'X': a map's key must be an integer or a string, found float32",
    ],
    [
      createMessage('TypeProto', { sequenceType: createMessage('ElementTypeProto') }),
      "type-missing: graph.input 'X': the sequence has no element type",
    ],
    [
      createMessage('TypeProto', { sequenceType: createMessage('ElementTypeProto', { elemType: elem(99) }) }),
      "type-unknown: graph.input 'X' (element of a sequence): unknown element type 99",
    ],
  ])('%#', (type, expected) => expect(typed(type)).toEqual([`error ${expected}`]));

  it('takes unknown shapes, and warns of a negative dimension', () => {
    expect(typed(elem(1))).toEqual([]);
    expect(typed(float([-1, 3]))).toEqual(["warning type-dims: graph.input 'X': dim 0 is -1"]);
  });
});

describe('functions', () => {
  const calling = (
    functions: FunctionProto[],
    call: NodeProto = node('F', ['X'], ['Y'], { domain: 'd' }),
  ): string[] => lines(model({ node: [call] }, { opsetImport: imports(['', 17n], ['d', 1n]), functions }));

  it('accepts a call', () => expect(calling([local({})])).toEqual([]));

  it.each([
    ['no name', [local({}), local({ name: '' })], 'function-signature: functions[1] has no name'],
    ['twice', [local({}), local({})], 'function-duplicate: function d.F is defined twice'],
    [
      'an outer value',
      [local({ node: [node('Add', ['a', 'X'], ['b'])] })],
      "undefined-value: function d.F reads 'X': functions do not see outer values",
    ],
    [
      'an output that nothing makes',
      [local({ output: ['z'] })],
      "output-not-produced: function d.F.output 'z' is not produced by any node",
    ],
    ['no opset', [local({ opsetImport: [] })], 'opset-missing: function d.F: opset_import is empty'],
    [
      'an undeclared domain',
      [local({ node: [node('Q', ['a'], ['b'], { domain: 'q' })] })],
      "opset-undeclared: function d.F.node[0] q.Q: function d.F imports no opset of domain 'q'",
    ],
    [
      'itself',
      [
        local({
          node: [node('F', ['a'], ['b'], { domain: 'd' })],
          opsetImport: imports(['', 17n], ['d', 1n]),
        }),
      ],
      'function-recursion: functions call each other: d.F -> d.F',
    ],
    [
      'an attribute it does not declare',
      [
        local({
          node: [node('Relu', ['a'], ['b'], { attribute: [attribute('k', { type: 2, refAttrName: 'q' })] })],
        }),
      ],
      "attribute-reference: function d.F.node[0] Relu: attribute k refers to 'q', which function d.F does not declare",
    ],
    [
      'an attribute twice',
      [local({ attribute: ['k', 'k'] })],
      "function-signature: function d.F lists attribute 'k' twice",
    ],
  ] satisfies [string, FunctionProto[], string][])('%s', (_, functions, expected) => {
    expect(calling(functions).filter((line) => line.startsWith('error'))).toEqual([`error ${expected}`]);
  });

  it('compares calls with signatures', () => {
    const many = node('F', ['X', 'X'], ['Y', 'z'], { domain: 'd' });
    expect(calling([local({})], many)).toEqual([
      'error function-arity: graph.node[0] d.F takes 1 inputs, found 2',
      'error function-arity: graph.node[0] d.F has 1 outputs, found 2',
    ]);
    const refers = [attribute('alpha', { type: 1, refAttrName: 'k' })];
    const used = local({ attribute: ['k'], node: [node('Elu', ['a'], ['b'], { attribute: refers })] });
    expect(calling([used])).toEqual(["error function-attribute: graph.node[0]: d.F needs attribute 'k'"]);
    expect(calling([local({ attribute: ['k'] })])).toEqual([
      "note function-attribute: graph.node[0]: d.F needs attribute 'k'",
    ]);
  });

  it('counts what inlining would make without inlining', () => {
    const doubling = (depth: number): FunctionProto[] =>
      Array.from({ length: depth }, (_, i) =>
        local({
          name: i === 0 ? 'F' : `F${i}`,
          node:
            i === depth - 1
              ? [node('Relu', ['a'], ['b'])]
              : [
                  node(`F${i + 1}`, ['a'], ['c'], { domain: 'd' }),
                  node(`F${i + 1}`, ['c'], ['b'], { domain: 'd' }),
                ],
          opsetImport: imports(['', 17n], ['d', 1n]),
        }),
      );
    expect(calling(doubling(15))).toEqual([]);
    expect(calling(doubling(22))).toEqual([
      'error function-inlining: inlining makes 2097152 nodes (limit 1000000)',
    ]);
    expect(calling(doubling(90))[0]).toMatch(/^error function-inlining: inlining makes 6\.2e\+26 nodes/);
  });
});

describe('the rest', () => {
  it('follows training bindings', () => {
    const algorithm = graph({ node: [node('Relu', ['W'], ['W2'])], input: [], output: [value('W2')] });
    const training = (key: string, from: string) =>
      lines(
        model(
          { initializer: [tensor({ rawData: bytes(8) })] },
          {
            trainingInfo: [
              createMessage('TrainingInfoProto', { algorithm, updateBinding: entries({ [key]: from }) }),
            ],
          },
        ),
      );
    expect(training('W', 'W2')).toEqual([]);
    expect(training('nope', 'W2')).toEqual([
      "warning training-binding: training_info[0].update_binding names 'nope', not an initializer",
    ]);
    expect(training('W', 'nope')).toEqual([
      "warning training-binding: training_info[0].update_binding takes 'nope', not an output of its graph",
    ]);
  });

  it('follows quantization annotations and device configurations', () => {
    const annotation = createMessage('TensorAnnotation', {
      tensorName: 'Y',
      quantParameterTensorNames: entries({ SCALE_TENSOR: 'nope' }),
    });
    expect(lines(model({ quantizationAnnotation: [annotation] }))).toEqual([
      "warning quantization-annotation: graph.quantization_annotation[0]: 'SCALE_TENSOR' names 'nope', not a value of the graph",
    ]);
    const placed = node('Relu', ['X'], ['Y'], {
      deviceConfigurations: [createMessage('NodeDeviceConfigurationProto', { configurationId: 'c' })],
    });
    const configuration = [createMessage('DeviceConfigurationProto', { name: 'c', numDevices: 2 })];
    expect(lines(model({ node: [placed] }, { configuration, irVersion: 11n }))).toEqual([]);
    expect(lines(model({ node: [placed] }, { irVersion: 11n }))).toEqual([
      "warning device-configuration: graph.node[0]: device configuration 'c' is not one of the model's",
    ]);
  });

  it('wants domains declared and nodes named apart', () => {
    const foreign = node('Foo', ['X'], ['Y'], { domain: 'com.acme' });
    expect(lines(model({ node: [foreign] }))).toEqual([
      "error opset-undeclared: graph.node[0] com.acme.Foo: the model imports no opset of domain 'com.acme'",
    ]);
    const named = { name: 'n' };
    expect(
      lines(model({ node: [node('Relu', ['X'], ['a'], named), node('Relu', ['a'], ['Y'], named)] })),
    ).toEqual(["warning duplicate-node-name: graph.node[0] and graph.node[1] are both named 'n'"]);
  });
});
