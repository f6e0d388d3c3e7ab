/**
 * The time that a benchmark may take: hands out shares of what is left, by weight, and says when it will be over.
 *
 * Every phase gets its share of the time that is really left, so one that takes longer than its share shortens those
 * after it, and the end stays where it was announced. Where what must be run cannot fit (a model of seconds still runs
 * a few times), a later end is announced as soon as that is known.
 */
import { type JobIo, silentIo } from '../core/job-io.ts';

/** An end that moves by less than this share of the whole, or less than this time, is not announced anew. */
const TOLERANCE = 0.1;
const TOLERANCE_MS = 500;

const inSeconds = (ms: number): string =>
  ms < 9500 ? `${(ms / 1000).toFixed(ms < 950 ? 1 : 0)} s` : `${Math.round(ms / 1000)} s`;

export class BenchBudget {
  readonly #io: JobIo;
  readonly #now: () => number;
  readonly #began: number;
  #end: number;
  #weight: number;

  /**
   * @param ms time for everything.
   * @param weight of all phases together.
   * @param now the clock, in ms.
   */
  constructor(
    ms: number,
    weight: number,
    io: JobIo = silentIo(),
    now: () => number = () => performance.now(),
  ) {
    this.#io = io;
    this.#now = now;
    this.#began = now();
    this.#end = this.#began + ms;
    this.#weight = weight;
  }

  /**
   * Says what is done and how long it will take.
   * @param overheadMs what goes by without anything being timed: half of the time is kept for timing.
   */
  announce(what: string, overheadMs: number): void {
    const whole = this.#end - this.#began;
    this.#end = Math.max(this.#end, this.#now() + overheadMs + whole / 2);
    this.#io.say(`${what}: about ${inSeconds(this.leftMs)}`);
  }

  /** Milliseconds for a phase of this weight; 0 when nothing is left. */
  take(weight: number): number {
    const share = this.leftMs * Math.min(1, weight / this.#weight);
    this.#weight = Math.max(weight, this.#weight - weight);
    return share;
  }

  /** Until the announced end. */
  get leftMs(): number {
    return Math.max(0, this.#end - this.#now());
  }

  /**
   * What is still to be done takes at least `ms` from now: moves the end, and says so, when that is later.
   * @param why which model it is that takes its time.
   */
  needs(ms: number, why: string): void {
    const end = this.#now() + ms;
    if (end - this.#end <= Math.max(TOLERANCE_MS, TOLERANCE * (this.#end - this.#began))) return;
    this.#end = end;
    this.#io.say(`${why}: about ${inSeconds(ms)} from now`);
  }

  /** Shows what is being done, and how much time is left. */
  progress(step: string): void {
    const whole = this.#end - this.#began;
    const fraction = whole > 0 ? Math.min(1, (this.#now() - this.#began) / whole) : 1;
    this.#io.progress(`${step}, ${inSeconds(this.leftMs)} left`, fraction);
  }
}
