/**
 * What the phases of a benchmark share: the session options, fresh processes, what is worth telling, and models that
 * fail without taking the others with them.
 */
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
  readonly #given: GivenInputs;
  #firstError: unknown;

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

  /** What the report says of the session options. */
  get described(): Record<string, unknown> {
    const { level, threads = null, spinning } = this.session;
    return { runtime: 'onnxruntime-node', level, threads, spinning };
  }

  async runtimeVersion(): Promise<string> {
    const host = this.start();
    try {
      return await host.version();
    } finally {
      await host.close();
    }
  }

  /** Does `work` for each target; those that fail become findings. @throws the first error when all fail. */
  async each<T, R>(
    items: readonly T[],
    fileOf: (item: T) => string,
    work: (item: T) => Promise<R>,
  ): Promise<[T, R][]> {
    const done: [T, R][] = [];
    for (const item of items) {
      try {
        done.push([item, await work(item)]);
      } catch (error) {
        this.findings.push(failureFinding(error, fileOf(item)));
        this.#firstError ??= error;
      }
    }
    if (done.length === 0) throw this.#firstError;
    return done;
  }

  /** Chooses what a model is fed. @throws see `chooseFeeds`. */
  async prepare(model: BenchModel, name: string, isBaseline: boolean): Promise<BenchTarget> {
    const given = this.#given;
    const own = [...(model.shapes ?? [])].map(([input, dims]) => ({ name: input, dims }));
    const host = this.start();
    try {
      const { feeds, assumed } = await chooseFeeds(
        model.file,
        host,
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
    } finally {
      await host.close();
    }
  }
}
