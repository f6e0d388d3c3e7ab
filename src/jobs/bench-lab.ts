/**
 * What the phases of a benchmark share: the session options, fresh processes, what is worth telling, and models that
 * fail without taking the others with them.
 */
import { isInterrupted } from '../bench/blocks.ts';
import { chooseFeeds, type GivenInputs } from '../bench/feeds.ts';
import type { Target } from '../bench/measure.ts';
import { OrthoError } from '../core/errors.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import type { Finding } from '../core/report.ts';
import { SessionHost } from '../runtime/isolated.ts';
import type { SessionOptions } from '../runtime/session.ts';
import type { BenchModel, BenchOptions } from './bench-options.ts';

/** A model that loaded and has feeds. */
export interface BenchTarget extends Target {
  readonly isBaseline: boolean;
}

/** What goes wrong with one of several models is a finding; with the last one left, an error. */
const failureFinding = (error: unknown, file: string): Finding => {
  if (!(error instanceof OrthoError) || error.code.startsWith('internal/')) throw error;
  const { code, message, hint, at } = error;
  return {
    level: 'error',
    rule: code,
    message,
    at: { ...at, file },
    ...(hint === undefined ? {} : { hint }),
  };
};

export class BenchLab {
  readonly findings: Finding[] = [];
  readonly io: JobIo;
  readonly session: SessionOptions;
  readonly seed: number;
  /** Starts a fresh process. */
  readonly start: () => SessionHost;
  /** How long it takes until a process is ready, in ms; known once scouting started. */
  startMs = 0;
  readonly #given: GivenInputs;
  #firstError: unknown;
  #scout: SessionHost | undefined;

  constructor(options: BenchOptions) {
    this.io = options.io ?? silentIo();
    this.seed = options.seed ?? 0;
    this.#given = options.given ?? { files: [], shapes: [] };
    const { threads, ...limits } = options.session ?? {};
    this.session = {
      level: options.level ?? 'all',
      spinning: options.spinning ?? 'default',
      ...(threads === undefined ? {} : { threads }),
    };
    this.start = () => new SessionHost({ ...limits, signal: this.io.signal });
  }

  /** Whether the user ended it. */
  get isInterrupted(): boolean {
    return this.io.signal.aborted;
  }

  /** What the report says of the session options. */
  get described(): Record<string, unknown> {
    const { level, threads = null, spinning } = this.session;
    return { runtime: 'onnxruntime-node', level, threads, spinning };
  }

  /**
   * Starts the process that models are tried out in, until {@link endScouting}.
   * @returns the version of the runtime.
   */
  async startScouting(): Promise<string> {
    const began = performance.now();
    try {
      const version = await this.#scouting().version();
      this.startMs = performance.now() - began;
      return version;
    } catch (error) {
      await this.endScouting();
      throw error;
    }
  }

  async endScouting(): Promise<void> {
    await this.#scout?.close();
    this.#scout = undefined;
  }

  #scouting(): SessionHost {
    this.#scout ??= this.start();
    return this.#scout;
  }

  /**
   * Does `work` for each target; those that fail become findings. Once the user interrupts, what is done is kept.
   * @throws the first error when all fail.
   */
  async each<T, R>(
    items: readonly T[],
    fileOf: (item: T) => string,
    work: (item: T) => Promise<R>,
  ): Promise<[T, R][]> {
    const done: [T, R][] = [];
    for (const item of items) {
      const result = await this.unlessInterrupted(async () => {
        try {
          return { value: await work(item) };
        } catch (error) {
          this.findings.push(failureFinding(error, fileOf(item)));
          this.#firstError ??= error;
          return undefined;
        }
      });
      if (result !== undefined) done.push([item, result.value]);
      if (this.isInterrupted) break;
    }
    if (done.length === 0 && !this.isInterrupted) throw this.#firstError;
    return done;
  }

  /** Undefined when the user interrupts, or has interrupted before. */
  async unlessInterrupted<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.isInterrupted) return undefined;
    try {
      return await work();
    } catch (error) {
      if (!isInterrupted(error)) throw error;
      return undefined;
    }
  }

  /** Chooses what a model is fed. @throws see `chooseFeeds`. */
  async prepare(model: BenchModel, name: string, isBaseline: boolean): Promise<BenchTarget> {
    const given = this.#given;
    const own = [...(model.shapes ?? [])].map(([input, dims]) => ({ name: input, dims }));
    try {
      const { feeds, assumed } = await chooseFeeds(
        model.file,
        this.#scouting(),
        { files: given.files, shapes: [...given.shapes, ...own] },
        { seed: this.seed, session: this.session },
      );
      for (const input of assumed) {
        this.findings.push({
          level: 'note',
          rule: 'assumed-shape',
          message: `${name}: input "${input}" leaves dimensions open; timed with [${feeds.get(input)!.dims.join(', ')}]`,
          hint: `--shape ${input}=…`,
          at: { file: model.file, value: input },
        });
      }
      return { name, path: model.file, feeds, isBaseline };
    } catch (error) {
      // The process may be gone: the next model gets a fresh one.
      await this.endScouting();
      throw error;
    }
  }
}
