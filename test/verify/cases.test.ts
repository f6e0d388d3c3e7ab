import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { float32Tensor, int64Tensor, type Tensor, tensorBytes } from '../../src/core/tensor.ts';
import { writeNpy } from '../../src/formats/npy.ts';
import { writeNpz } from '../../src/formats/npz.ts';
import { tensorToProto } from '../../src/ir/to-proto.ts';
import { encodeMessage, type Segment } from '../../src/proto/encode.ts';
import { caseOfFiles, findCases, isCasePath, type Signature } from '../../src/verify/cases.ts';

const signature: Signature = {
  inputs: [
    { name: 'x', dtype: 'float32', shape: ['n', 2] },
    { name: 'k', dtype: 'int64', shape: [] },
  ],
  outputs: [
    { name: 'y', dtype: 'float32', shape: ['n', 2] },
    { name: 'z', dtype: 'float32', shape: undefined },
  ],
};
const x = float32Tensor([1, 2], [1, 2]);
const k = int64Tensor([], [3]);
const y = float32Tensor([1, 2], [3, 4]);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ortho-cases-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const bytesOf = (segments: Iterable<Segment>): Buffer =>
  Buffer.concat([...segments].map((one) => (one instanceof Uint8Array ? one : one.read(0, one.size))));

const place = (name: string): string => join(folder, name);
const npz = (name: string, tensors: Record<string, Tensor>): string => {
  writeFileSync(place(name), bytesOf(writeNpz(new Map(Object.entries(tensors)))));
  return place(name);
};
const npy = (name: string, tensor: Tensor): string => {
  writeFileSync(place(name), bytesOf(writeNpy(tensor)));
  return place(name);
};
const dataSet = (name: string, files: Record<string, Tensor>): string => {
  mkdirSync(place(name), { recursive: true });
  for (const [file, tensor] of Object.entries(files)) {
    writeFileSync(join(place(name), file), bytesOf(encodeMessage('TensorProto', tensorToProto(tensor))));
  }
  return place(name);
};
const firstOf = (path: string) => findCases(path, signature)[0]!.read();
const refused = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('npz', () => {
  test('keys are the names of inputs and outputs, with or without in: and out:', () => {
    const path = npz('a.npz', { x, 'in:k': k, 'out:y': y });
    expect(isCasePath(path)).toBe(true);
    const { inputs, expected } = firstOf(path);
    expect([...inputs.keys()]).toEqual(['x', 'k']);
    expect([...expected.keys()]).toEqual(['y']);
    expect(tensorBytes(expected.get('y')!)).toEqual(tensorBytes(y));
  });

  test.each([
    ['an unknown key', { x, k, yy: y }, /"yy" is neither/],
    ['a missing input', { x, y }, /no tensor for the input "k"/],
    ['another dtype', { x: int64Tensor([1, 2], [1, 2]), k, y }, /"x" is float32, found int64/],
    ['other dims', { x: float32Tensor([1, 3], [1, 2, 3]), k, y }, /shape \[n, 2\], found \[1, 3\]/],
  ])('refuses %s', (_, tensors, message) => {
    expect(() => firstOf(npz('bad.npz', tensors))).toThrow(refused('verify/case', message));
  });
});

describe('test_data_set', () => {
  test('files are inputs and outputs in order; a folder of sets gives each', () => {
    dataSet('sets/test_data_set_10', { 'input_0.pb': x, 'input_1.pb': k, 'output_0.pb': y });
    const path = dataSet('sets/test_data_set_2', { 'input_0.pb': x, 'input_1.pb': k, 'output_0.pb': y });
    expect(findCases(path, signature).map(({ name }) => name)).toEqual(['test_data_set_2']);
    const cases = findCases(place('sets'), signature);
    expect(cases.map(({ name }) => name)).toEqual(['test_data_set_2', 'test_data_set_10']);
    expect(tensorBytes(cases[1]!.read().expected.get('y')!)).toEqual(tensorBytes(y));
  });

  test('refuses a gap, a file too many, and what is no tensor', () => {
    const gap = dataSet('gap', { 'input_0.pb': x, 'input_2.pb': k });
    expect(() => firstOf(gap)).toThrow(refused('verify/case', /input_1\.pb is missing/));
    const many = dataSet('many', { 'input_0.pb': x, 'input_1.pb': k, 'input_2.pb': k });
    expect(() => firstOf(many)).toThrow(refused('verify/case', /only 2 inputs/));
    const broken = dataSet('broken', { 'input_0.pb': x, 'input_1.pb': k });
    writeFileSync(join(broken, 'input_0.pb'), 'no protobuf');
    expect(() => firstOf(broken)).toThrow(refused('verify/case', /not a tensor/));
  });
});

test('a folder without cases is refused', () => {
  mkdirSync(place('empty'));
  expect(() => findCases(place('empty'), signature)).toThrow(refused('verify/case', /no cases/));
});

describe('npy files', () => {
  test('by name and by position', () => {
    const [fileX, fileK, fileY] = [npy('x.npy', x), npy('k.npy', k), npy('y.npy', y)];
    const named = caseOfFiles(
      [
        { name: 'k', path: fileK },
        { name: 'x', path: fileX },
      ],
      [{ path: fileY }],
      signature,
    );
    expect([...named.read().inputs.keys()].toSorted()).toEqual(['k', 'x']);
    const placed = caseOfFiles([{ path: fileX }, { path: fileK }], [{ path: fileY }], signature).read();
    expect(placed.inputs.get('k')!.dims).toEqual([]);
    expect([...placed.expected.keys()]).toEqual(['y']);
  });

  test('refuses what cannot be assigned', () => {
    const [fileX, fileK] = [npy('x.npy', x), npy('k.npy', k)];
    const read = (inputs: { name?: string; path: string }[]) => () =>
      caseOfFiles(inputs, [], signature).read();
    expect(read([{ path: fileX }])).toThrow(
      refused('usage/option', /1 file\(s\) without a name for 2 input/),
    );
    expect(read([{ name: 'x', path: fileX }, { path: fileK }])).toThrow(
      refused('usage/option', /without a name/),
    );
    expect(read([{ name: 'q', path: fileX }])).toThrow(refused('usage/option', /no input "q"/));
    const twice = [
      { name: 'x', path: fileX },
      { name: 'x', path: fileX },
    ];
    expect(read(twice)).toThrow(refused('usage/option', /two files/));
  });
});
