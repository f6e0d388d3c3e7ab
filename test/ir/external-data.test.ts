/** External data: read only inside the model's folder, written aligned. */
import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { tensorBytes } from '../../src/core/tensor.ts';
import { splitExternalData } from '../../src/ir/external-data.ts';
import { loadModel } from '../../src/ir/load.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { encodeModel } from '../../src/proto/encode.ts';
import { joinSegments, segmentsLength } from '../../src/proto/segments.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { modelFromText } from '../support/model-text.ts';

const odd = fileURLToPath(new URL('../fixtures/onnx-odd/', import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-external-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** A model with one external float[2] tensor described by these entries, saved in the folder. */
const save = (entries: string): string => {
  const path = join(folder, 'model.onnx');
  const text = `<ir_version: 8, opset_import: ["": 17]>
    g (float[2] X) => (float[2] Y) <float[2] W = [${entries}]> { Y = Add (X, W) }`;
  writeFileSync(path, joinSegments(encodeModel(parseModelText(text))));
  return path;
};

const read = (entries: string): number[] => {
  const model = loadModel(save(entries));
  try {
    return [...tensorBytes(model.graph.initializers[0]!.initializer!)];
  } finally {
    model.close();
  }
};

const refusal = (entries: string): string => {
  try {
    read(entries);
  } catch (error) {
    expect(error).toBeInstanceOf(OrthoError);
    expect((error as OrthoError).code).toBe('model/external-data');
    return (error as OrthoError).message;
  }
  throw new Error('nothing was refused');
};

describe('reading', () => {
  beforeEach(() => {
    writeFileSync(
      join(folder, 'w.bin'),
      Uint8Array.from({ length: 24 }, (_, i) => i),
    );
  });

  it('reads a range, and the whole file without one', () => {
    expect(read('"location": "w.bin", "offset": "5", "length": "8"')).toEqual([5, 6, 7, 8, 9, 10, 11, 12]);
    expect(read('"location": "./w.bin"')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    mkdirSync(join(folder, 'sub'));
    copyFileSync(join(folder, 'w.bin'), join(folder, 'sub', 'v.bin'));
    expect(read('"location": "sub/v.bin", "offset": "16"')).toEqual([16, 17, 18, 19, 20, 21, 22, 23]);
  });

  it.each([
    ['"offset": "0"', /has no location/],
    ['"location": "../w.bin"', /leaves the model's folder/],
    ['"location": "sub/../../w.bin"', /leaves the model's folder/],
    ['"location": "/etc/hostname"', /is absolute/],
    ['"location": "C:\\\\w.bin"', /is absolute/],
    ['"location": "..\\\\w.bin"', /holds a backslash/],
    ['"location": "."', /is a folder/],
    ['"location": "model.onnx"', /is the model itself/],
    ['"location": "nope.bin"', /does not exist/],
    ['"location": "w.bin", "offset": "-8"', /offset -8 is negative/],
    ['"location": "w.bin", "offset": "0x10"', /offset '0x10' is not a decimal number/],
    ['"location": "w.bin", "offset": " 8 "', /offset ' 8 ' is not a decimal number/],
    ['"location": "w.bin", "offset": "18446744073709551608"', /offset \+ length overflows/],
    ['"location": "w.bin", "offset": "20"', /20\+8 is past the end of the file \(24 bytes\)/],
    ['"location": "w.bin", "length": "12"', /needs 8 bytes, external_data length is 12/],
    ['"location": "w.bin", "offset": "0", "offset": "8"', /has the key 'offset' twice/],
  ])('refuses %s', (entries, message) => {
    expect(refusal(entries)).toMatch(message);
    expect(refusal(entries)).toMatch(/^initializer 'W': /);
  });

  it('refuses links that lead outside, and hard links', () => {
    const outside = mkdtempSync(join(tmpdir(), 'ortho-outside-'));
    try {
      writeFileSync(join(outside, 'secret.bin'), new Uint8Array(8));
      symlinkSync(join(outside, 'secret.bin'), join(folder, 'soft.bin'));
      symlinkSync(outside, join(folder, 'way'));
      linkSync(join(outside, 'secret.bin'), join(folder, 'hard.bin'));
      symlinkSync(join(folder, 'w.bin'), join(folder, 'inside.bin'));
      expect(refusal('"location": "soft.bin"')).toMatch(/through a symbolic link/);
      expect(refusal('"location": "way/secret.bin"')).toMatch(/through a symbolic link/);
      expect(refusal('"location": "hard.bin"')).toMatch(/hard link/);
      expect(read('"location": "inside.bin"')).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  it('nothing is opened before it is read', () => {
    const model = loadModel(save('"location": "nope.bin"'));
    expect(model.graph.nodes.map(({ op }) => op)).toEqual(['Add']);
    model.close();
  });

  it('a model is written with its data inside unless the references are to be kept', () => {
    const path = join(odd, 'odd-ext-unaligned.onnx');
    const model = loadModel(path);
    const kept = joinSegments(encodeModel(modelToProto(model, { external: 'keep' })));
    expect(Buffer.from(kept).equals(readFileSync(path))).toBe(true);
    const alone = join(folder, 'alone.onnx');
    writeFileSync(alone, joinSegments(encodeModel(modelToProto(model))));
    const again = loadModel(alone);
    const contents = (from: typeof model): Uint8Array[] =>
      from.graph.initializers.map(({ initializer }) => Uint8Array.from(tensorBytes(initializer!)));
    expect(again.graph.initializers.length).toBeGreaterThan(0);
    expect(contents(again)).toEqual(contents(model));
    model.close();
  });
});

describe('writing', () => {
  const list = (count: number, value: number): string =>
    Array.from({ length: count }, () => value).join(', ');

  it('moves large initializers, of subgraphs too, to aligned offsets', () => {
    const model = modelFromText(`g (float[1] X, bool C) => (float[1] Y)
      <float[300] small = {${list(300, 1)}}, float[2000] large = {${list(2000, 2)}}, float[2] tiny = {1, 2}> {
      Y = If (C) <then_branch: graph = a () => (float[1] p) <int64[256] deep = {${list(256, 3)}}> {
          q = ReduceSum <keepdims = 0> (deep)
          p = Cast <to = 1> (q)
        },
        else_branch: graph = b () => (float[1] p) { p = Add (X, tiny) }>
    }`);
    const split = splitExternalData(modelToProto(model));
    expect(segmentsLength(split.data)).toBe(split.dataSize);
    writeFileSync(join(folder, 'weights.bin'), joinSegments(split.data));
    const proto = split.withDataFile('weights.bin');
    const offsets = proto.graph?.initializer.map(({ name, externalData }) => [
      name,
      externalData.find(({ key }) => key === 'offset')?.value,
      externalData.find(({ key }) => key === 'length')?.value,
    ]);
    expect(offsets).toEqual([
      ['small', '0', '1200'],
      ['large', '4096', '8000'],
      ['tiny', undefined, undefined],
    ]);
    const deep = proto.graph?.node[0]?.attribute[0]?.g?.initializer[0];
    expect(deep?.externalData.map(({ value }) => value)).toEqual(['weights.bin', '12096', '2048']);
    writeFileSync(join(folder, 'split.onnx'), joinSegments(encodeModel(proto)));
    const again = loadModel(join(folder, 'split.onnx'));
    const bytes = again.graph.initializers.map(({ initializer }) => Buffer.from(tensorBytes(initializer!)));
    const before = model.graph.initializers.map(({ initializer }) => Buffer.from(tensorBytes(initializer!)));
    expect(bytes.map((item, i) => item.equals(before[i]!))).toEqual([true, true, true]);
    expect(tensorBytes(again.graph.nodes[0]!.subgraphs[0]!.initializers[0]!.initializer!)[0]).toBe(3);
    again.close();
  });

  it('has no data file when nothing is large enough, and refuses names that are paths', () => {
    const model = modelFromText('g (float[1] X) => (float[1] Y) <float[1] W = {1}> { Y = Add (X, W) }');
    const split = splitExternalData(modelToProto(model));
    expect(split.dataSize).toBe(0);
    expect(split.data).toEqual([]);
    for (const name of ['', '..', 'a/b', 'a\\b', 'c:d'])
      expect(() => split.withDataFile(name)).toThrow(OrthoError);
  });
});
