import { expect, test } from 'vitest';
import { compareModels } from '../../src/bench/compare.ts';
import { contentionFinding, type Stage } from '../../src/bench/contention.ts';
import { isBusy, readEnvironment } from '../../src/bench/environment.ts';
import {
  type MeasuringHost,
  measureAlone,
  measureTogether,
  type Target,
  type TimingHost,
  warmUp,
} from '../../src/bench/measure.ts';
import { OrthoError } from '../../src/core/errors.ts';
import { createRng } from '../../src/core/rng.ts';
import type { HostedSession, TimedBlock, TimedLoop } from '../../src/runtime/isolated.ts';
import type { SessionOptions } from '../../src/runtime/session.ts';

/** A machine whose clock is arithmetic: a run takes what its path says, more while cold or while others spin. */
class Machine {
  now = 0;
  readonly hosts: { opened: string[]; spinning: (string | undefined)[]; isClosed: boolean }[] = [];
  readonly #coldRuns: number;
  readonly #noise: number;
  readonly #rng = createRng(3);

  constructor({ coldRuns = 1, noise = 0 } = {}) {
    this.#coldRuns = coldRuns;
    this.#noise = noise;
  }

  readonly start = (): MeasuringHost => {
    const record = { opened: [] as string[], spinning: [] as (string | undefined)[], isClosed: false };
    this.hosts.push(record);
    const runs = new Map<HostedSession, number>();
    const run = (session: HostedSession): number => {
      const done = runs.get(session) ?? 0;
      runs.set(session, done + 1);
      const cold = done < this.#coldRuns ? 1 + 4 * (1 - done / this.#coldRuns) : 1;
      const isCrowded = record.opened.length > 1 && record.spinning.includes('default');
      const noise = 1 + this.#noise * this.#rng.normal();
      const ms = Number(session.path) * cold * (isCrowded ? 2.5 : 1) * noise;
      this.now += ms;
      return ms;
    };
    const time = async (sessions: readonly HostedSession[], loop: TimedLoop): Promise<Float64Array[]> => {
      const series = sessions.map(() => [] as number[]);
      const began = this.now;
      for (let round = 0; round < loop.mostRounds; round++) {
        if (round >= loop.leastRounds && this.now - began >= loop.maxMs) break;
        sessions.forEach((session, i) => {
          series[i]!.push(run(session));
        });
      }
      return series.map((values) => Float64Array.from(values));
    };
    return {
      open: async (path: string, options: SessionOptions): Promise<HostedSession> => {
        record.opened.push(path);
        record.spinning.push(options.spinning);
        this.now += 20;
        const unused = async (): Promise<never> => {
          throw new Error('not used here');
        };
        return {
          path,
          inputs: [],
          outputs: [],
          loadMs: 20,
          run: unused,
          prepare: async () => {},
          close: unused,
        };
      },
      time,
      timeBlock: async (sessions, loop): Promise<TimedBlock> => {
        const began = this.now;
        const times = await time(sessions, loop);
        const wallMs = this.now - began;
        return { times, wallMs, cpuMs: 2 * wallMs, kernelMs: 1, machine: null };
      },
      rest: async (_session, ms) => {
        this.now += ms;
        return { idleCpuMs: ms / 4, idleWallMs: ms, baseMb: 50, peakMb: 90, steadyMb: 80, feedMs: 0.01 };
      },
      close: async () => {
        record.isClosed = true;
      },
    };
  };
}

const target = (ms: number, name = `m${ms}`): Target => ({ name, path: String(ms), feeds: new Map() });
const open = (host: TimingHost, ms: number): Promise<HostedSession> => host.open(String(ms), {});

test('warming up ends when times are steady, and says when they never are', async () => {
  const machine = new Machine({ coldRuns: 12 });
  const host = machine.start();
  const steady = await warmUp(host, [await open(host, 10)], 1e6);
  expect(steady.isSteady).toBe(true);
  expect(steady.runs).toBeGreaterThan(12);
  const noisy = new Machine({ coldRuns: 0, noise: 0.9 }).start();
  expect((await warmUp(noisy, [await open(noisy, 1000)], 1)).isSteady).toBe(false);
});

test('load and first run are apart from the runs that count', async () => {
  const machine = new Machine({ coldRuns: 3 });
  const now = (): number => machine.now;
  const first: number[] = [];
  let blocks = 0;
  const latency = await measureAlone(machine.start, target(4), { spinning: 'default' }, 1000, {
    now,
    onFirstRun: ({ loadMs, firstMs }) => first.push(loadMs, firstMs),
    onBlock: () => blocks++,
  });
  expect(first).toEqual([20, 20]);
  expect(blocks).toBeGreaterThan(5);
  expect(latency.loadMs).toBe(20);
  expect(latency.firstMs).toBe(20);
  expect(latency.summary.p50).toBe(4);
  expect(latency.summary.max).toBe(4);
  expect(latency.warmUp.isSteady).toBe(true);
  expect(latency.cpuMsPerRun).toBeCloseTo(8);
  expect(latency.idleCpuShare).toBe(0.25);
  expect(latency.memory).toEqual({ baseMb: 50, peakMb: 90, steadyMb: 80 });
  expect(latency.feedMs).toBe(0.01);
  expect(latency.disturbed).toEqual({ samples: 0, share: 0, isLeftOut: false });
  expect(machine.hosts).toEqual([{ opened: ['4'], spinning: ['default'], isClosed: true }]);
});

test('a model slow for the budget still runs five times', async () => {
  const machine = new Machine();
  const { summary } = await measureAlone(machine.start, target(5000), {}, 100, { now: () => machine.now });
  expect(summary.n).toBe(5);
});

test('the budget bounds the runs', async () => {
  const machine = new Machine({ coldRuns: 0 });
  const { summary } = await measureAlone(machine.start, target(10), {}, 2000, { now: () => machine.now });
  expect(summary.n).toBeGreaterThan(130);
  expect(machine.now).toBeLessThanOrEqual(2010);
});

test('loading that takes all of the budget leaves some time for runs', async () => {
  const machine = new Machine({ coldRuns: 0 });
  const { summary } = await measureAlone(machine.start, target(1), {}, 100, { now: () => machine.now });
  expect(summary.n).toBeGreaterThanOrEqual(5);
  expect(machine.now).toBeLessThan(20 + 1 + 100 + 60);
});

test('together, all models share one process and each has its own times', async () => {
  const machine = new Machine();
  const now = (): number => machine.now;
  const stopped = await measureTogether(machine.start, [target(4), target(8)], { spinning: 'stop' }, 1000, {
    now,
  });
  expect(stopped.map(({ summary }) => summary.p50)).toEqual([4, 8]);
  expect(machine.hosts.length).toBe(1);
  const spinning = await measureTogether(
    machine.start,
    [target(4), target(8)],
    { spinning: 'default' },
    1000,
    { now },
  );
  expect(spinning.map(({ summary }) => summary.p50)).toEqual([10, 20]);
});

/** What one comparison of these run times does, with its own machine. */
const compare = async (
  ms: readonly [number, number],
  budgetMs: number,
  more: { noise?: number; coldRuns?: number; maxRegression?: number; interruptedAfter?: number } = {},
) => {
  const machine = new Machine({ noise: more.noise ?? 0.02, coldRuns: more.coldRuns ?? 1 });
  const start = (): MeasuringHost => {
    if (machine.hosts.length === more.interruptedAfter) {
      throw new OrthoError('internal/interrupted', 'interrupted');
    }
    return machine.start();
  };
  const result = await compareModels(start, target(ms[0]), target(ms[1]), {
    session: { spinning: 'default' },
    margin: 0.03,
    maxRegression: more.maxRegression,
    seed: 0,
    now: () => machine.now,
    budgetMs,
  });
  return { ...result, machine };
};

test('a comparison uses several fresh processes, never spins, and loads in turns', async () => {
  const { machine, ...slower } = await compare([10, 11], 6000);
  expect(slower.verdict).toBe('slower');
  expect(slower.ratio).toBeGreaterThan(1.08);
  expect(slower.ratio).toBeLessThan(1.12);
  expect(slower.sessions).toBe(machine.hosts.length);
  expect(slower.sessionRatios.length).toBe(slower.sessions);
  expect(machine.hosts.every(({ isClosed }) => isClosed)).toBe(true);
  expect(machine.hosts.flatMap(({ spinning }) => spinning).every((mode) => mode === 'stop')).toBe(true);
  expect(machine.hosts.slice(0, 2).map(({ opened }) => opened)).toEqual([
    ['10', '11'],
    ['11', '10'],
  ]);
});

test('it ends when the answer is clear, and goes on to the end of its time when it is not', async () => {
  const clear = await compare([10, 10], 8000);
  expect([clear.verdict, clear.regression]).toEqual(['same', undefined]);
  expect(clear.machine.now).toBeLessThan(5000);
  const unclear = await compare([10, 10.5], 8000, { maxRegression: 0.05 });
  expect([unclear.verdict, unclear.regression]).toEqual(['slower', 'inconclusive']);
  expect(unclear.machine.now).toBeGreaterThan(7000);
  expect(unclear.machine.now).toBeLessThan(8800);
  const proven = await compare([10, 11], 8000, { maxRegression: 0.05 });
  expect(proven.regression).toBe('proven');
});

test('interrupted: what was measured is told, and decides nothing', async () => {
  const result = await compare([10, 20], 20_000, { maxRegression: 0.05, interruptedAfter: 4 });
  expect([result.verdict, result.regression, result.sessions]).toEqual(['inconclusive', 'inconclusive', 4]);
  expect(result.ratio).toBeCloseTo(2, 1);
  await expect(compare([10, 20], 20_000, { interruptedAfter: 2 })).rejects.toThrow('interrupted');
});

test('models that are slow for the time are still compared, in three sessions', async () => {
  const none = await compare([10, 5], 0);
  expect([none.verdict, none.sessions]).toEqual(['faster', 3]);
  expect(none.pairs).toBeLessThan(15);
  const slow = await compare([1000, 1000], 20_000, { noise: 0, coldRuns: 0 });
  expect(slow.sessions).toBe(3);
  expect(slow.machine.now).toBeLessThan(20_000);
});

test('quick models get many pairs in each of many sessions', async () => {
  const quick = await compare([0.1, 0.1003], 20_000, { noise: 0.3, maxRegression: 0.0001 });
  expect(quick.sessions).toBeGreaterThanOrEqual(20);
  expect(quick.pairs / quick.sessions).toBeGreaterThan(1000);
  expect(quick.machine.now).toBeLessThan(22_000);
});

const stage = (alone: number, together: number, stopped: number | null): Stage => ({
  name: 'm',
  aloneP50: alone,
  togetherP50: together,
  slowdown: together / alone,
  togetherSpinStopP50: stopped,
});

test('contention is blamed on spinning only when stopping it helps', () => {
  const spinning = contentionFinding([stage(10, 24, 10.5), stage(2, 5, 2.2)]);
  expect(spinning?.rule).toBe('spinning-contention');
  expect(spinning?.message).toContain('×2.42');
  expect(spinning?.message).toContain('×1.06');
  expect(contentionFinding([stage(10, 24, 22)])?.rule).toBe('contention');
  expect(contentionFinding([stage(10, 24, null)])?.rule).toBe('contention');
  expect(contentionFinding([stage(10, 11, 10)])).toBeUndefined();
});

test('the environment is read', () => {
  const environment = readEnvironment('1.30.0');
  expect(environment.cores).toBeGreaterThan(0);
  expect(environment.node).toBe(process.versions.node);
  expect(isBusy({ ...environment, cores: 4, cpuQuota: null, loadAverage: 2.5 })).toBe(true);
  expect(isBusy({ ...environment, cores: 4, cpuQuota: null, loadAverage: 1.5 })).toBe(false);
  expect(isBusy({ ...environment, cores: 4, cpuQuota: 2, loadAverage: 1.5 })).toBe(true);
  expect(isBusy({ ...environment, loadAverage: null })).toBe(false);
});
