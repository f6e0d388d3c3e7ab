import { expect, test } from 'vitest';
import { ruleFamilies, ruleOf } from '../../../src/ops/infer/rules.ts';
import { operatorNames } from '../../../src/ops/schemas.ts';

const DOMAINS = ['', 'ai.onnx.ml', 'ai.onnx.preview', 'ai.onnx.preview.training'];

test('every operator of the standard domains has a rule', () => {
  const missing = DOMAINS.flatMap((domain) =>
    operatorNames(domain)
      .filter((op) => ruleOf(domain, op) === undefined)
      .map((op) => `${domain}.${op}`),
  );
  expect(missing).toEqual([]);
});

test('no operator is in two families', () => {
  for (const families of Object.values(ruleFamilies)) {
    const names = families.flatMap((family) => Object.keys(family));
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  }
});

test('operators are found by their own name only', () => {
  expect(ruleOf('', '__proto__')).toBeUndefined();
  expect(ruleOf('', 'toString')).toBeUndefined();
  expect(ruleOf('org.example', 'Conv')).toBeUndefined();
  expect(ruleOf('ai.onnx', 'Conv')).toBe(ruleOf('', 'Conv'));
});
