import { describe, expect, test } from 'vitest';
import { latestOpset, operatorNames, schemaOf } from '../../src/ops/schemas.ts';

const found = (domain: string, op: string, opset: number) => {
  const lookup = schemaOf(domain, op, opset);
  if (lookup.status !== 'found' && lookup.status !== 'deprecated') throw new Error(lookup.status);
  return lookup.schema;
};

test('the version in force is the newest one up to the opset', () => {
  const since = (op: string, opset: number) => found('', op, opset).since;
  expect([6, 7, 8, 9, 13, 14, 15, 20].map((opset) => since('BatchNormalization', opset))).toEqual([
    6, 7, 7, 9, 9, 14, 15, 15,
  ]);
  expect(since('Conv', 9999)).toBe(22);
});

test('a schema has what its version had', () => {
  expect([...found('', 'Squeeze', 11).attributes.keys()]).toEqual(['axes']);
  expect(found('', 'Squeeze', 13).attributes.size).toBe(0);
  expect(found('', 'Squeeze', 13).inputs.map(({ name, option }) => [name, option])).toEqual([
    ['data', 'single'],
    ['axes', 'optional'],
  ]);
  const group = found('', 'Conv', 17).attributes.get('group');
  expect(group).toEqual({ name: 'group', type: 'int', required: false, default: 1 });
  expect(found('', 'Concat', 17).attributes.get('axis')?.required).toBe(true);
  expect(found('', 'LSTM', 17).attributes.get('direction')?.default).toBe('forward');
});

test('variadic inputs know how few they may be and whether they share a type', () => {
  const [, , carried] = found('', 'Loop', 17).inputs;
  expect(carried).toEqual({
    name: 'v_initial',
    option: 'variadic',
    type: 'V',
    minArity: 0,
    homogeneous: false,
  });
  const [terms] = found('', 'Sum', 13).inputs;
  expect(terms).toMatchObject({ option: 'variadic', minArity: 1, homogeneous: true });
});

test('type constraints follow the version', () => {
  const types = (opset: number) => found('', 'Conv', opset).typeConstraints.get('T');
  expect(types(11)?.has('tensor(bfloat16)')).toBe(false);
  expect(types(22)?.has('tensor(bfloat16)')).toBe(true);
  expect(found('', 'SequenceAt', 17).typeConstraints.get('S')?.has('seq(tensor(float))')).toBe(true);
});

describe('why there is none', () => {
  test.each([
    ['', 'Gelu', 17, { status: 'too-new', since: 20 }],
    ['ai.onnx', 'Gelu', 17, { status: 'too-new', since: 20 }],
    ['', 'NoSuchOperator', 17, { status: 'unknown-op' }],
    ['', '__proto__', 17, { status: 'unknown-op' }],
    ['com.microsoft', 'FusedConv', 1, { status: 'unknown-domain', contrib: true }],
    ['org.example', 'Thing', 1, { status: 'unknown-domain', contrib: false }],
    ['__proto__', 'constructor', 1, { status: 'unknown-domain', contrib: false }],
  ])('%s.%s at %d', (domain, op, opset, expected) => {
    expect(schemaOf(domain, op, opset)).toEqual(expected);
  });

  test('a removed operator is deprecated from the version that removed it', () => {
    expect(schemaOf('', 'Upsample', 9).status).toBe('found');
    expect(schemaOf('', 'Upsample', 13).status).toBe('deprecated');
  });
});

test('the tables cover the standard domains', () => {
  expect(operatorNames('').length).toBeGreaterThan(195);
  expect(operatorNames('ai.onnx.ml')).toContain('TreeEnsembleClassifier');
  expect(latestOpset('')).toBeGreaterThanOrEqual(26);
  expect(latestOpset('com.microsoft')).toBeUndefined();
});
