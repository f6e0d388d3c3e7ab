/** Live trials: one net against itself, or against the same net with more work, as often as the time allows. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareModels } from '../../src/bench/compare.ts';
import type { Target } from '../../src/bench/measure.ts';
import { measurePairs, type SessionPair } from '../../src/bench/pair-sessions.ts';
import { mean, type Verdict } from '../../src/bench/statistics.ts';
import { SessionHost } from '../../src/runtime/isolated.ts';
import type { SessionOptions } from '../../src/runtime/session.ts';
import { CHAIN, type NetName, plantedFeeds, plantedModel } from './planted.ts';
import { emptyCounts } from './replay.ts';

export interface Lab {
  readonly folder: string;
  readonly session: SessionOptions;
  readonly margin: number;
}

const start = (): SessionHost => new SessionHost();

const targetOf = ({ folder }: Lab, net: NetName, extra: number, name: string): Target => {
  const path = join(folder, `${net}-${extra}-${name}.onnx`);
  writeFileSync(path, plantedModel(net, extra));
  return { name, path, feeds: plantedFeeds(net) };
};

/** Extra MatMuls of the probe that tells how much one costs. */
const PROBE = 32;

/** How many extra MatMuls make a net slower by `share`: the cost of one is measured, as a part of a run has a fixed cost. */
export const calibrate = async (lab: Lab, net: NetName, share: number, budgetMs: number): Promise<number> => {
  const { session } = lab;
  const [plain, more] = [targetOf(lab, net, 0, 'plain'), targetOf(lab, net, PROBE, 'probe')];
  const sessions = await measurePairs(start, plain, more, { session, budgetMs, seed: 1 });
  const each = Math.expm1(mean(sessions.map(({ logRatio }) => logRatio))) / PROBE;
  // A disturbed measurement must not plant something else: between half and the whole of an even share.
  const even = 1 / CHAIN;
  return Math.round(share / Math.min(even, Math.max(even / 2, each)));
};

export interface Condition {
  readonly net: NetName;
  /** Extra MatMuls. */
  readonly extra: number;
  readonly budgetMs: number;
}

export interface LiveResult {
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly trials: number;
  /** ln of the ratios of all sessions of all trials. */
  readonly logRatios: readonly number[];
  readonly sessions: number;
}

/** Trials until `until` (of performance.now) or `most` of them; at least one. */
export const runTrials = async (
  lab: Lab,
  { net, extra, budgetMs }: Condition,
  most: number,
  until: number,
): Promise<LiveResult> => {
  const { session, margin } = lab;
  const baseline = targetOf(lab, net, 0, 'baseline');
  const candidate = targetOf(lab, net, extra, 'candidate');
  const counts = emptyCounts();
  const logRatios: number[] = [];
  let trials = 0;
  do {
    const options = { session, margin, budgetMs, seed: 1000 * trials + extra };
    const { verdict, sessionRatios } = await compareModels(start, baseline, candidate, options);
    counts[verdict]++;
    trials++;
    logRatios.push(...sessionRatios.map(Math.log));
  } while (trials < most && performance.now() + budgetMs <= until);
  return { counts, trials, logRatios, sessions: logRatios.length / trials };
};

/** Sessions as a comparison with this budget takes them, none of it cut short. */
export const recordSessions = async (
  lab: Lab,
  { net, extra, budgetMs }: Condition,
  until: number,
): Promise<{ readonly sessions: SessionPair[]; readonly most: number }> => {
  const baseline = targetOf(lab, net, 0, 'baseline');
  const candidate = targetOf(lab, net, extra, 'candidate');
  const sessions: SessionPair[] = [];
  let rounds = 0;
  do {
    const options = { session: lab.session, budgetMs, seed: 1000 * rounds };
    sessions.push(...(await measurePairs(start, baseline, candidate, options)));
    rounds++;
  } while (performance.now() + budgetMs <= until);
  return { sessions, most: Math.max(3, Math.round(sessions.length / rounds)) };
};

/** Does `work` while another process keeps one core busy. */
export const underLoad = async <T>(work: () => Promise<T>): Promise<T> => {
  const child = spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' });
  try {
    return await work();
  } finally {
    child.kill('SIGKILL');
  }
};
