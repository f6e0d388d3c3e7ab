/** A profile for the sample of a bench report. */
import type { AttributionData, PeaksData, ProfileData } from '../../src/report/schemas/bench-profile.ts';

const conv = {
  name: '/Clip_output_0_nchwc',
  op: 'com.microsoft.nchwc.Conv',
  calls: 1,
  ms: 0.75,
  leastMs: 0.7,
  quartilesMs: [0.72, 0.8],
  share: 0.75,
  inputs: [{ dtype: 'float32', shape: [1, 3, 32, 32] }],
  outputs: [{ dtype: 'float32', shape: [1, 16, 32, 32] }],
  macs: 1_769_472,
  bytes: 205_888,
  gflops: 4.718_592,
  gbPerS: 0.274_517,
  roofMs: 0.04,
  boundBy: 'compute',
  efficiency: 0.053,
  isSlow: true,
  origins: ['/u1/Conv', '/Clip'],
} as const;

const reorder = {
  ...conv,
  name: 'evil\u001b[31m|`@here`<b>\u202e',
  op: 'com.microsoft.nchwc.ReorderOutput',
  ms: 0.25,
  share: 0.25,
  macs: null,
  gflops: null,
  roofMs: null,
  boundBy: null,
  efficiency: null,
  isSlow: false,
  origins: [],
} as const;

export const profile: ProfileData = {
  runs: 40,
  runMs: 1.1,
  kernelMs: 1,
  overheadMs: 0.1,
  operators: [
    { op: 'com.microsoft.nchwc.Conv', nodes: 1, ms: 0.75, share: 0.75, macs: 1_769_472 },
    { op: 'com.microsoft.nchwc.ReorderOutput', nodes: 1, ms: 0.25, share: 0.25, macs: null },
  ],
  conversions: { ms: 0.25, share: 0.25, nodes: 1, added: 1 },
  nodes: [conv, reorder],
  notJoined: 0,
  unreadable: 0,
};

export const peaks: PeaksData = {
  gflops: 194.8,
  int8Gops: null,
  bandwidth: [
    { bytes: 12_288, gbPerS: 2.46 },
    { bytes: 100_663_296, gbPerS: 13.5 },
  ],
};

export const attribution: AttributionData = {
  baseline: 'a',
  candidate: 'b',
  beforeMs: 1,
  afterMs: 1.5,
  operators: [
    { op: 'com.microsoft.nchwc.Conv', beforeMs: 0.75, afterMs: 0, differenceMs: -0.75 },
    { op: 'Conv', beforeMs: 0, afterMs: 1.25, differenceMs: 1.25 },
  ],
  nodes: [
    {
      change: 'slower',
      op: 'Conv',
      before: '/Clip_output_0_nchwc',
      after: '/u1/Conv',
      beforeMs: 0.75,
      afterMs: 1.25,
      differenceMs: 0.5,
    },
    {
      change: 'removed',
      op: 'com.microsoft.nchwc.ReorderOutput',
      before: 'evil\u001b[31m|`@here`<b>\u202e',
      after: null,
      beforeMs: 0.25,
      afterMs: 0,
      differenceMs: -0.25,
    },
  ],
  restMs: 0.01,
};
