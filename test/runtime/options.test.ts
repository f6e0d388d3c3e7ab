import { expect, test } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { toOrtOptions } from '../../src/runtime/options.ts';
import type { SessionOptions } from '../../src/runtime/session.ts';

test('defaults are the runtime\u2019s own', () => {
  expect(toOrtOptions({})).toEqual({ graphOptimizationLevel: 'all', executionMode: 'sequential', extra: {} });
});

test('every option becomes its entry', () => {
  expect(
    toOrtOptions(
      {
        level: 'basic',
        threads: 2,
        spinning: 'stop',
        arena: false,
        memPattern: false,
        parallel: true,
        interOpThreads: 3,
        disabledOptimizers: ['NchwcTransformer', 'GeluFusionL2'],
        prepacking: false,
        deterministic: true,
        extra: { 'session.qdq_matmulnbits_accuracy_level': '1' },
      },
      { optimized: '/out.onnx', profilePrefix: '/folder/p' },
    ),
  ).toEqual({
    graphOptimizationLevel: 'basic',
    executionMode: 'parallel',
    intraOpNumThreads: 2,
    interOpNumThreads: 3,
    enableCpuMemArena: false,
    enableMemPattern: false,
    optimizedModelFilePath: '/out.onnx',
    enableProfiling: true,
    profileFilePrefix: '/folder/p',
    extra: {
      'session.force_spinning_stop': '1',
      'session.disable_prepacking': '1',
      'session.use_deterministic_compute': '1',
      'session.qdq_matmulnbits_accuracy_level': '1',
      'optimization.disable_specified_optimizers': 'NchwcTransformer;GeluFusionL2',
    },
  });
  expect(toOrtOptions({ spinning: 'off' }).extra).toEqual({ 'session.intra_op.allow_spinning': '0' });
});

const refused: [string, SessionOptions, RegExp][] = [
  ['an unknown entry', { extra: { 'session.qdqisint8allowd': '1' } }, /unknown session configuration entry/],
  ['the entry that slows x64 down', { extra: { 'session.qdqisint8allowed': '1' } }, /unknown/],
  ['a prototype name', { extra: { constructor: '1' } }, /unknown/],
  ['a bad value', { extra: { 'session.disable_quant_qdq': 'yes' } }, /cannot be "yes"/],
  ['no threads', { threads: 0 }, /0 threads/],
  ['half a thread', { threads: 1.5 }, /1\.5 threads/],
  ['no thread between operators', { interOpThreads: 0 }, /0 threads/],
  ['a list in a name', { disabledOptimizers: ['A;B'] }, /not the name/],
  ['an unknown level', { level: 'ultra' as 'all' }, /unknown optimisation level "ultra"/],
  ['an unknown mode', { spinning: 'on' as 'off' }, /unknown spinning mode "on"/],
];
test.each(refused)('refuses %s', (_, options, message) => {
  expect(() => toOrtOptions(options)).toThrow(message);
  expect(() => toOrtOptions(options)).toThrow(OrthoError);
});

test('a misspelt entry names the nearest one', () => {
  try {
    toOrtOptions({ extra: { 'session.disable_quant_qdk': '1' } });
  } catch (error) {
    expect((error as OrthoError).hint).toContain('session.disable_quant_qdq');
  }
  expect.assertions(1);
});
