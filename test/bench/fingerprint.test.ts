import { expect, test } from 'vitest';
import { readEnvironment } from '../../src/bench/environment.ts';
import { fingerprintOf, machineDifferences } from '../../src/bench/fingerprint.ts';

const environment = { ...readEnvironment('1.30.0'), cores: 4, cpuQuota: null };

test('the same machine has the same fingerprint, whatever else it does', () => {
  const one = fingerprintOf(environment);
  const later = fingerprintOf({ ...environment, loadAverage: 7.5, node: '99.0.0' });
  expect(one.id).toMatch(/^[0-9a-f]{12}$/);
  expect(later).toEqual(one);
  expect(machineDifferences(one, later)).toEqual([]);
});

test('another runtime, core count or quota is another machine, and the difference is named', () => {
  const one = fingerprintOf(environment);
  const other = fingerprintOf({ ...environment, cores: 8, cpuQuota: 1.5, onnxruntime: '1.31.0' });
  expect(other.id).not.toBe(one.id);
  expect(machineDifferences(one, other)).toEqual([
    'cores: 8 instead of 4',
    'processor quota: 1.5 instead of none',
    'onnxruntime-node: 1.31.0 instead of 1.30.0',
  ]);
});
