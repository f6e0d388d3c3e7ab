import { expect, test } from 'vitest';
import { subjectNames } from '../../src/jobs/subject-names.ts';

test.each([
  [
    ['a/net.onnx', 'b/other.onnx'],
    ['net.onnx', 'other.onnx'],
  ],
  [
    ['net.onnx', 'net.onnx', './net.onnx'],
    ['net.onnx', 'net.onnx#2', 'net.onnx#3'],
  ],
  [
    ['m/pnet/onnx/model.onnx', 'm/rnet/onnx/model.onnx', 'net.onnx'],
    ['pnet', 'rnet', 'net.onnx'],
  ],
  [
    ['x/a/1/model.onnx', 'x/b/2/model.onnx'],
    ['a/1', 'b/2'],
  ],
  [
    ['x/model.onnx', 'x/model.onnx/model.onnx'],
    ['model.onnx', 'model.onnx#2'],
  ],
  [
    ['x/model.onnx', 'x/new/model.onnx', 'x/new/model.onnx'],
    ['model.onnx', 'new', 'new#2'],
  ],
  [
    ['a/model.onnx', 'b/model.onnx', 'c/a'],
    ['a', 'b', 'a#2'],
  ],
])('%j are called %j', (files, names) => {
  expect(subjectNames(files.map((file) => ({ file })))).toEqual(names);
});

test('given names stay, and are told apart too', () => {
  const subjects = [
    { file: 'a/model.onnx', name: 'model.onnx' },
    { file: 'b/model.onnx' },
    { file: 'c/model.onnx', name: 'model.onnx' },
  ];
  expect(subjectNames(subjects)).toEqual(['model.onnx', 'model.onnx#2', 'model.onnx#3']);
});
