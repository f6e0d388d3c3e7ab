/** What inspect says of weights, in its three views: tensors, modules, globals. */
import type { InspectWeightsData, ModuleData } from '../../src/report/schemas/inspect.ts';

const stats = { min: -1.25, max: 3, mean: 0.0123456, std: 0.5, norm: 12.5, zeros: 3, subnormals: 1, nans: 0 };

const few: InspectWeightsData = {
  format: 'torch-zip',
  tensors: [
    {
      name: 'module.conv1.weight',
      dtype: 'float32',
      shape: [16, 3, 3, 3],
      bytes: 1728,
      stats: { ...stats, infinities: 2 },
      histogram: { min: -1.25, max: 3, counts: [0, 1, 100, 800, 400, 20, 0, 3] },
    },
    {
      name: 'module.tied',
      dtype: 'float32',
      shape: [16, 3, 3, 3],
      bytes: 1728,
      sharedWith: 'module.conv1.weight',
    },
    { name: 'module.bn.num\u001b[2J', dtype: 'int64', shape: [], bytes: 8 },
  ],
  selection: { keys: ['module.*'], of: 30 },
  parameters: 433,
  bytes: 1736,
  dtypes: {
    float32: { tensors: 1, parameters: 432, bytes: 1728 },
    int64: { tensors: 1, parameters: 1, bytes: 8 },
  },
  modules: [],
  stateDicts: [
    { path: 'state_dict', tensors: 3 },
    { path: 'ema', tensors: 3 },
    { path: '', tensors: 1 },
  ],
  stateDict: { path: 'state_dict', why: 'ordinary weights come before averaged ones' },
  verdict: 'dangerous',
  globals: [
    { name: 'collections.OrderedDict', kind: 'data', calls: 2 },
    { name: 'my.Config', kind: 'opaque', calls: 1 },
    { name: 'os.system', kind: 'dangerous', calls: 1, first: { pickle: 'a.pth: data.pkl', byte: 120 } },
  ],
  metadata: { epoch: 80, best_acc: 0.9213, args: { lr: 0.1, 'a\u202eb': null }, long: ['x'.repeat(200)] },
  architecture: null,
  architectureMatch: {
    name: 'onet',
    score: 0.3789,
    matched: 8,
    missing: ['dense6_3.weight'],
    unexpected: [],
    mismatched: [{ key: 'conv1.weight', expected: '[32, 3, 3, 3]', found: 'float32 [16, 3, 3, 3]' }],
  },
  subnormals: { tensors: 0, elements: 0 },
  nonFinite: null,
};

const moduleOf = (name: string, path: string, depth: number, more: Partial<ModuleData> = {}): ModuleData => ({
  path,
  name,
  depth,
  repeats: 1,
  children: 0,
  tensors: 6,
  aliases: 0,
  parameters: 1_250_000,
  bytes: 5_000_000,
  holds: [],
  ...more,
});

const norm: ModuleData['holds'] = ['weight', 'bias', 'running_mean', 'running_var'].map((name) => ({
  name,
  dtype: 'float32',
  shape: [null],
}));

const many: InspectWeightsData = {
  ...few,
  tensors: Array.from({ length: 64 }, (_, i) => ({
    name: `module.a.${i}.weight`,
    dtype: 'float32',
    shape: [8],
    bytes: 32,
  })),
  selection: undefined,
  modules: [
    moduleOf('module', 'module', 0, { tensors: 64, aliases: 4, children: 21 }),
    moduleOf('a.{0-11}', 'module.a.{0-11}', 1, { repeats: 12, children: 2 }),
    moduleOf('conv', 'module.a.{0-11}.conv', 2, {
      repeats: 12,
      holds: [{ name: 'weight', dtype: 'float32', shape: [null, 3, 3, 3] }],
    }),
    moduleOf('n'.repeat(80), `module.a.{0-11}.${'n'.repeat(80)}`, 2, { repeats: 12, holds: norm }),
    moduleOf('tied', 'module.tied', 1, { tensors: 4, aliases: 4, children: 1, sharedWith: 'module.a.0' }),
    moduleOf('below', 'module.tied.below', 2, { tensors: 4, aliases: 4 }),
    ...Array.from({ length: 19 }, (_, i) => moduleOf(`side_${i}_x|`, `module.side_${i}_x|`, 1)),
  ],
  refused: [{ name: 'module.q', what: 'a quantized tensor' }],
  verdict: 'safe',
  globals: [{ name: 'collections.OrderedDict', kind: 'data', calls: 2 }],
  architecture: 'onet',
  architectureMatch: {
    name: 'onet',
    score: 0.9299,
    prefix: 'module.',
    matched: 8,
    missing: ['dense6_3.weight'],
    unexpected: ['a', 'b', 'c', 'd'],
    mismatched: [],
  },
};

const autopsy: InspectWeightsData = {
  ...few,
  autopsy: {
    hasPickles: true,
    meaning: 'the pickles name code that no weights need: do not load the file in Python',
    effects: [
      { name: 'os.system', kind: 'dangerous', effect: 'runs a shell command or program' },
      { name: 'my.Config', kind: 'opaque', effect: 'imports my and runs what it finds under this name' },
      { name: 'collections.OrderedDict', kind: 'data', effect: 'makes plain data' },
    ],
  },
};

export const inspectWeights = { few, many, autopsy } as const;
