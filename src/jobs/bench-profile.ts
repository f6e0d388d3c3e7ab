/** The phase of a benchmark that profiles: every model in a fresh process, and what the machine can do, once. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ModelProfile,
  measurePeaks,
  type ProbeFiles,
  type ProfiledModel,
  type ProfileSettings,
  profileModel,
} from '../bench/profile.ts';
import { attribute } from '../bench/profile-attribution.ts';
import { profileData, profileFindings } from '../bench/profile-report.ts';
import type { MachinePeaks } from '../bench/roofline.ts';
import { additionProbe, matrixProbe, type ProbeModel } from '../bench/roofline-models.ts';
import type { AttributionData, PeaksData, ProfileData } from '../report/schemas/bench-profile.ts';
import type { BenchBudget } from './bench-budget.ts';
import type { BenchLab, BenchTarget } from './bench-lab.ts';
import { writeModel } from './model-file.ts';
import { withTempFolder } from './temp-files.ts';

export interface ProfilePhase {
  readonly peaks: PeaksData;
  /** Models that could not be profiled are left out: they are findings. */
  readonly profiles: ReadonlyMap<BenchTarget, ProfileData>;
  /** Each model against the baseline, where there is one. */
  readonly attributions: readonly AttributionData[];
}

/** Most time for one of the probes of the machine, in ms, and how many there are at most. */
const PROBE_MS = 400;
const PROBES = 3;

const writeProbes = async (folder: string, withInt8: boolean): Promise<ProbeFiles> => {
  const write = async (name: string, { model, feeds }: ProbeModel): Promise<ProfiledModel> => {
    const path = join(folder, `${name}.onnx`);
    await writeModel(path, model);
    return { path, feeds };
  };
  return {
    float: await write('float', matrixProbe('float')),
    int8: withInt8 ? await write('int8', matrixProbe('int8')) : undefined,
    additions: await write('additions', additionProbe()),
  };
};

const peaksData = ({ gflops, int8Gops, bandwidth }: MachinePeaks): PeaksData => ({
  gflops,
  int8Gops,
  bandwidth: bandwidth.map((point) => ({ ...point })),
});

/**
 * @param weight of one model, and of measuring the machine.
 * @throws OrthoError when no model can be profiled, or the machine cannot be measured.
 */
export const benchProfiles = (
  lab: BenchLab,
  budget: BenchBudget,
  targets: readonly BenchTarget[],
  weight: number,
): Promise<ProfilePhase> =>
  withTempFolder(async (folder) => {
    let folders = 0;
    const settings = (budgetMs: number): ProfileSettings => ({
      session: lab.session,
      budgetMs,
      newFolder: () => {
        const path = join(folder, String(folders++));
        mkdirSync(path);
        return path;
      },
    });
    const inFreshProcess = async <T>(
      work: (host: ReturnType<BenchLab['start']>) => Promise<T>,
    ): Promise<T> => {
      const host = lab.start();
      try {
        return await work(host);
      } finally {
        await host.close();
      }
    };
    const profiled = await lab.each(
      targets,
      ({ path }) => path,
      (target): Promise<ModelProfile> => {
        budget.progress(`${target.name} under the profiler`);
        return inFreshProcess((host) => profileModel(host, target, settings(budget.take(weight))));
      },
    );
    budget.progress('what this machine can do');
    const probeMs = Math.min(PROBE_MS, budget.take(weight) / PROBES);
    const withInt8 = profiled.some(([, { work }]) => work.some(({ arithmetic }) => arithmetic === 'int8'));
    const probes = await writeProbes(folder, withInt8);
    const peaks = await inFreshProcess((host) => measurePeaks(host, probes, settings(probeMs)));
    const profiles = new Map<BenchTarget, ProfileData>();
    for (const [target, profile] of profiled) {
      const data = profileData(profile, peaks);
      profiles.set(target, data);
      lab.findings.push(...profileFindings(target.name, target.path, data));
    }
    const all = [...profiles].map(([target, profile]) => ({ ...target, profile }));
    const baseline = all.find(({ isBaseline }) => isBaseline);
    const attributions =
      baseline === undefined
        ? []
        : all.filter(({ isBaseline }) => !isBaseline).map((candidate) => attribute(baseline, candidate));
    return { peaks: peaksData(peaks), profiles, attributions };
  });
