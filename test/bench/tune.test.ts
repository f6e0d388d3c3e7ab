import { expect, test } from 'vitest';
import type { Target, TimingHost } from '../../src/bench/measure.ts';
import { joinChoices, keyOf, sessionOptionsOf } from '../../src/bench/tune/configuration.ts';
import type { Clock } from '../../src/bench/tune/pairs.ts';
import type { Objective, RigPlan } from '../../src/bench/tune/rig.ts';
import { poolOf, threadCounts } from '../../src/bench/tune/space.ts';
import { type TuneResult, tuneSessions } from '../../src/bench/tune/tune.ts';
import { OrthoError } from '../../src/core/errors.ts';
import { createRng } from '../../src/core/rng.ts';
import { float32Tensor } from '../../src/core/tensor.ts';
import type { HostedSession, TimedLoop } from '../../src/runtime/isolated.ts';
import type { SessionOptions } from '../../src/runtime/session.ts';

interface Physics {
  /** ms of a run; the path of a model is its cost with the defaults. */
  readonly cost?: (base: number, options: SessionOptions) => number;
  /** What the only output holds. */
  readonly output?: (options: SessionOptions, runs: number) => number;
  readonly noise?: number;
  /** ms to load a model. */
  readonly loadMs?: number;
  /** Fresh sessions of the same options differ by so much. */
  readonly sessionNoise?: number;
  /** The code of the error that loading with these options ends in. */
  readonly failure?: (options: SessionOptions) => 'runtime/crashed' | undefined;
  /** The host that is opened as this one is interrupted. */
  readonly interruptAt?: number;
}

/** Hosts and a clock that are arithmetic. */
class Machine implements Clock {
  time = 0;
  hosts = 0;
  openHosts = 0;
  readonly #physics: Physics;
  readonly #rng = createRng(11);

  constructor(physics: Physics) {
    this.#physics = physics;
  }

  now = (): number => this.time;

  sleep = async (ms: number): Promise<void> => {
    this.time += ms;
  };

  readonly start = (): TimingHost => {
    const { cost = (base) => base, output = () => 1, noise = 0.01, sessionNoise = 0 } = this.#physics;
    const number = ++this.hosts;
    this.openHosts++;
    const luck = 1 + sessionNoise * this.#rng.normal();
    const optionsOf = new Map<HostedSession, SessionOptions>();
    return {
      open: async (path: string, options: SessionOptions): Promise<HostedSession> => {
        if (number === this.#physics.interruptAt) throw new OrthoError('internal/interrupted', 'stopped');
        const code = this.#physics.failure?.(options);
        if (code !== undefined) throw new OrthoError(code, `${path} died`);
        this.time += this.#physics.loadMs ?? 60;
        let runs = 0;
        const session: HostedSession = {
          path,
          inputs: [],
          outputs: [],
          loadMs: 60,
          run: async () => new Map([['y', float32Tensor([1], [output(options, runs++)])]]),
          prepare: async () => {},
          close: async () => {},
        };
        optionsOf.set(session, options);
        return session;
      },
      time: async (sessions: readonly HostedSession[], loop: TimedLoop): Promise<Float64Array[]> => {
        const series = sessions.map(() => [] as number[]);
        const began = this.time;
        for (let round = 0; round < loop.mostRounds; round++) {
          if (round >= loop.leastRounds && this.time - began >= loop.maxMs) break;
          sessions.forEach((session, i) => {
            const mean = cost(Number(session.path), optionsOf.get(session)!);
            const ms = mean * luck * (1 + noise * this.#rng.normal());
            this.time += ms;
            series[i]!.push(ms);
          });
        }
        return series.map((values) => Float64Array.from(values));
      },
      close: async () => {
        this.openHosts--;
      },
    };
  };
}

const target = (ms: number): Target => ({ name: `m${ms}`, path: String(ms), feeds: new Map() });

const tune = (
  machine: Machine,
  { models = [4], seconds = 30, cores = 4, objective = 'latency' as Objective, steps = [] as string[] } = {},
): Promise<TuneResult> => {
  const plan: RigPlan = { start: machine.start, targets: models.map(target), objective };
  return tuneSessions(plan, {
    cores,
    endMs: machine.now() + seconds * 1000,
    margin: 0.03,
    tolerances: {},
    seed: 0,
    clock: machine,
    onStep: (step) => steps.push(step),
  });
};

/** Helps on several axes at once; the joined configuration is not in the first pool. */
const planted = (base: number, { threads, spinning, arena, prepacking, level }: SessionOptions): number =>
  base *
  (threads === 2 ? 0.8 : 1) *
  (spinning === 'stop' ? 0.9 : 1) *
  (arena === false ? 0.93 : 1) *
  (prepacking === false ? 1.3 : 1) *
  (level === 'basic' ? 1.2 : 1);

test('a planted best configuration is found, joined from several axes, and proven', async () => {
  const machine = new Machine({ cost: planted });
  const { best, trials, defaultMs, defaultParity } = await tune(machine);
  expect(best?.options).toEqual([{ threads: 2, spinning: 'stop', arena: false }]);
  expect(best?.stage).toBe('final');
  expect(best?.outcome).toBe('faster');
  expect(best!.proof!.ratio).toBeCloseTo(0.8 * 0.9 * 0.93, 2);
  expect(best!.proof!.ci95[1]).toBeLessThan(0.7);
  expect(best!.proof!.sessions).toBeGreaterThanOrEqual(3);
  expect(defaultMs).toBeCloseTo(4, 1);
  expect(defaultParity.ok).toBe(true);
  expect(trials.every(({ parity }) => parity?.ok === true)).toBe(true);
  expect(new Set(trials.map(({ options }) => keyOf(options))).size).toBe(trials.length);
  expect(machine.time).toBeLessThan(30_000);
  expect(machine.openHosts).toBe(0);
});

test('with time enough everything in the pool is tried', async () => {
  const { untried, trials } = await tune(new Machine({ cost: planted }), { seconds: 200, cores: 2 });
  expect(untried).toBe(0);
  expect(trials.length).toBeGreaterThan(30);
});

test('the same seed and machine give the same search', async () => {
  const [a, b] = [await tune(new Machine({ cost: planted })), await tune(new Machine({ cost: planted }))];
  expect(a).toEqual(b);
});

test('a configuration with wrong outputs is never chosen, however fast', async () => {
  const machine = new Machine({
    cost: (base, { spinning, threads }) => base * (spinning === 'off' ? 0.2 : 1) * (threads === 2 ? 0.8 : 1),
    output: ({ spinning }) => (spinning === 'off' ? 1.001 : 1 + 1e-6),
  });
  const { best, trials } = await tune(machine, { seconds: 60 });
  expect(best?.options[0]).toEqual({ threads: 2 });
  const wrong = trials.filter(({ options }) => options[0]!.spinning === 'off');
  expect(wrong.length).toBeGreaterThan(2);
  for (const { outcome, parity, message, candidate } of wrong) {
    expect(outcome).toBe('differs');
    expect(parity).toEqual({ ok: false, message });
    expect(message).toContain('m4, output "y"');
    expect(candidate).toEqual([]);
  }
});

test('the reference is the graph as written: a default that differs is told, and stays out of the proof', async () => {
  const machine = new Machine({
    cost: (base, { level }) => base * (level === 'basic' ? 0.7 : 1),
    output: ({ level }) => (level === 'basic' || level === 'disabled' ? 1 : 2),
  });
  const { best, defaultParity } = await tune(machine);
  expect(defaultParity.ok).toBe(false);
  expect(best?.options[0]).toEqual({ level: 'basic' });
});

test('the default stays when nothing is faster, on a machine whose sessions differ', async () => {
  for (const sessionNoise of [0, 0.04]) {
    const machine = new Machine({ noise: 0.05, sessionNoise });
    const { best, trials } = await tune(machine);
    expect(best).toBeUndefined();
    expect(trials.filter(({ outcome }) => outcome === 'faster')).toEqual([]);
  }
});

test('without time for a proof the default stays', async () => {
  const machine = new Machine({ cost: planted });
  const { best, trials, untried } = await tune(machine, { seconds: 2 });
  expect(best).toBeUndefined();
  expect(trials.length).toBeGreaterThan(0);
  expect(untried).toBeGreaterThan(0);
  expect(machine.time).toBeLessThan(3000);
});

test.each([
  ['slow models', { cost: planted }, 150],
  ['very slow models', { cost: planted }, 900],
  ['slow loading', { cost: planted, loadMs: 2000 }, 4],
] as const)('%s: the time holds, give or take a measurement', async (_, physics, ms) => {
  const machine = new Machine(physics);
  const { trials, untried } = await tune(machine, { models: [ms], seconds: 30 });
  expect(trials.length).toBeGreaterThan(0);
  expect(untried).toBeGreaterThan(0);
  expect(machine.time).toBeLessThan(36_000);
});

test('configurations that crash are told and left out', async () => {
  const machine = new Machine({
    cost: planted,
    failure: ({ arena }) => (arena === false ? 'runtime/crashed' : undefined),
  });
  const { best, trials } = await tune(machine);
  expect(best?.options).toEqual([{ threads: 2, spinning: 'stop' }]);
  const failed = trials.filter(({ outcome }) => outcome === 'failed');
  expect(failed.map(({ options }) => options[0])).toContainEqual({ arena: false });
  expect(failed[0]!.message).toBe('runtime/crashed: 4 died');
});

test('an interruption keeps what was found', async () => {
  const early = new Machine({ cost: planted, interruptAt: 1 });
  await expect(tune(early)).rejects.toThrow('stopped');
  const machine = new Machine({ cost: planted, interruptAt: 20 });
  const { trials, best, wasInterrupted } = await tune(machine);
  expect(wasInterrupted).toBe(true);
  expect(best).toBeUndefined();
  expect(trials.length).toBeGreaterThan(10);
  expect(machine.openHosts).toBe(0);
  const complete = new Machine({ cost: planted });
  const { wasInterrupted: was } = await tune(complete);
  expect(was).toBe(false);
  // Once something is proven it counts, even if what follows is cut off.
  const late = new Machine({ cost: planted, interruptAt: complete.hosts });
  expect((await tune(late)).best?.outcome).toBe('faster');
});

test('several models: threads are given one by one, latency is the sum of the stages', async () => {
  const machine = new Machine({
    // The small model is faster on one thread, the large one on all.
    cost: (base, { threads = 4 }) => (base < 2 ? base * (0.4 + 0.15 * threads) : (base * 4) / threads),
  });
  const { best, defaultMs } = await tune(machine, { models: [1, 2], seconds: 60 });
  expect(defaultMs).toBeCloseTo(3, 1);
  expect(best?.options.map(({ threads }) => threads)).toEqual([1, undefined]);
});

test('throughput: every model has a process of its own, and the slowest stage counts', async () => {
  const machine = new Machine({
    cost: (base, { threads = 4 }) => (base > 5 ? (base * 3) / threads : base),
  });
  const { best, defaultMs } = await tune(machine, { models: [1, 8], objective: 'throughput' });
  expect(defaultMs).toBeCloseTo(6, 0);
  expect(best).toBeUndefined();
  // Two reference rigs, the default of the search, and a rig for every trial, of two hosts each.
  expect(machine.hosts % 2).toBe(0);
});

test('outputs that are random say nothing; a model of nothing else is refused', async () => {
  const machine = new Machine({ output: (_, runs) => runs });
  await expect(tune(machine)).rejects.toMatchObject({ code: 'verify/nothing-compared' });
});

test('steps are told', async () => {
  const steps: string[] = [];
  await tune(new Machine({ cost: planted }), { steps });
  expect(steps[0]).toBe('reference outputs');
  expect(steps[1]).toMatch(/^spinning stop \(1 of \d+, 3 pairs\)$/);
  expect(steps.at(-1)).toMatch(/^proof of .*, session \d+$/);
});

test('the pool: every axis by itself, threads with spinning and level, nothing twice, never the default', () => {
  expect(threadCounts(1)).toEqual([1]);
  expect(threadCounts(2)).toEqual([1, 2]);
  expect(threadCounts(12)).toEqual([1, 2, 4, 8, 12]);
  for (const space of [
    { models: 1, cores: 1 },
    { models: 1, cores: 2 },
    { models: 3, cores: 8 },
    { models: 20, cores: 4 },
    { models: 6, cores: 128 },
  ]) {
    const keys = poolOf(space).map((choices) => keyOf(sessionOptionsOf(choices, space.models)));
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys).not.toContain(keyOf(sessionOptionsOf([], space.models)));
    expect(keys.length).toBeGreaterThan(8);
    expect(keys.length).toBeLessThan(600);
  }
  const names = poolOf({ models: 1, cores: 2 }).map((choices) => choices.map(({ name }) => name).join(', '));
  expect(names).toEqual(
    expect.arrayContaining([
      'threads 1',
      'spinning off',
      'all without NchwcTransformer',
      'no arena',
      'no memory pattern',
      'no prepacking',
      'parallel, 2 branches',
      'threads 2, spinning stop, level extended',
    ]),
  );
  const splits = poolOf({ models: 3, cores: 8 })
    .filter(([choice, second]) => choice?.axis === 'threads' && second === undefined)
    .map(([choice]) => choice!.name);
  expect(splits).toContain('threads 2 + 2 + 4');
  expect(splits).toContain('threads 1 + default + default');
});

test('configurations: a later choice replaces one of its axis, and one thread has nobody to wait for', () => {
  const choice = (axis: string, options: SessionOptions) => ({ axis, name: axis, options: [options] });
  const joined = joinChoices(
    [choice('threads', { threads: 4 }), choice('spinning', { spinning: 'off' })],
    [choice('threads', { threads: 1 })],
  );
  expect(sessionOptionsOf(joined, 1)).toEqual([{ threads: 1 }]);
  expect(keyOf([{ threads: 1, arena: false }])).toBe(keyOf([{ arena: false, threads: 1 }]));
});
