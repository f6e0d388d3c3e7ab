/** Damaged and strange files: what is refused says where and why, what protobuf allows is read. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { type ByteSource, BytesSource } from '../../src/core/source.ts';
import { modelFromProto } from '../../src/ir/from-proto.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { decodeMessage, decodeModel } from '../../src/proto/decode.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { joinSegments } from '../../src/proto/segments.ts';
import { printModelText } from '../../src/proto/text/print.ts';
import { delimited, integer, tag, varint } from '../support/wire.ts';

const odd = fileURLToPath(new URL('../fixtures/onnx-odd/', import.meta.url));
const cases = JSON.parse(readFileSync(join(odd, 'cases.json'), 'utf8')) as {
  file: string;
  group: string;
  expected: string;
  wrong: string;
}[];

const source = (bytes: readonly number[]): ByteSource => new BytesSource(Uint8Array.from(bytes));

const errorOf = (run: () => unknown): OrthoError => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(OrthoError);
    return error as OrthoError;
  }
  throw new Error('nothing was thrown');
};

/** What the decoder says about each damaged file; those that only the graph or the checker refuses are not here. */
const MESSAGES: Readonly<Record<string, RegExp>> = {
  'wire-empty.onnx': /the file is empty \(0 bytes\)$/,
  'wire-json-error.onnx': /this is JSON text, not an ONNX model$/,
  'wire-zip.onnx': /this is a zip archive, not an ONNX model; it holds model\.onnx$/,
  'wire-torch-legacy.onnx': /this is a Python pickle \(PyTorch legacy checkpoint\?\), not an ONNX model$/,
  'wire-tflite.onnx': /this is a TensorFlow Lite model \(TFL3\), not ONNX$/,
  'wire-safetensors.onnx': /this is a safetensors file, not an ONNX model$/,
  'wire-text-onnx.onnx': /this is ONNX text, not a binary ONNX model$/,
  'wire-crlf.onnx': /damaged as by a text-mode transfer \(LF became CR LF\)$/,
  'wire-ones.onnx': /byte 0: varint longer than 10 bytes/,
  'wire-tensorproto-pb.onnx': /this is a TensorProto \('W', float 2x3\), not a model$/,
  'wire-trunc-header.onnx': /truncated at byte 3/,
  'wire-trunc-tensor.onnx':
    /truncated: graph\.initializer\['W'\]\.raw_data needs 1024 bytes from byte 42, the file ends after 500$/,
  'wire-trunc-half.onnx': /truncated: graph\.initializer\['W'\]/,
  'wire-trailing-garbage.onnx': /byte 113: wire type 7 does not exist$/,
  'wire-varint-11-bytes.onnx': /byte 1: varint longer than 10 bytes \(ir_version\)$/,
  'wire-varint-endless.onnx': /truncated varint/,
  'wire-wire-type-6.onnx': /byte 0: wire type 6 does not exist$/,
  'wire-len-beyond-parent.onnx': /graph\.node\[0\] is 200 bytes but only \d+ are left in graph$/,
  'wire-len-2g.onnx': /graph claims 2147483648 bytes/,
  'wire-len-2e63.onnx': /graph claims 9223372036854775808 bytes/,
  'wire-group-open.onnx': /group 99 is not closed$/,
  'wire-group-mismatch.onnx': /group 99 closed by end-group 98$/,
  'wire-utf8-optype.onnx': /graph\.node\[0\]\.op_type is not UTF-8$/,
  'wire-utf8-value-name.onnx': /graph\.node\[0\]\.output\[0\] is not UTF-8$/,
  'wire-utf8-overlong.onnx': /graph\.node\[0\]\.input\[0\] is not UTF-8$/,
};

describe('damaged files', () => {
  it.each(Object.entries(MESSAGES))('%s', (file, message) => {
    const error = errorOf(() => decodeModel(new BytesSource(readFileSync(join(odd, file)), file)));
    expect(error.message).toMatch(message);
    expect(error.message.startsWith(`${file}: `)).toBe(true);
    expect(error.code).toBe(/truncated|not closed/.test(error.message) ? 'model/truncated' : 'model/invalid');
    expect(error.hint).toBeDefined();
  });

  it('lists every file that its table of contents says must be refused on the wire', () => {
    const decoded = cases
      .filter(({ group, expected }) => group === 'wire' && expected === 'refuse')
      .map(({ file }) => file)
      .filter((file) => !(file in MESSAGES));
    // These decode: protobuf keeps a field of a wrong wire type as an unknown one.
    expect(decoded).toEqual(['wire-wt-graph-varint.onnx', 'wire-wt-optype-fixed32.onnx']);
  });

  it('keeps fields of a wrong wire type, and says so when they are missed', () => {
    const model = decodeModel(new BytesSource(readFileSync(join(odd, 'wire-wt-graph-varint.onnx'))));
    expect(model.unknown?.map(({ size }) => size)).toEqual([2]);
    expect(errorOf(() => modelFromProto(model)).message).toBe(
      'the model has no graph (field 7 has wire type 0, expected 2)',
    );
    const node = decodeModel(new BytesSource(readFileSync(join(odd, 'wire-wt-optype-fixed32.onnx'))));
    expect(node.graph?.node[0]?.opType).toBeUndefined();
    expect(errorOf(() => modelFromProto(node)).message).toBe('graph.node[0] has no op_type');
  });
});

describe('limits', () => {
  it('refuses subgraphs nested deeper than 100 levels and reads 100', () => {
    const nest = (levels: number): number[] => {
      let graph: number[] = [];
      for (let i = 0; i < levels; i++) graph = delimited(1, delimited(5, delimited(6, graph)));
      return delimited(7, graph);
    };
    expect(decodeModel(source(nest(100))).graph?.node.length).toBe(1);
    for (const levels of [101, 400]) {
      const error = errorOf(() => decodeModel(source(nest(levels))));
      expect(error.message).toMatch(/subgraphs nest deeper than 100 levels/);
    }
  });

  it('refuses types nested deeper than 100 levels', () => {
    let type: number[] = [];
    for (let i = 0; i < 1000; i++) type = delimited(9, delimited(1, type));
    const model = delimited(7, delimited(11, [...delimited(1, 'X'), ...delimited(2, type)]));
    expect(errorOf(() => decodeModel(source(model))).message).toBe(
      "graph.input['X'].type nests deeper than 100 levels (limit)",
    );
  });

  it('refuses groups nested deeper than 100 levels', () => {
    const error = errorOf(() => decodeModel(source(Array.from({ length: 500 }, () => tag(99, 3)).flat())));
    expect(error.message).toMatch(/groups nest deeper than 100 levels/);
  });

  it('counts nameless things instead of listing them', () => {
    const nodes = Array.from({ length: 50_000 }, () => delimited(1, [])).flat();
    const model = decodeModel(source(delimited(7, nodes)));
    expect(model.graph?.node.length).toBe(50_000);
    expect(errorOf(() => modelFromProto(model)).message).toBe(
      'graph.node[0] has no op_type (and 49,999 more)',
    );
  });

  it('does not allocate what a length claims', () => {
    const claim = [...tag(7, 2), ...varint(0x7ffffff0), ...tag(5, 2), ...varint(0x7fffff00), ...tag(9, 2)];
    const error = errorOf(() => decodeModel(source([...claim, ...varint(0x7ffff000), 1, 2, 3])));
    expect(error.code).toBe('model/truncated');
    expect(error.message).toMatch(/graph\.initializer\[0\]\.raw_data needs 2147479552 bytes from byte \d+/);
  });
});

describe('what protobuf allows', () => {
  it('the last of two scalars wins, embedded messages merge, the last of a oneof wins', () => {
    const model = decodeModel(
      source([
        ...integer(1, 99),
        ...integer(1, 8),
        ...delimited(7, delimited(2, 'a')),
        ...delimited(7, delimited(10, 'doc')),
        ...delimited(7, delimited(11, delimited(2, [...delimited(4, []), ...delimited(1, integer(1, 7))]))),
      ]),
    );
    expect(model.irVersion).toBe(8n);
    expect(model.graph).toMatchObject({ name: 'a', docString: 'doc' });
    const type = model.graph?.input[0]?.type;
    expect(type?.tensorType?.elemType).toBe(7);
    expect(type?.sequenceType).toBeUndefined();
  });

  it('packed and unpacked pieces of one field mix, for every storage', () => {
    const float = (value: number): number[] => [...new Uint8Array(Float32Array.of(value).buffer)];
    const tensor = decodeMessage(
      'TensorProto',
      source([
        ...delimited(7, [...varint(1), ...varint(-2)]),
        ...integer(7, 3),
        ...delimited(7, varint(4)),
        ...delimited(4, [...float(1.5), ...float(2.5)]),
        ...tag(4, 5),
        ...float(3.5),
        ...delimited(4, float(4.5)),
        ...delimited(5, [...varint(-1), 0xff, 0xff, 0xff, 0xff, 0x0f]),
        ...integer(1, 2),
        ...delimited(1, [...varint(3), ...varint(4)]),
      ]),
    );
    expect([...tensor.int64Data]).toEqual([1n, -2n, 3n, 4n]);
    expect([...tensor.int32Data]).toEqual([-1, -1]);
    expect(tensor.dims).toEqual([2n, 3n, 4n]);
    const floats = tensor.floatData?.read(0, 16).slice() ?? new Uint8Array(0);
    expect([...new Float32Array(floats.buffer)]).toEqual([1.5, 2.5, 3.5, 4.5]);
    expect([...(tensor.floatData?.read(6, 8) ?? [])]).toEqual([...floats.slice(6, 14)]);
  });

  it('unknown fields of every wire type are kept at every level and written after the known ones', () => {
    const unknown = [
      ...integer(500, 300),
      ...tag(501, 1),
      ...[1, 2, 3, 4, 5, 6, 7, 8],
      ...delimited(502, 'hello'),
      ...tag(503, 3),
      ...integer(1, 1),
      ...tag(504, 3),
      ...tag(504, 4),
      ...tag(503, 4),
      ...tag(505, 5),
      ...[1, 2, 3, 4],
    ];
    const graph = [...unknown, ...delimited(1, [...unknown, ...delimited(4, 'Relu')]), ...delimited(2, 'g')];
    const bytes = [...unknown, ...delimited(7, graph)];
    const model = decodeModel(source(bytes));
    expect(model.unknown?.map(({ size }) => size)).toEqual([unknown.length]);
    const canonical = [
      ...delimited(7, [
        ...delimited(1, [...delimited(4, 'Relu'), ...unknown]),
        ...delimited(2, 'g'),
        ...unknown,
      ]),
      ...unknown,
    ];
    expect([...joinSegments(encodeModel(model))]).toEqual(canonical);
  });

  it('a byte order mark in a name is part of the name', () => {
    const model = decodeModel(source(delimited(7, delimited(2, '\ufeffg'))));
    expect(model.graph?.name).toBe('\ufeffg');
    expect([...joinSegments(encodeModel(model))]).toEqual(delimited(7, delimited(2, '\ufeffg')));
  });
});

/** A source that hands out fresh bytes and remembers how much was asked for, like a file. */
class CountingSource implements ByteSource {
  readonly path = undefined;
  bytesRead = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    expect(offset >= 0 && offset + length <= this.size).toBe(true);
    this.bytesRead += length;
    return this.#bytes.slice(offset, offset + length);
  }

  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}

describe('windows', () => {
  it('large payloads are not read, and come out the same', () => {
    const payload = Uint8Array.from({ length: 400_000 }, (_, i) => i * 7);
    const tensor = [
      ...integer(1, 100_000),
      ...integer(2, 1),
      ...delimited(8, 'W'),
      ...delimited(9, [...payload]),
    ];
    const bytes = Uint8Array.from([
      ...integer(1, 8),
      ...delimited(7, [
        ...delimited(5, tensor),
        ...delimited(5, tensor),
        ...delimited(12, delimited(1, 'W')),
      ]),
    ]);
    const counting = new CountingSource(bytes);
    const model = decodeModel(counting);
    expect(counting.bytesRead).toBeLessThan(250_000);
    expect(model.graph?.initializer[1]?.rawData?.read(399_000, 3)).toEqual(payload.slice(399_000, 399_003));
    expect(Buffer.from(joinSegments(encodeModel(model))).equals(bytes)).toBe(true);
  });

  it('fields that lie across window borders are read whole', () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `value_${i}_${'é'.repeat(i % 9)}`);
    const node = [...names.flatMap((name) => delimited(1, name)), ...delimited(4, 'Sum')];
    const model = decodeModel(new CountingSource(Uint8Array.from(delimited(7, delimited(1, node)))));
    expect(model.graph?.node[0]?.input).toEqual(names);
  });
});

describe('any damage', () => {
  const samples = [
    'odd-attr-bytes.onnx',
    'odd-fn-overload.onnx',
    'odd-if-in-loop.onnx',
    'odd-quant-annot.onnx',
  ];
  const models = samples.map((name) => new Uint8Array(readFileSync(join(odd, name))));

  /** Decodes, builds, writes and prints: each step may refuse, nothing may fail otherwise. */
  const exercise = (bytes: Uint8Array): void => {
    try {
      const proto = decodeModel(new BytesSource(bytes));
      joinSegments(encodeModel(proto));
      printModelText(proto, { maxElements: 1000 });
      const model = modelFromProto(proto);
      joinSegments(encodeModel(modelToProto(model, { external: 'keep' })));
    } catch (error) {
      if (!(error instanceof OrthoError) || error.code === 'internal/bug') throw error;
    }
  };

  it('truncating gives only errors of ours', () => {
    for (const bytes of models) for (let end = 0; end < bytes.length; end++) exercise(bytes.subarray(0, end));
  });

  it('flipping, overwriting and splicing give only errors of ours', () => {
    const edit = fc.record({
      model: fc.nat(models.length - 1),
      edits: fc.array(fc.tuple(fc.nat(2000), fc.nat(255), fc.constantFrom('set', 'flip', 'cut', 'repeat')), {
        minLength: 1,
        maxLength: 6,
      }),
    });
    fc.assert(
      fc.property(edit, ({ model, edits }) => {
        let bytes = Uint8Array.from(models[model] ?? []);
        for (const [place, value, kind] of edits) {
          const at = place % Math.max(1, bytes.length);
          if (kind === 'set') bytes[at] = value;
          else if (kind === 'flip') bytes[at] = (bytes[at] ?? 0) ^ (1 << (value & 7));
          else if (kind === 'cut')
            bytes = Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + value)]);
          else bytes = Uint8Array.from([...bytes.slice(0, at + value), ...bytes.slice(at)]);
        }
        exercise(bytes);
      }),
      { numRuns: 3000, seed: 7 },
    );
  });

  it('random bytes give only errors of ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => exercise(bytes)),
      { numRuns: 3000, seed: 11 },
    );
  });
});
