/**
 * The profile of a model, recorded by the runtime's own profiler in a process of its own, and what this machine reached
 * at most with the same session options (roofline.ts).
 */
import { join } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';
import type { ProfileOrder } from '../runtime/protocol.ts';
import type { SessionOptions } from '../runtime/session.ts';
import { type ProfileRecords, readProfile } from './profile-events.ts';
import { joinWork, type KernelWork } from './profile-join.ts';
import { type RunTiming, timeNodes } from './profile-timing.ts';
import type { BandwidthPoint, MachinePeaks } from './roofline.ts';
import { ADDITIONS, MATRIX, PROBE } from './roofline-models.ts';

/** What profiling needs of a process that runs models; `SessionHost` is one. */
export interface ProfilingHost {
  profile(
    path: string,
    feeds: ReadonlyMap<string, Tensor>,
    order: ProfileOrder,
    options: SessionOptions,
  ): Promise<{ readonly file: string }>;
  close(): Promise<void>;
}

export interface ProfiledModel {
  readonly path: string;
  readonly feeds: ReadonlyMap<string, Tensor>;
}

export interface ProfileSettings {
  readonly session: SessionOptions;
  /** Makes an empty folder that lives as long as the work does. */
  readonly newFolder: () => string;
  /** Time to spend on runs, in ms; a slow model still runs a few times. */
  readonly budgetMs: number;
}

export interface ModelProfile {
  readonly timing: RunTiming;
  /** One entry a node of the timing, in its order. */
  readonly work: readonly KernelWork[];
  /** Records of the profiler that could not be read. */
  readonly unreadable: number;
}

/** Runs that do not count, and the fewest and most that do. */
const WARM_UP_RUNS = 2;
const LEAST_RUNS = 5;
const MOST_RUNS = 100;

/** What the runtime makes of a model is saved up to this size of its weights; beyond it, names alone tell the nodes. */
const MOST_SAVED = 1 << 30;

const record = async (
  host: ProfilingHost,
  { path, feeds }: ProfiledModel,
  { session, budgetMs, newFolder }: ProfileSettings,
  optimized?: string,
): Promise<ProfileRecords> => {
  const order: ProfileOrder = {
    folder: newFolder(),
    ...(optimized === undefined ? {} : { optimized }),
    leastRuns: WARM_UP_RUNS + LEAST_RUNS,
    mostRuns: WARM_UP_RUNS + MOST_RUNS,
    maxMs: budgetMs,
  };
  const { file } = await host.profile(path, feeds, order, session);
  const source = new FileSource(file);
  try {
    const { runs, unreadable } = readProfile(source);
    if (runs.length === 0) {
      throw new OrthoError('runtime/failed', `${path}: ONNX Runtime's profile holds no whole run`, {
        hint: 'the profiler keeps a million records: a loop with many turns fills it',
        at: { file: path },
      });
    }
    return { runs: runs.slice(Math.min(WARM_UP_RUNS, runs.length - 1)), unreadable };
  } finally {
    source.close();
  }
};

const weightBytes = (model: Model): number =>
  model.graph.initializers.reduce((sum, { initializer }) => sum + (initializer?.data.size ?? 0), 0);

/** @throws OrthoError of the runtime, or runtime/failed for a profile without a run. */
export const profileModel = async (
  host: ProfilingHost,
  target: ProfiledModel,
  settings: ProfileSettings,
): Promise<ModelProfile> => {
  // The runtime's own format cannot be decoded here: its kernels have names and shapes, but no weights.
  const model = target.path.endsWith('.ort') ? undefined : loadModel(target.path);
  let optimized: Model | undefined;
  try {
    const isSaved = model !== undefined && weightBytes(model) <= MOST_SAVED;
    const saved = isSaved ? join(settings.newFolder(), 'optimized.onnx') : undefined;
    const { runs, unreadable } = await record(host, target, settings, saved);
    optimized = saved === undefined ? undefined : loadModel(saved);
    const timing = timeNodes(runs);
    const work = joinWork({ timings: timing.nodes, model, optimized, feeds: target.feeds });
    return { timing, work, unreadable };
  } finally {
    model?.close();
    optimized?.close();
  }
};

/** Files of the models that show what the machine can do, with what they are fed. */
export interface ProbeFiles {
  readonly float: ProfiledModel;
  /** Left out where nothing computes with bytes. */
  readonly int8?: ProfiledModel | undefined;
  readonly additions: ProfiledModel;
}

/** Time of the kernels of these names together in the fastest run, in ms: others disturb, none speed up. */
const probeMs = ({ runs }: ProfileRecords, names: readonly string[]): number => {
  const wanted = new Set(names);
  const sums = runs.map(({ kernels }) =>
    kernels.reduce((sum, { name, selfUs }) => sum + (wanted.has(name) ? selfUs : 0), 0),
  );
  // At the least one microsecond: the clock of the profiler knows nothing less.
  return Math.max(1, Math.min(...sums)) / 1000;
};

/** Measures the peaks; each probe takes its share of the budget. @throws OrthoError of the runtime. */
export const measurePeaks = async (
  host: ProfilingHost,
  probes: ProbeFiles,
  settings: ProfileSettings,
): Promise<MachinePeaks> => {
  const gops = async (probe: ProfiledModel): Promise<number> =>
    (2 * MATRIX ** 3) / (probeMs(await record(host, probe, settings), [PROBE]) * 1e6);
  const gflops = await gops(probes.float);
  const int8Gops = probes.int8 === undefined ? null : await gops(probes.int8);
  const additions = await record(host, probes.additions, settings);
  const bandwidth = ADDITIONS.map(({ bytes, names }): BandwidthPoint => {
    const ms = probeMs(additions, names) / names.length;
    return { bytes, gbPerS: bytes / (ms * 1e6) };
  });
  return { gflops, int8Gops, bandwidth };
};
