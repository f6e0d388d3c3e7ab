/** Made-up facts of runs under load, in the shape of the bench report. */
import type { BenchModelData } from '../../src/report/schemas/bench.ts';
import type { BatchSweepData, ThroughputData } from '../../src/report/schemas/bench-load.ts';

type Summary = BenchModelData['summary'];

export const summaryOf = (p50: number, n = 200): Summary => ({
  n,
  min: 9.8,
  p50,
  p90: 11.2,
  p95: 12,
  p99: 14.7,
  max: 20.5,
  mean: 10.3,
  mad: 0.3,
  ci95: [9.9, 10.2] as const,
});

export const runFacts = (
  isQuiet: boolean,
): Pick<
  BenchModelData,
  'summaryAll' | 'disturbed' | 'outliers' | 'drift' | 'cpuMsPerRun' | 'feedMs' | 'idleCpuShare' | 'memory'
> =>
  isQuiet
    ? {
        summaryAll: summaryOf(10.01),
        disturbed: { samples: 0, share: 0, isLeftOut: false },
        outliers: { samples: 2, share: 0.01 },
        drift: { share: 0.01, calibrationShare: 0, isTrend: false },
        cpuMsPerRun: 19.4,
        feedMs: 0.012,
        idleCpuShare: 0.32,
        memory: { baseMb: 52.1, peakMb: 103.4, steadyMb: 101 },
      }
    : {
        summaryAll: summaryOf(13.2, 250),
        disturbed: { samples: 50, share: 0.2, isLeftOut: true },
        outliers: { samples: 0, share: 0 },
        drift: { share: 0.12, calibrationShare: 0.1, isTrend: true },
        cpuMsPerRun: 20.1,
        feedMs: null,
        idleCpuShare: null,
        memory: null,
      };

export const throughput: ThroughputData = {
  name: 'a',
  threads: 1,
  single: { workers: 1, n: 120, perSecond: 60.4, p50: 16.2, p99: 18.8 },
  load: { workers: 2, n: 220, perSecond: 110.3, p50: 17.4, p99: 25.1 },
  scaling: 1.826,
};

export const batchSweep: BatchSweepData = {
  name: 'a',
  points: [
    { batch: 1, summary: summaryOf(10.2), msPerItem: 10.2 },
    { batch: 8, summary: summaryOf(56), msPerItem: 7 },
  ],
};
