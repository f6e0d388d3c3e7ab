import { expect, test } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { classifyFailure, firstLine } from '../../src/runtime/failures.ts';
import { parseStatus } from '../../src/runtime/memory.ts';
import { lastWords } from '../../src/runtime/model-process.ts';

const texts: [string, string][] = [
  ['Load model from /m.onnx failed:Protobuf parsing failed.', 'model/invalid'],
  ['This is an invalid model. Error: the graph is not acyclic.', 'model/invalid'],
  ["Could not find an implementation for Gemm(13) node with name 'g'", 'op/unsupported'],
  ['Fatal error: x:Foo(-1) is not a registered function/op', 'op/unsupported'],
  ['Unsupported data type: 16', 'dtype/unsupported'],
  ['Non tensor type is temporarily not supported.', 'dtype/unsupported'],
  ['External data path escapes model directory: ../a', 'model/external-data'],
  ["Load model /m.onnx failed. File doesn't exist", 'file/not-found'],
  [
    'Got invalid dimensions for input: x for the following indices\n index: 0 Got: 3 Expected: 1\n',
    'usage/input-shape',
  ],
  ['Unexpected input data type. Actual: (tensor(int32)) , expected: (tensor(float))', 'usage/option'],
  ['BFCArena::AllocateRawInternal Failed to allocate memory', 'runtime/memory'],
  ["Non-zero status code returned while running Gather node. Name:'' idx out of bounds", 'runtime/failed'],
  ['something new', 'runtime/failed'],
];
test.each(texts)('%s', (text, code) => {
  const error = classifyFailure(new Error(text), '/models/m.onnx', 'run');
  expect(error.code).toBe(code);
  expect(error.message.startsWith('m.onnx: ONNX Runtime could not run it: ')).toBe(true);
});

test('an OrthoError passes unchanged', () => {
  const error = new OrthoError('usage/option', 'x');
  expect(classifyFailure(error, '/m.onnx', 'run')).toBe(error);
});

test('the first line loses prefixes and source places, keeps the indices', () => {
  expect(
    firstLine(
      '[ONNXRuntimeError] : 1 : FAIL : Load model from /a b.onnx failed:/src/core/model.cc:12 bad thing\nmore',
    ),
  ).toBe('bad thing');
  expect(firstLine('Got invalid dimensions:\n index: 0 Got: 3 Expected: 1\n Please fix')).toBe(
    'Got invalid dimensions:; index: 0 Got: 3 Expected: 1',
  );
  expect(firstLine('\n\u001b[31mred\u0007')).toBe('?[31mred?');
  expect(firstLine('')).toBe('no reason given');
  expect(firstLine('x'.repeat(1000)).length).toBeLessThan(310);
});

test('last words skip stack frames and colours', () => {
  expect(
    lastWords('\u001b[31mFATAL ERROR: allocation failed\u001b[m\n 1: 0xabc123 node::Abort() [node]\n'),
  ).toBe('FATAL ERROR: allocation failed');
  expect(lastWords('\n 1: 0xabc123 x\n')).toBeUndefined();
});

test('resident memory out of /proc', () => {
  expect(parseStatus('Name:\tnode\nVmHWM:\t  999 kB\nVmRSS:\t  2048 kB\n')).toBe(2);
  expect(parseStatus('Name:\tzombie\n')).toBeUndefined();
});
