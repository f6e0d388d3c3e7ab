/** One report of every kind, with hostile names where files supply names. */
import type { Report } from '../../src/core/report.ts';
import { createReport } from '../../src/core/report.ts';
import type { BenchData } from '../../src/report/schemas/bench.ts';
import type { ConvertData } from '../../src/report/schemas/convert.ts';
import type { InspectOnnxData } from '../../src/report/schemas/inspect.ts';
import type { OptimizeData } from '../../src/report/schemas/optimize.ts';
import type { QuantizeData } from '../../src/report/schemas/quantize.ts';
import type { RemapData } from '../../src/report/schemas/remap.ts';
import type { RunData } from '../../src/report/schemas/run.ts';
import type { VerifyData } from '../../src/report/schemas/verify.ts';
import { batchSweep, runFacts, summaryOf, throughput } from './bench-load-sample.ts';
import { attribution, peaks, profile } from './bench-profile-sample.ts';
import { diff } from './diff-sample.ts';
import { doctor } from './doctor-sample.ts';
import { inspectWeights } from './inspect-samples.ts';
import { tune } from './tune-sample.ts';

const subject = { file: 'model.onnx', sha256: 'ab'.repeat(32), bytes: 13_631_488 };

const inspectOnnx: InspectOnnxData = {
  format: 'onnx',
  irVersion: 8,
  opsets: { '': 17, 'com.microsoft': 1 },
  producer: 'pytorch',
  inputs: [{ name: 'input', dtype: 'float32', shape: ['batch', 3, 224, 224] }],
  outputs: [
    { name: 'evil\u001b[31m|`@here`<b>\u202e', dtype: 'float32', shape: ['batch', 136] },
    { name: 'boxes', dtype: null, shape: null },
  ],
  nodes: 155,
  ops: { Conv: 52, Clip: 35, Add: 10 },
  initializers: 158,
  parameters: 3_504_872,
  parameterBytes: 14_019_488,
  macs: null,
  subnormals: { tensors: 4, elements: 62 },
  nonFinite: null,
  externalData: [{ location: 'model.data', tensors: 3, bytes: 14_000_000 }],
  metadata: { author: 'me' },
};

export const parity: VerifyData = {
  reference: 'case.npz',
  candidate: 'model.onnx',
  tolerance: { '': { atol: 1e-4, rtol: 1e-3, ofMax: 0 }, boxes: { atol: 0.01, rtol: 0, ofMax: 1e-5 } },
  cases: [
    {
      name: 'case 0',
      level: 'disabled',
      outputs: [
        {
          name: 'landmarks',
          dtype: 'float32',
          dims: [1, 136],
          metrics: { maxAbs: 3.1e-7, maxRel: 0.00012, cosine: 1, sqnrDb: null },
          nonFinite: { expected: 0, actual: 0 },
          worst: { index: [0, 12], expected: 0.5123456, actual: 0.5123459 },
          ok: true,
        },
        {
          name: 'boxes',
          dtype: 'float32',
          dims: [1, 4],
          metrics: { maxAbs: 1.25, maxRel: 3, cosine: 0.98, sqnrDb: 12.34 },
          nonFinite: { expected: 0, actual: 2 },
          worst: { index: [0, 3], expected: 1, actual: null },
          ok: false,
        },
      ],
    },
  ],
  outputs: [
    {
      name: 'landmarks',
      level: 'disabled',
      cases: 1,
      metrics: { maxAbs: 3.1e-7, centredSqnrDb: 101.25 },
      ok: true,
    },
    { name: 'boxes', level: 'disabled', cases: 1, metrics: { maxAbs: 1.25, centredSqnrDb: null }, ok: false },
  ],
  skipped: [{ name: 'sequence', reason: 'not a tensor' }],
  firstDivergence: '/layer1/Conv_output_0',
};

const remap: RemapData = {
  keys: 2,
  renamed: [{ from: 'module.conv1.weight', to: 'conv1.weight' }],
  dropped: Array.from({ length: 52 }, (_, index) => `features.${index}.1.num_batches_tracked`),
  aliases: [],
  against: {
    matched: 1,
    missing: ['fc.bias'],
    unexpected: [],
    shapeMismatch: [{ key: 'fc.weight', expected: [10, 4], actual: [4, 10] }],
  },
  transformed: [{ rule: 'rules[0] (concat)', from: ['q', 'k'], to: ['qk'] }],
  auto: {
    score: 0.8571,
    evidence: { shape: 4, names: 2, order: 0 },
    ambiguous: [{ from: ['a.evil\u001b[31m', 'b'], to: ['x', 'y'], reason: 'the same type and shape' }],
    unmatchedSource: ['left'],
    unmatchedTarget: ['fc.bias'],
    hints: [],
  },
  output: null,
  dryRun: true,
  tensors: [{ name: 'qk', dtype: 'float32', shape: [8, 4] }],
};

const convert: ConvertData = {
  importer: 'architecture',
  architecture: 'gdconv',
  matched: 310,
  missing: [],
  unexpected: [],
  mismatched: [{ key: 'fc.weight', expected: '[136, 512]', found: '[10, 512]' }],
  unused: ['module.bn.num_batches_tracked'],
  opset: 17,
  nodes: 155,
  parameters: 2_400_000,
  flushedSubnormals: 62,
  parity: null,
};

const optimize: OptimizeData = {
  before: { nodes: 155, bytes: 14_100_000, macs: 300_000_000, ops: { Conv: 52, BatchNormalization: 52 } },
  after: { nodes: 103, bytes: 14_000_000, macs: 300_000_000, ops: { Conv: 52 } },
  passes: [
    { name: 'fuse-bn-into-conv', changes: 52, ms: 12.3, declined: [] },
    {
      name: 'eliminate-identity',
      changes: 0,
      ms: 0.2,
      declined: [{ reason: 'the input is a graph input', count: 2 }],
    },
    { name: 'lift-constants', changes: 0, ms: 0.1, declined: [] },
  ],
  rolledBack: [{ name: 'flush-subnormals', reason: 'parity' }],
  parity,
};

const quantize: QuantizeData = {
  scheme: 'static',
  calibration: { samples: 32, method: 'min-max' },
  evaluation: { samples: 16, origin: 'crops', minSqnr: 10 },
  before: { nodes: 103, bytes: 14_000_000, macs: null, ops: { Conv: 52 } },
  after: { nodes: 310, bytes: 3_600_000, macs: null, ops: { Conv: 52, QuantizeLinear: 53 } },
  excluded: [{ node: '/features/0/Conv', reason: 'sensitive' }],
  outputs: [
    { name: 'embedding', sqnrDb: 21.5, centredSqnrDb: 15.62, variation: 0.41, judgeable: true },
    { name: 'constant', sqnrDb: 60.1, centredSqnrDb: null, variation: 6e-8, judgeable: false },
  ],
  parity: null,
};

const bench: BenchData = {
  environment: { cpu: 'Xeon', cores: 2, node: 'v20.20.2' },
  models: ['a', 'b'].map((name, index) => ({
    name,
    file: `${name}.onnx`,
    session: { threads: 2 },
    inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3, 224, 224] }],
    loadMs: 35.2,
    firstMs: 12.25,
    warmUp: { runs: 12, isSteady: true },
    summary: summaryOf(10.01 + index),
    ...runFacts(index === 0),
    profile: index === 0 ? profile : null,
  })),
  comparisons: [
    {
      baseline: 'a',
      candidate: 'b',
      ratio: 1.1,
      ci95: [1.08, 1.12],
      verdict: 'slower',
      sessions: 6,
      pairs: 180,
    },
  ],
  pipeline: {
    stages: [{ name: 'a', aloneP50: 10.01, togetherP50: 24.1, slowdown: 2.4, togetherSpinStopP50: 10.4 }],
  },
  throughput: [throughput],
  batches: [batchSweep],
  interrupted: false,
  peaks,
  attributions: [attribution],
};

const report = <K extends string, D>(kind: K, data: D, rest: Partial<Report> = {}): Report =>
  ({ ...createReport(kind, { subject, data }), version: '0.0.0', ...rest }) as Report;

const run: RunData = {
  stages: [
    {
      name: 'landmarks',
      architecture: 'gdconv',
      keysMatched: 310,
      keysNeeded: 310,
      maxAbs: 3.1e-7,
      bytes: 13_631_488,
      quantization: 'not judgeable',
      quantizedBytes: null,
      aloneP50: 10.01,
      togetherP50: 24.1,
      togetherSpinStopP50: 11.5,
    },
  ],
  jobs: [{ name: 'landmarks', ok: true, reports: [report('convert', convert)] }],
  bench,
} as RunData;

export const samples: Readonly<Record<string, Report>> = {
  'inspect-onnx': report('inspect', inspectOnnx, {
    ok: false,
    findings: [
      {
        level: 'error',
        rule: 'model/cycle',
        message: 'nodes "a" and "b" form a cycle through <x> @here | `y`',
        hint: 'no tool can run this model',
        at: { node: 'a\u001b[2J', value: 'x' },
      },
      { level: 'note', rule: 'subnormal-weights', message: '62 subnormal weights in 4 tensors' },
    ],
  }),
  'inspect-weights': report('inspect', inspectWeights.few),
  'inspect-modules': report('inspect', inspectWeights.many),
  'inspect-globals': report('inspect', inspectWeights.autopsy, { ok: false }),
  diff: report('diff', diff, { ok: false }),
  remap: report('remap', remap, { ok: false }),
  convert: report('convert', convert),
  optimize: report('optimize', optimize),
  quantize: report('quantize', quantize),
  verify: report('verify', parity, { ok: false }),
  bench: report('bench', bench),
  tune: report('tune', tune),
  doctor: report('doctor', doctor),
  run: report('run', run, { subject: { file: 'demo.json', sha256: null, bytes: 900 } }),
  'another-kind': report('another-kind', {
    ratio: 0.5,
    deep: { a: { b: { c: { d: { e: 1 } } } } },
    none: [],
    nothing: null,
    rows: [{ name: 'x', value: 1 }, { name: 'y' }],
  }),
};
