/** A diff report in which everything occurs. */
import type { DiffData } from '../../src/report/schemas/diff.ts';

const diffValues = {
  elements: 432,
  differing: 430,
  maxAbs: 0.0312,
  maxRel: 12.5,
  relative: 0.0123,
  cosine: 0.99992,
  nonFinite: { a: 0, b: 0, differing: 0 },
  worst: { index: [3, 0, 1, 1], a: 0.25, b: 0.2812 },
};

const float32 = (...shape: number[]) => ({ dtype: 'float32', shape });

export const diff: DiffData = {
  a: {
    file: 'epoch10.pth',
    format: 'torch-zip',
    stateDict: 'state_dict',
    sha256: null,
    bytes: 1928,
    tensors: 7,
  },
  b: {
    file: 'epoch20|<b>.safetensors',
    format: 'safetensors',
    stateDict: '',
    sha256: null,
    bytes: 1800,
    tensors: 6,
  },
  verdict: 'different',
  removed: ['head.old\u001b[2J'],
  added: [],
  renamed: [
    { from: 'bn.weight', to: 'norm.weight' },
    { from: 'bn.bias', to: 'norm.bias', ambiguous: true },
  ],
  changed: [
    { name: 'fc.bias', what: 'shape', a: float32(10), b: float32(12), values: null },
    {
      name: 'conv.weight',
      what: 'values',
      a: float32(16, 3, 3, 3),
      b: { dtype: 'float16', shape: [16, 3, 3, 3] },
      values: { ...diffValues, nonFinite: { a: 0, b: 1, differing: 1 } },
    },
  ],
  tolerated: [{ name: 'conv.bias', what: 'values', a: float32(16), b: float32(16), values: diffValues }],
  notCompared: [{ name: 'fc.scale', reason: 'in A: a meta tensor, which has a shape but no values' }],
  sharing: [{ keys: ['fc.weight', 'emb.weight'], sharedIn: 'a' }],
  prefix: { prefix: 'module.', of: 'a', keys: 5, equal: 0 },
  metadata: [
    { key: 'epoch', a: 10, b: 20 },
    { key: 'args', a: { lr: 0.1 } },
  ],
  totals: { equal: 1, changed: 2, tolerated: 1, added: 0, removed: 1, renamed: 2, notCompared: 1 },
  modules: [
    {
      name: 'conv',
      tensors: 2,
      equal: 0,
      changed: 1,
      tolerated: 1,
      added: 0,
      removed: 0,
      renamed: 0,
      notCompared: 0,
      worst: { name: 'conv.weight', relative: 0.0123 },
    },
    {
      name: 'fc',
      tensors: 3,
      equal: 1,
      changed: 1,
      tolerated: 0,
      added: 0,
      removed: 0,
      renamed: 0,
      notCompared: 1,
      worst: null,
    },
  ],
};
