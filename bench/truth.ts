/**
 * Does `ortho bench --baseline` tell the truth? Nets that are equal, and nets with a planted difference, are compared
 * live, and the decisions are made again on recorded sessions thousands of times.
 *
 *   node dist/bench/truth.js live   [--minutes 20] [--trials 40]   verdicts of real comparisons
 *   node dist/bench/truth.js record sessions.json [--minutes 10]   fresh sessions of equal nets, to a file
 *   node dist/bench/truth.js replay sessions.json [--trials 10000] verdicts on sessions drawn from the file
 *
 * Options of live and record: --net 0.1ms,1ms,10ms, --threads N, --load (another process keeps one core busy), --budget S
 * (of one comparison; default 4 for equal nets and 20 for others), --extra 0,3,5,10 (percent; live only). The time is
 * shared out evenly. --margin 3 (percent). Replay plants differences by scaling the recorded ratios of equal nets.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median, medianAbsoluteDeviation, type Verdict } from '../src/bench/statistics.ts';
import { NETS, type NetName } from './truth/planted.ts';
import { bothWays, replay } from './truth/replay.ts';
import { calibrate, type Lab, recordSessions, runTrials, underLoad } from './truth/trials.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string' },
    trials: { type: 'string' },
    net: { type: 'string', default: Object.keys(NETS).join(',') },
    extra: { type: 'string', default: '0,3,5,10' },
    budget: { type: 'string' },
    margin: { type: 'string', default: '3' },
    threads: { type: 'string' },
    load: { type: 'boolean', default: false },
  },
});

const nets = values.net.split(',').filter((name): name is NetName => Object.hasOwn(NETS, name));
const extras = values.extra.split(',').map((percent) => Number(percent) / 100);
const margin = Number(values.margin) / 100;
const minutes = Number(values.minutes ?? (positionals[0] === 'live' ? 20 : 10));
const CALIBRATION_MS = 6000;

/** One recorded set of sessions of equal nets. */
interface Recording {
  readonly net: string;
  readonly load: boolean;
  readonly budgetMs: number;
  /** Sessions that fit into the budget. */
  readonly most: number;
  readonly logRatios: readonly number[];
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** What should be said of a true difference; undefined where two answers are as good. */
const rightVerdict = (share: number): Verdict => (share === 0 ? 'same' : 'slower');

const HEADER = ['net', 'true', 'trials', 'right', 'wrong', 'inconclusive', 'measured', 'sessions', 'spread'];

const row = (
  net: string,
  share: number,
  counts: Readonly<Record<Verdict, number>>,
  trials: number,
  logRatios: readonly number[],
  sessions: number,
): string[] => {
  const right = counts[rightVerdict(share)];
  const centre = Math.expm1(median(logRatios));
  return [
    net,
    `+${percent(share)}`,
    String(trials),
    percent(right / trials),
    percent((trials - right - counts.inconclusive) / trials),
    percent(counts.inconclusive / trials),
    `${centre >= 0 ? '+' : ''}${(100 * centre).toFixed(2)} %`,
    sessions.toFixed(1),
    // 1.4826 MAD is the standard deviation of what is normal.
    `${(148.26 * medianAbsoluteDeviation(logRatios)).toFixed(2)} %`,
  ];
};

const print = (cells: readonly string[]): void =>
  console.log(cells.map((cell, i) => cell.padStart(HEADER[i]!.length + 3)).join(' '));

const withLab = async (work: (lab: Lab) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'ortho-truth-'));
  const { threads } = values;
  const session = { level: 'all', ...(threads === undefined ? {} : { threads: Number(threads) }) } as const;
  try {
    const lab = { folder, session, margin };
    await (values.load ? underLoad(() => work(lab)) : work(lab));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

const budgetOf = (share: number): number => 1000 * Number(values.budget ?? (share === 0 ? 4 : 20));

const live = (): Promise<void> =>
  withLab(async (lab) => {
    const end = performance.now() + minutes * 60_000;
    const conditions = nets.flatMap((net) => extras.map((share) => ({ net, share })));
    print(HEADER);
    for (const [i, { net, share }] of conditions.entries()) {
      const until = performance.now() + (end - performance.now()) / (conditions.length - i);
      const extra = share === 0 ? 0 : await calibrate(lab, net, share, CALIBRATION_MS);
      const condition = { net, extra, budgetMs: budgetOf(share) };
      const most = Number(values.trials ?? Number.POSITIVE_INFINITY);
      const { counts, trials, logRatios, sessions } = await runTrials(lab, condition, most, until);
      print(row(net, share, counts, trials, logRatios, sessions));
    }
  });

const record = (path: string): Promise<void> =>
  withLab(async (lab) => {
    const end = performance.now() + minutes * 60_000;
    const budgetMs = budgetOf(0);
    const recordings: Recording[] = [];
    for (const [i, net] of nets.entries()) {
      const until = performance.now() + (end - performance.now()) / (nets.length - i);
      const { sessions, most } = await recordSessions(lab, { net, extra: 0, budgetMs }, until);
      const logRatios = sessions.map(({ logRatio }) => logRatio);
      recordings.push({ net, load: values.load, budgetMs, most, logRatios });
      writeFileSync(path, `${JSON.stringify(recordings, undefined, 1)}\n`);
      console.log(`${net}: ${sessions.length} sessions, ${most} in ${budgetMs / 1000} s`);
    }
  });

const replayFile = (path: string): void => {
  const trials = Number(values.trials ?? 10_000);
  print(HEADER);
  for (const { net, load, most, logRatios } of JSON.parse(readFileSync(path, 'utf8')) as Recording[]) {
    for (const share of extras) {
      const shifted = bothWays(logRatios).map((logRatio) => logRatio + Math.log1p(share));
      const { counts } = replay({ logRatios: shifted, most, margin, trials, seed: 1 });
      print(row(load ? `${net}*` : net, share, counts, trials, shifted, most));
    }
  }
};

const [mode, file] = positionals;
if (mode === 'live') await live();
else if (mode === 'record' && file !== undefined) await record(file);
else if (mode === 'replay' && file !== undefined) replayFile(file);
else {
  console.error('truth.js live | record FILE | replay FILE; the head of bench/truth.ts has the options');
  process.exitCode = 2;
}
