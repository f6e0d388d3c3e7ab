/**
 * Measures set-ups against each other: every set-up lives in a fresh process of its own, and short bursts of runs take
 * turns in random order, so that whatever else the machine does meets all of them. This is repeated in fresh processes
 * until the answer is clear or the time is over: two sessions of one file already differ a little.
 *
 * Set-ups cannot share a process here: threads of one would spin while the other runs, and that is one of the things to
 * be measured. Before a burst the machine rests until no thread of any set-up spins any more: that takes 32 ms of
 * processor time a session after its last run, and longer where two of them share a processor.
 */
import { createRng } from '../../core/rng.ts';
import type { Tensor } from '../../core/tensor.ts';
import type { HostedSession } from '../../runtime/isolated.ts';
import type { SessionOptions } from '../../runtime/session.ts';
import { type TimingHost, warmUp } from '../measure.ts';
import { estimateOf, intervalOf } from '../sequential.ts';
import { type Interval, mean, median, ratioOfPairs } from '../statistics.ts';
import { type Account, shareOfOthers, takeAccount, type Watch, watchBetween } from './account.ts';
import type { Machine } from './machine.ts';

/** A model as it is run. */
export interface Member {
  readonly name: string;
  readonly path: string;
  readonly feeds: ReadonlyMap<string, Tensor>;
  readonly options: SessionOptions;
}

/** How the bursts of a set-up are made; by default as {@link steadyOf} says. */
export interface Pace {
  /** Whether a burst waits until the processes use no processor any more. */
  readonly settles: boolean;
  /** Rest before a burst, after that, in ms. */
  readonly restMs: number;
  /** After this time no round beyond the first begins. */
  readonly burstMs: number;
  /** Whether a burst counts with the mean of its runs or with their median. */
  readonly statistic: 'median' | 'mean';
}

/** One or more models in one process, run in turn. */
export interface SetUp {
  readonly members: readonly Member[];
  readonly pace?: Pace;
}

export interface MeasuredSetUp {
  /** Time of a round (every model once) in ms: by session, by burst. */
  readonly rounds: readonly Float64Array[];
  /** Median time of each model in ms, over all bursts. */
  readonly members: readonly number[];
  /** See {@link Contrast}. */
  readonly othersShare: number;
}

export interface Contrast {
  /** Time as it is / time of the other: above 1 the other is faster. */
  readonly factor: number;
  readonly ci95: Interval;
  /** Median time of a round in ms. */
  readonly asIsMs: number;
  readonly otherMs: number;
  readonly sessions: number;
  /** Share of all processors that other processes took meanwhile, 0 to 1; 0 where nobody counts. */
  readonly othersShare: number;
}

/** A process of the runtime with the id that the system knows it by. */
export interface DoctorHost extends TimingHost {
  readonly pid?: number | undefined;
}

/** How a process began. */
export interface Start {
  readonly member: Member;
  readonly loadMs: number;
  readonly firstMs: number;
  /** Median of its bursts. */
  readonly steadyMs: number;
}

/** A burst of runs, and the pages that came from a disk meanwhile. */
export interface Burst {
  readonly majorFaults: number;
  /** Relative to the median of the bursts of its process. */
  readonly relative: number;
}

/** Time of a burst for each of its models. */
const BURST_MS = 50;
const steadyOf = ({ members }: SetUp): Pace => ({
  settles: true,
  restMs: 0,
  burstMs: BURST_MS * members.length,
  statistic: 'median',
});
const BURSTS = 4;
/** Where a run is long, a burst is one run: more sessions are worth more than more of these. */
const LONG_BURSTS = 2;

/** A process that uses less than this share of a processor for so long has come to rest. */
const SETTLED_SHARE = 0.1;
const SETTLING_STEP_MS = 10;
/** After this time it does something else than spin. */
const MOST_SETTLING_MS = 500;
/** Where the system does not tell what a process uses. */
const BLIND_REST_MS = 100;
/** Bursts of a session that are made anew because others took more than this share of the processors meanwhile. */
const MOST_REPEATS = 4;
export const DISTURBED = 0.25;
const WARM_UP_MS = 300;
/** The most rounds of a burst: enough for the shortest of models. */
const MOST_ROUNDS = 400;
/** Runs this long need no warming up before, and no run for waking up in each burst. */
const LONG_RUN_MS = 100;
/** How many times the budget a measurement may take that is about to name a cause, or so many sessions. */
const MOST_EXTENSION = 2;
const LEANING_SESSIONS = 5;
/** With fewer, hardly anything is known of how they differ. */
const LEAST_SESSIONS = 3;
const MOST_SESSIONS = 12;

/** Of the interval that is reported, and of the one that may stop a measurement early: it is asked again and again. */
const CONFIDENCE = 0.95;
export const EARLY_CONFIDENCE = 0.99;

interface MeasureOptions {
  /** Whether the answer is there: asked after each session once there are enough; by default it is. */
  readonly isClear?: (measured: readonly MeasuredSetUp[]) => boolean;
  /** Whether it looks like a cause but is not sure yet: that is worth more time. */
  readonly isLeaning?: (measured: readonly MeasuredSetUp[]) => boolean;
  /** Sessions that are measured in any case. */
  readonly least?: number;
}

interface Opened {
  readonly setUp: SetUp;
  readonly host: DoctorHost;
  readonly sessions: HostedSession[];
  readonly loads: number[];
  readonly firsts: number[];
  isLong: boolean;
  readonly rounds: number[];
  readonly members: number[][];
  readonly faults: number[];
}

const allRounds = ({ rounds }: MeasuredSetUp): number[] => rounds.flatMap((series) => [...series]);

/** How the first of two measured set-ups compares with the second, over two sessions or more. */
export const contrastOf = (asIs: MeasuredSetUp, other: MeasuredSetUp, confidence = CONFIDENCE): Contrast => {
  const logRatios = asIs.rounds.map((candidate, i) =>
    Math.log(ratioOfPairs({ baseline: other.rounds[i]!, candidate })),
  );
  const estimate = estimateOf(logRatios);
  return {
    factor: Math.exp(estimate.mean),
    ci95: intervalOf(estimate, confidence),
    asIsMs: median(allRounds(asIs)),
    otherMs: median(allRounds(other)),
    sessions: asIs.rounds.length,
    othersShare: asIs.othersShare,
  };
};

/** Whether the whole interval lies on one side of `bar`. */
export const isClearOf = ({ ci95: [low, high] }: Contrast, bar: number): boolean => low > bar || high < bar;

export class Lab {
  readonly machine: Machine;
  readonly #start: () => DoctorHost;
  readonly #budgetMs: number;
  readonly #seed: number;
  readonly #watches: Watch[] = [];
  readonly #starts: Start[] = [];
  readonly #bursts: Burst[] = [];
  readonly #kernels: number[] = [];
  readonly #frequencies: number[] = [];
  #measurements = 0;

  /** @param budgetMs time for one measurement; the fewest sessions and bursts are made even when they take longer. */
  constructor(start: () => DoctorHost, machine: Machine, budgetMs: number, seed = 0) {
    this.#start = start;
    this.machine = machine;
    this.#budgetMs = budgetMs;
    this.#seed = seed;
  }

  /** Starts a fresh process. */
  readonly start = (): DoctorHost => this.#start();

  get watches(): readonly Watch[] {
    return this.#watches;
  }

  get starts(): readonly Start[] {
    return this.#starts;
  }

  get bursts(): readonly Burst[] {
    return this.#bursts;
  }

  /** Times of the fixed piece of work, in the order they were taken. */
  get kernels(): readonly number[] {
    return this.#kernels;
  }

  get frequencies(): readonly number[] {
    return this.#frequencies;
  }

  /** Measures two set-ups until the factor is surely above or surely below `bar`, or the time is over. */
  async contrast(asIs: SetUp, other: SetUp, bar: number): Promise<Contrast> {
    const [first, second] = await this.measure([asIs, other], {
      isClear: ([one, two]) => isClearOf(contrastOf(one!, two!, EARLY_CONFIDENCE), bar),
      isLeaning: ([one, two]) => {
        const { factor, ci95 } = contrastOf(one!, two!);
        return factor > bar && ci95[0] <= bar;
      },
    });
    return contrastOf(first!, second!);
  }

  /** Measures set-ups side by side. @throws OrthoError of the runtime. */
  async measure(
    setUps: readonly SetUp[],
    { isClear = () => true, isLeaning = () => false, least = LEAST_SESSIONS }: MeasureOptions = {},
  ): Promise<MeasuredSetUp[]> {
    const { now } = this.machine;
    const started = now();
    const seed = this.#seed + 1000 * this.#measurements++;
    const rounds = setUps.map((): Float64Array[] => []);
    const members = setUps.map((setUp) => setUp.members.map((): number[] => []));
    const watched = this.#watches.length;
    const results = (): MeasuredSetUp[] => {
      const othersShare = shareOfOthers(this.#watches.slice(watched)) ?? 0;
      return setUps.map((_, i) => ({
        rounds: rounds[i]!,
        members: members[i]!.map((times) => median(times)),
        othersShare,
      }));
    };
    for (let session = 0; session < MOST_SESSIONS; session++) {
      const opened = await this.#session(setUps, seed + session);
      opened.forEach((one, i) => {
        rounds[i]!.push(Float64Array.from(one.rounds));
        one.members.forEach((times, j) => {
          members[i]![j]!.push(...times);
        });
      });
      if (session + 1 < least) continue;
      const measured = results();
      if (isClear(measured)) break;
      const isMore = isLeaning(measured);
      const isOver = now() - started >= this.#budgetMs * (isMore ? MOST_EXTENSION : 1);
      if (isOver && !(isMore && session + 1 < LEANING_SESSIONS)) break;
    }
    return results();
  }

  async #session(setUps: readonly SetUp[], seed: number): Promise<Opened[]> {
    const opened: Opened[] = [];
    const rng = createRng(seed);
    const order = (): number[] => {
      const indices = [...setUps.keys()];
      for (let i = indices.length - 1; i > 0; i--) {
        const j = rng.integer(i + 1);
        [indices[i], indices[j]] = [indices[j]!, indices[i]!];
      }
      return indices;
    };
    try {
      for (const i of order()) opened[i] = await this.#open(setUps[i]!);
      const began = this.#account(opened);
      let repeats = 0;
      const bursts = opened.some(({ isLong }) => isLong) ? LONG_BURSTS : BURSTS;
      for (let burst = 0; burst < bursts; burst++) {
        for (const i of order()) {
          while (!(await this.#burst(opened, opened[i]!, repeats < MOST_REPEATS))) repeats++;
        }
      }
      this.#watches.push(watchBetween(this.machine, began, this.#account(opened)));
      for (const one of opened) this.#conclude(one);
    } finally {
      for (const one of opened) await one?.host.close();
    }
    return opened;
  }

  async #open(setUp: SetUp): Promise<Opened> {
    const host = this.#start();
    const sessions: HostedSession[] = [];
    const loads: number[] = [];
    const firsts: number[] = [];
    let isLong = false;
    try {
      for (const { path, options, feeds } of setUp.members) {
        const session = await host.open(path, options);
        await session.prepare(feeds);
        sessions.push(session);
        loads.push(session.loadMs);
      }
      const once = { leastRounds: 1, mostRounds: 1, maxMs: 0, order: 'fixed', seed: 0 } as const;
      for (const [first] of await host.time(sessions, once)) firsts.push(first!);
      isLong = firsts.reduce((sum, ms) => sum + ms, 0) > LONG_RUN_MS;
      if (!isLong) await warmUp(host, sessions, WARM_UP_MS);
    } catch (error) {
      await host.close();
      throw error;
    }
    const members = setUp.members.map((): number[] => []);
    return { setUp, host, sessions, loads, firsts, isLong, rounds: [], members, faults: [] };
  }

  #majorFaults({ host: { pid } }: Opened): number {
    return (pid === undefined ? undefined : this.machine.process(pid)?.majorFaults) ?? 0;
  }

  #account(opened: readonly Opened[]): Account {
    return takeAccount(
      this.machine,
      opened.map(({ host }) => host.pid),
    );
  }

  /** Waits until nothing spins any more. What a quota has stopped looks as if it rested, but not for a whole period. */
  async #settle(opened: readonly Opened[]): Promise<void> {
    const { machine } = this;
    const stepMs = Math.max(SETTLING_STEP_MS, machine.quota?.periodMs ?? 0);
    let before = this.#account(opened);
    const end = before.at + MOST_SETTLING_MS;
    for (let isSettled = false; !isSettled && before.at < end; ) {
      if (before.models === undefined) return machine.pause(BLIND_REST_MS);
      await machine.pause(stepMs);
      const after = this.#account(opened);
      const ranMs = (after.models?.ranMs ?? 0) - before.models.ranMs;
      isSettled = ranMs < SETTLED_SHARE * (after.at - before.at);
      before = after;
    }
  }

  /** Gives false where others disturbed the burst and it may be repeated: then it does not count. */
  async #burst(opened: readonly Opened[], one: Opened, mayRepeat: boolean): Promise<boolean> {
    const { settles, restMs, burstMs, statistic } = one.setUp.pace ?? steadyOf(one.setUp);
    if (settles) await this.#settle(opened);
    await this.machine.pause(restMs);
    this.#kernels.push(this.machine.kernelMs());
    const frequency = this.machine.frequencyMhz();
    if (frequency !== undefined) this.#frequencies.push(frequency);
    const faultsBefore = this.#majorFaults(one);
    const before = this.#account(opened);
    // The first round after a rest wakes the threads up: it does not count, unless it is long or means are asked for.
    const skip = one.isLong || statistic === 'mean' ? 0 : 1;
    const series = await one.host.time(one.sessions, {
      leastRounds: skip === 0 ? 1 : 3,
      mostRounds: MOST_ROUNDS,
      maxMs: burstMs,
      order: 'fixed',
      seed: 0,
    });
    const { othersShare = 0 } = watchBetween(this.machine, before, this.#account(opened));
    if (mayRepeat && othersShare > DISTURBED) return false;
    one.faults.push(this.#majorFaults(one) - faultsBefore);
    const counted = series.map((times) => times.subarray(skip));
    const count = counted[0]?.length ?? 0;
    const rounds = Float64Array.from({ length: count }, (_, i) =>
      counted.reduce((sum, times) => sum + times[i]!, 0),
    );
    const central = statistic === 'mean' ? mean : median;
    one.rounds.push(central(rounds));
    counted.forEach((times, i) => {
      one.members[i]!.push(central(times));
    });
    one.isLong = central(rounds) > LONG_RUN_MS;
    return true;
  }

  #conclude({ setUp, loads, firsts, members, rounds, faults }: Opened): void {
    setUp.members.forEach((member, i) => {
      this.#starts.push({
        member,
        loadMs: loads[i]!,
        firstMs: firsts[i]!,
        steadyMs: median(members[i]!),
      });
    });
    const middle = median(rounds);
    rounds.forEach((time, i) => {
      this.#bursts.push({ majorFaults: faults[i]!, relative: time / middle });
    });
  }
}
