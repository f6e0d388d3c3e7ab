import { expect, test } from 'vitest';
import { originsOf } from '../../src/bench/profile-origins.ts';
import { modelFromText } from '../support/model-text.ts';

/** Names of the nodes that each node of the runtime's graph stands for; texts without node names use the outputs'. */
const origins = (original: string, runtime: string, names: Readonly<Record<string, string>> = {}) => {
  const [before, after] = [modelFromText(original).graph, modelFromText(runtime).graph];
  for (const node of before.nodes) node.name = `${node.outputs[0]!.name}_node`;
  for (const node of after.nodes) {
    const output = node.outputs[0]!.name;
    node.name = names[output] ?? `${output}_node`;
  }
  const found = originsOf(before, after);
  return Object.fromEntries(
    after.nodes.map((node) => [node.outputs[0]!.name, found.get(node)?.map(({ name }) => name) ?? []]),
  );
};

const HEADER = '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>';

test('what is fused into a node belongs to it, constants that were folded too', () => {
  const before = `g (float[4] x) => (float[4] y)
    { k = Constant <value: tensor = float[4] {1, 1, 1, 1}> () a = Add (x, k) b = Erf (a) y = Mul (b, x) }`;
  const after = `${HEADER} g (float[4] x) => (float[4] y) { y = com.microsoft.BiasGelu (x) }`;
  expect(origins(before, after)).toEqual({ y: ['a_node', 'b_node', 'y_node'] });
});

test('nodes that the runtime renamed are known by what they were made of', () => {
  const before = `g (float[1,1,4,4] x, float[1,1,1,1] w) => (float[1,1,4,4] y)
    { c = Conv (x, w) d = Relu (c) y = Neg (d) }`;
  const after = `${HEADER} g (float[1,1,4,4] x, float[1,1,1,1] w) => (float[1,1,4,4] y)
    { t = Transpose (x) n = com.microsoft.NhwcFusedConv (t, w) d = Transpose (n) y = Neg (d) }`;
  const names = { t: 'Transpose_token_1', n: 'c_node_token_2', d: 'Transpose_token_3' };
  // The second transpose makes a value of the model, but computes nothing of what made it.
  expect(origins(before, after, names)).toEqual({ t: [], n: ['c_node'], d: [], y: ['d_node', 'y_node'] });
});

test('a residual belongs to the node that reads it, not to the one after', () => {
  const before = `g (float[1,1,4,4] x, float[1,1,1,1] w) => (float[1,1,4,4] y)
    { a = Conv (x, w) b = Conv (a, w) s = Add (b, a) y = Conv (s, w) }`;
  const after = `${HEADER} g (float[1,1,4,4] x, float[1,1,1,1] w) => (float[1,1,4,4] y)
    { a0 = Conv (x, w) b0 = com.microsoft.FusedConv (a0, w, , a0) y = Conv (b0, w) }`;
  const names = { a0: 'a_nchwc', b0: 'b_nchwc' };
  expect(origins(before, after, names)).toEqual({
    a0: ['a_node'],
    b0: ['b_node', 's_node'],
    y: ['y_node'],
  });
});

test('graphs that share nothing share nothing', () => {
  const before = 'g (float[4] x) => (float[4] y) { y = Neg (x) }';
  const after = `${HEADER} g (float[4] p) => (float[4] q) { q = Abs (p) }`;
  expect(origins(before, after)).toEqual({ q: [] });
});
