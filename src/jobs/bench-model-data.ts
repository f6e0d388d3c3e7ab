/** What a benchmark reports of each model. */
import type { Latency } from '../bench/measure.ts';
import type { Summary } from '../bench/statistics.ts';
import type { BenchModelData } from '../report/schemas/bench.ts';
import type { ProfileData } from '../report/schemas/bench-profile.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';

const summaryData = (summary: Summary): BenchModelData['summary'] => ({
  ...summary,
  ci95: [...summary.ci95],
});

/** @param profile null unless the model was profiled. */
export const modelData = (
  lab: BenchLab,
  { name, path, feeds }: BenchTarget,
  latency: Latency,
  profile: ProfileData | null,
): BenchModelData => {
  const { samples: _samples, marks: _marks, summary, summaryAll, ...facts } = latency;
  return {
    name,
    file: path,
    session: lab.described,
    inputs: [...feeds].map(([input, { dtype, dims }]) => ({ name: input, dtype, shape: [...dims] })),
    ...facts,
    summary: summaryData(summary),
    summaryAll: summaryData(summaryAll),
    profile,
  };
};
