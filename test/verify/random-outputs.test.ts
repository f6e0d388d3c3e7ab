import { expect, test } from 'vitest';
import { countRandomNodes, randomOutputs } from '../../src/verify/random-outputs.ts';
import { modelFromText } from '../support/model-text.ts';

test('randomness is followed through nodes, branches, loops and functions', () => {
  const model = modelFromText(`<ir_version: 8, opset_import: ["": 17, "local": 1]>
    agraph (bool c, int64 n, float[2] x) => (float[2] plain, float[2] direct, float[2] branch, float[2] carried,
      float[2] called, float[2] calm) {
      plain = Relu (x)
      r = RandomNormalLike (x)
      direct = Add (r, x)
      branch = If (c) <
        then_branch = a () => (float[2] t) { t = Neg (r) },
        else_branch = b () => (float[2] e) { e = Neg (x) }
      >
      carried = Loop (n, c, x) <
        body = step (int64 i, bool go, float[2] s) => (bool again, float[2] next) {
          again = Identity (go)
          noise = RandomUniformLike (s)
          next = Add (s, noise)
        }
      >
      called = local.Outer (x)
      calm = local.Calm (x)
    }
    <domain: "local", opset_import: ["": 17]> Inner (p) => (q) { q = Bernoulli (p) }
    <domain: "local", opset_import: ["": 17, "local": 1]> Outer (p) => (q) { q = local.Inner (p) }
    <domain: "local", opset_import: ["": 17]> Calm (p) => (q) { q = Neg (p) }`);
  expect([...randomOutputs(model)]).toEqual(['direct', 'branch', 'carried', 'called']);
  expect(countRandomNodes(model)).toBe(3);
});

test('a Dropout is random in training mode only', () => {
  const model = modelFromText(`agraph (float[2] x, bool mode) => (float[2] a, float[2] b, float[2] c)
    <float ratio = {0.5}, bool yes = {1}, bool no = {0}> {
      a = Dropout (x, ratio, yes)
      b = Dropout (x, ratio, no)
      c = Dropout (x, ratio, mode)
    }`);
  expect([...randomOutputs(model)]).toEqual(['a', 'c']);
});
