import { expect, test } from 'vitest';
import { macsOf, modelMacs } from '../../src/ops/cost.ts';
import { modelFromText } from '../support/model-text.ts';
import { inferOne, inferText } from './infer/support.ts';

const macs = (inputs: string, call: string, opset?: number): number | null | undefined => {
  const { model, inference } = inferOne(inputs, call, opset);
  const node = model.graph.nodes[0]!;
  expect(inference.macsOf(node)).toBe(macsOf(node));
  return inference.macs;
};

test('convolutions count one product per weight and position', () => {
  expect(macs('float[1,3,8,8] x, float[4,3,3,3] w', 'Conv (x, w)')).toBe(4 * 36 * 27);
  expect(macs('float[1,4,8,8] x, float[4,1,3,3] w', 'Conv <group = 4> (x, w)')).toBe(4 * 36 * 9);
  expect(macs('float[1,4,5,5] x, float[4,3,3,3] w', 'ConvTranspose <strides = [2,2]> (x, w)')).toBe(100 * 27);
});

test('matrix products and recurrences', () => {
  expect(macs('float[7,2,3] a, float[3,4] b', 'MatMul (a, b)')).toBe(7 * 2 * 3 * 4);
  expect(macs('float[3,2] a, float[4,3] b', 'Gemm <transA = 1, transB = 1> (a, b)')).toBe(24);
  expect(macs('float[2,3] a, float[3,4] b', 'Einsum <equation = "ij,jk->ik"> (a, b)')).toBe(24);
  expect(
    macs('float[5,2,10] x, float[1,80,10] w, float[1,80,20] r', 'LSTM <hidden_size = 20> (x, w, r)'),
  ).toBe(5 * 2 * 80 * 30);
});

test('attention: queries times keys, for the scores and for the values, past keys included', () => {
  const scores = 2 * 8 * 5 * 7 * 16;
  const values = 2 * 8 * 5 * 7 * 12;
  expect(macs('float[2,8,5,16] q, float[2,8,7,16] k, float[2,8,7,12] v', 'Attention (q, k, v)', 23)).toBe(
    scores + values,
  );
  expect(
    macs(
      'float[2,5,128] q, float[2,7,128] k, float[2,7,96] v',
      'Attention <q_num_heads = 8, kv_num_heads = 8> (q, k, v)',
      23,
    ),
  ).toBe(scores + values);
  expect(
    macs(
      'float[2,8,5,16] q, float[2,8,3,16] k, float[2,8,3,12] v, float[2,8,4,16] pk, float[2,8,4,12] pv',
      'Attention (q, k, v, , pk, pv)',
      23,
    ),
  ).toBe(scores + values);
});

test('other operators cost none; an unknown dimension makes the cost unknown', () => {
  expect(macs('float[N,3] x', 'Relu (x)')).toBe(0);
  expect(macs('float[N,3] a, float[3,4] b', 'MatMul (a, b)')).toBeNull();
});

test("a convolution in the runtime's blocked layout has an unknown cost, not none", () => {
  const model = modelFromText(`<ir_version: 8, opset_import: ["" : 17, "com.microsoft.nchwc" : 1]>
  g (float[1,8,4,4] x, float[8,8,1,1] w) => (float[1,8,4,4] y) { y = com.microsoft.nchwc.Conv (x, w) }`);
  expect(macsOf(model.graph.nodes[0]!)).toBeNull();
  expect(modelMacs(model)).toBeNull();
});

test('the costlier branch counts, a loop counts its iterations, a function every call', () => {
  const branch = inferText(`g (bool c, float[2,2] x) => (float y) {
    y = If (c) <then_branch = t () => (float[] a) { a = MatMul (x, x) }, else_branch = e () => (float[] a) { a = Relu (x) }>
  }`);
  expect(branch.inference.macs).toBe(8);
  const loop = (trips: string): number | null =>
    inferText(`g (float[2,2] x${trips ? '' : ', int64 m'}) => (float y) ${trips} {
      y = Loop (m, , x) <body = b (int64 i, bool go, float[] v) => (bool go, float[] w) { w = MatMul (v, v) }>
    }`).inference.macs;
  expect(loop('<int64 m = {5}>')).toBe(40);
  expect(loop('')).toBeNull();
  const model = modelFromText(`<ir_version: 9, opset_import: ["": 17, "local": 1]>
    g (float[2,2] x) => (float[2,2] y) { a = local.f (x) b = local.f (a) y = local.f (b) }
    <domain: "local", opset_import: ["": 17]> f (x) => (r) { r = MatMul (x, x) }`);
  expect(modelMacs(model)).toBe(24);
  expect(model.graph.nodes[0]?.output.type).toBeUndefined();
});
